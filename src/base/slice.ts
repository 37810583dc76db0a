import type { Clock, Timers } from './clock.ts';
import { LIMITS } from './limits.ts';

/**
 * Lets long work breathe: `await pause.here()` returns at once until the slice is used up, then
 * waits for one round of I/O. Throws what `check` throws (cancelled, deadline passed).
 */
export interface Pause {
  here(): Promise<void> | undefined;
}

/** A pause that yields after `LIMITS.sliceMs` of work and calls `check` at each yield. */
export function createPause(clock: Clock, timers: Timers, check: () => void = () => {}): Pause {
  let since = clock.monotonicMs();
  const breathe = async (): Promise<void> => {
    await timers.yield();
    check();
    since = clock.monotonicMs();
  };
  return {
    here() {
      return clock.monotonicMs() - since < LIMITS.sliceMs ? undefined : breathe();
    },
  };
}
