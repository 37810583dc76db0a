/**
 * Time as an argument. This is the one file of the product that reads the machine's clock, so that
 * simulations can bring their own.
 */
export interface Clock {
  /** Unix time in milliseconds. May jump when the machine's clock is set. */
  nowMs(): number;
  /** Milliseconds since an arbitrary origin; never goes back. For durations only. */
  monotonicMs(): number;
}

/** Timers as an argument; `unref`ed timers never keep the process alive. */
export interface Timers {
  /** Runs `callback` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, callback: () => void): () => void;
  /** Runs `callback` after the current I/O round: lets sockets breathe between slices. */
  yield(): Promise<void>;
}

/** The longest time that a timer of Node can count; it takes longer ones for a millisecond. */
export const TIMER_MAX_MS = 2 ** 31 - 1;

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** Node's timers. */
export const systemTimers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};

/** Node's timers for a command that waits for nothing else: they keep the process alive. */
export const holdingTimers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  yield: systemTimers.yield,
};

/** Resolves after `delayMs` by `timers`. */
export function sleep(timers: Timers, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(delayMs, resolve);
  });
}
