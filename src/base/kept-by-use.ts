interface Kept<T> {
  readonly value: T;
  readonly cost: number;
}

/** Values by name, the least recently used of which go when they cost more than they may. */
export class KeptByUse<T> {
  /** Oldest use first. */
  readonly #kept = new Map<string, Kept<T>>();
  #cost = 0;

  /** What all values here cost. */
  get cost(): number {
    return this.#cost;
  }

  /** The value of a name, which counts as a use of it. */
  get(name: string): T | undefined {
    const kept = this.#kept.get(name);
    if (kept === undefined) return undefined;
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    return kept.value;
  }

  /** Keeps a value, instead of the one that was there. */
  set(name: string, value: T, cost: number): void {
    this.delete(name);
    this.#kept.set(name, { value, cost });
    this.#cost += cost;
  }

  /** Forgets a value. */
  delete(name: string): void {
    this.#cost -= this.#kept.get(name)?.cost ?? 0;
    this.#kept.delete(name);
  }

  /** Forgets until all together cost at most so much. */
  shrink(costMax: number): void {
    for (const name of this.#kept.keys()) {
      if (this.#cost <= costMax) return;
      this.delete(name);
    }
  }

  /** All names, the least recently used one first. */
  names(): IterableIterator<string> {
    return this.#kept.keys();
  }
}
