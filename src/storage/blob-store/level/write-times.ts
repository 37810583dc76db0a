import type { Clock } from '../../../base/clock.ts';
import { Slots } from '../../../base/slots.ts';

/** Time that counts as lately, and writes that are remembered at most. */
const WINDOW_MS = 10_000;
const WRITES_KEPT = 4_096;

/** How long writes took lately, those that are still under way included. */
export class WriteTimes {
  readonly #clock: Clock;
  readonly #pending = new Slots<{ readonly sinceMs: number }>();
  #ended: { readonly endMs: number; readonly tookMs: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What `write` settles to; its time counts. */
  async measure<T>(write: () => Promise<T>): Promise<T> {
    const begun = { sinceMs: this.#clock.monotonicMs() };
    const place = this.#pending.add(begun);
    try {
      return await write();
    } finally {
      this.#pending.take(place);
      const endMs = this.#clock.monotonicMs();
      this.#ended.push({ endMs, tookMs: endMs - begun.sinceMs });
      if (this.#ended.length >= 2 * WRITES_KEPT) this.#ended = this.#ended.slice(-WRITES_KEPT);
    }
  }

  /** Milliseconds that 99 of 100 writes of the last ten seconds stayed below; 0 without any. */
  p99Ms(): number {
    const nowMs = this.#clock.monotonicMs();
    this.#ended = this.#ended.filter(({ endMs }) => nowMs - endMs <= WINDOW_MS);
    const times = this.#ended.map(({ tookMs }) => tookMs);
    for (const { sinceMs } of this.#pending.values()) times.push(nowMs - sinceMs);
    times.sort((a, b) => a - b);
    // Of a few writes the slowest is no percentile, unless it is the only one.
    return times[Math.floor(0.99 * (times.length - 1))] ?? 0;
  }
}
