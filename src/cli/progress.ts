import type { CliIo } from './io.ts';

/** People who have waited this long are told what they wait for, in ms. */
const PATIENCE_MS = 2_000;
/** And again so often, in ms. */
const TELL_MS = 250;

/** A line that changes at the bottom of a terminal. */
export interface Progress {
  /** What is there to say now; shown when it is time. */
  say(line: string): void;
  /** Removes the line; it may come back with the next `say`. */
  clear(): void;
}

/** Progress on `err`: only on a terminal, and only for what lasts more than two seconds. */
export function createProgress(io: CliIo): Progress {
  let nextMs = io.clock.monotonicMs() + PATIENCE_MS;
  let shown = false;
  return {
    say(line) {
      const nowMs = io.clock.monotonicMs();
      if (io.err.isTTY !== true || nowMs < nextMs) return;
      nextMs = nowMs + TELL_MS;
      shown = true;
      io.err.write(`\r\u001b[K${line.slice(0, (io.err.columns ?? 80) - 1)}`);
    },
    clear() {
      if (shown) io.err.write('\r\u001b[K');
      shown = false;
    },
  };
}

/** Waits for `work`, with a line that says what for and how long already. */
export async function whileWaiting<T>(io: CliIo, what: string, work: Promise<T>): Promise<T> {
  const progress = createProgress(io);
  const startedMs = io.clock.monotonicMs();
  let cancel = (): void => {};
  const tell = (): void => {
    progress.say(`${what} … ${Math.floor((io.clock.monotonicMs() - startedMs) / 1_000)} s`);
    cancel = io.timers.after(TELL_MS, tell);
  };
  if (io.err.isTTY === true) cancel = io.timers.after(PATIENCE_MS, tell);
  try {
    return await work;
  } finally {
    cancel();
    progress.clear();
  }
}
