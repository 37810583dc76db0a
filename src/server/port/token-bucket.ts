/** Room for events that is used up by them and comes back with time. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #atMs: number;

  /** `burst` events may come at once, `perSecond` from then on; either may be Infinity. Full at `nowMs`. */
  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#atMs = nowMs;
  }

  /** Takes the room of one event, and returns true, if there is any. */
  take(nowMs: number): boolean {
    if (this.left(nowMs) < 1) return false;
    this.#left--;
    return true;
  }

  /** Events that may come now; whole or not, from 0 to `burst`. */
  left(nowMs: number): number {
    // Not for no time at all: any number of events a second, times none, is not a number.
    if (nowMs > this.#atMs) {
      const refilled = ((nowMs - this.#atMs) / 1_000) * this.#perSecond;
      this.#left = Math.min(this.#burst, this.#left + refilled);
      this.#atMs = nowMs;
    }
    return this.#left;
  }

  /** Whether a new one would be the same. */
  isFull(nowMs: number): boolean {
    return this.left(nowMs) === this.#burst;
  }
}
