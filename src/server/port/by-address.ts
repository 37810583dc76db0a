/** Addresses beyond which those that are idle are forgotten. */
const ADDRESSES_KEPT = 4_096;

/** What is known of each address that did something lately. */
export class ByAddress<T> {
  readonly #make: (nowMs: number) => T;
  readonly #isIdle: (value: T, nowMs: number) => boolean;
  readonly #values = new Map<string, T>();

  /** `isIdle`: whether a new one would be the same, so that it may be forgotten. */
  constructor(make: (nowMs: number) => T, isIdle: (value: T, nowMs: number) => boolean) {
    this.#make = make;
    this.#isIdle = isIdle;
  }

  /** What is known of an address; undefined if it did nothing lately. */
  peek(address: string): T | undefined {
    return this.#values.get(address);
  }

  /** The same, made where there is none. */
  of(address: string, nowMs: number): T {
    const known = this.#values.get(address);
    if (known !== undefined) return known;
    if (this.#values.size >= ADDRESSES_KEPT) this.#forget(nowMs);
    const fresh = this.#make(nowMs);
    this.#values.set(address, fresh);
    return fresh;
  }

  #forget(nowMs: number): void {
    for (const [address, value] of this.#values) {
      if (this.#isIdle(value, nowMs)) this.#values.delete(address);
    }
  }
}
