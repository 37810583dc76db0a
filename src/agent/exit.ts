import type { Agent } from './agent.ts';

/** How long the end of a process may wait for the last profiles. */
const EXIT_FLUSH_MS = 2_000;

/**
 * Flushes when the process ends: by itself, or by SIGTERM or SIGINT. Where nobody else listens to the
 * signal it takes its usual course afterwards; where somebody does, the end is theirs. Returns what takes
 * the listeners off.
 */
export function flushOnExit(agent: Pick<Agent, 'stop'>, on: NodeJS.Process): () => void {
  const stop = (): Promise<unknown> => agent.stop(EXIT_FLUSH_MS);
  const beforeExit = (): void => void stop();
  const signals = (['SIGTERM', 'SIGINT'] as const).map((signal) => {
    const listener = (): void => {
      const isOurs = on.listenerCount(signal) === 0;
      void stop().then(() => {
        if (isOurs) on.kill(on.pid, signal);
      });
    };
    return { signal, listener };
  });
  on.once('beforeExit', beforeExit);
  for (const { signal, listener } of signals) on.once(signal, listener);
  return () => {
    on.off('beforeExit', beforeExit);
    for (const { signal, listener } of signals) on.off(signal, listener);
  };
}
