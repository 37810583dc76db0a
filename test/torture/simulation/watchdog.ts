import { Worker } from 'node:worker_threads';

/** Watches over histories that run one after the other in this thread. */
export interface Watchdog {
  /** The history of a seed begins. */
  begin(seed: number): void;
  /** All have ended. */
  stop(): Promise<void>;
}

/**
 * Ends the process, with the command that replays it, where a history never ends: one in which promises go on
 * for ever gives no timer a turn, and would hang without a word.
 */
export function watch(campaign: string): Watchdog {
  const beat = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('watchdog.worker.mjs', import.meta.url), {
    workerData: { beat, campaign },
  });
  worker.unref();
  return {
    begin: (seed) => void Atomics.store(beat, 0, seed),
    stop: async () => void (await worker.terminate()),
  };
}
