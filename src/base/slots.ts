/**
 * What is under way: comes and goes thousands of times a second, a few at a time. In place of a Map or
 * Set that lives long: when V8 makes the table of one anew, the old table, which lies in the old space
 * by then, still refers to all that was in it, so that most of what ever went through is kept until the
 * next full collection. Here a place is emptied when it is left.
 */
export class Slots<T extends object> {
  readonly #places: (T | undefined)[] = [];
  readonly #free: number[] = [];

  /** How many are in it. */
  get size(): number {
    return this.#places.length - this.#free.length;
  }

  /** Puts `value` into a place and returns its number, from 0: one that was left, or a new one. */
  add(value: T): number {
    const place = this.#free.pop() ?? this.#places.length;
    this.#places[place] = value;
    return place;
  }

  /** What is in a place. */
  at(place: number): T | undefined {
    return this.#places[place];
  }

  /** Empties a place, whose number may be given again, and returns what was in it. */
  take(place: number): T | undefined {
    const value = this.#places[place];
    if (value === undefined) return undefined;
    this.#places[place] = undefined;
    this.#free.push(place);
    return value;
  }

  /** All that are in it. */
  values(): T[] {
    return this.#places.filter((value) => value !== undefined);
  }
}
