import type { Clock, Timers } from '../../../src/base/clock.ts';

/** Time that passes when the test says so. */
export class HandTime implements Clock, Timers {
  #ms = Date.UTC(2026, 2, 14);
  readonly #pending = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  nowMs(): number {
    return this.#ms;
  }

  monotonicMs(): number {
    return this.#ms;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#ms + delayMs, callback };
    this.#pending.add(timer);
    return () => this.#pending.delete(timer);
  }

  yield(): Promise<void> {
    return Promise.resolve();
  }

  /** Lets time pass; timers fire in order, those that they start too, and what they woke runs. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#ms + ms;
    for (;;) {
      const [next] = [...this.#pending].toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > untilMs) break;
      this.#pending.delete(next);
      this.#ms = Math.max(this.#ms, next.atMs);
      next.callback();
    }
    this.#ms = untilMs;
    await settled();
  }
}

/** Runs what is ready to run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
