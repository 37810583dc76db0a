import type { Entries } from '../../storage/column/entries.ts';

/**
 * Sorts and sums entries by stack without comparing: values are added into arrays by stack id, two
 * levels of bits say which ids were touched, and one walk over the bits gives them in order. About 5 ns
 * an entry, against 40 for sorting. One object serves a thread; its arrays grow to the largest id.
 */
export class StackSums {
  /** By stack id, by column; 0 where nothing was added. */
  readonly #sums: Float64Array[] = [];
  /** Bit of each id; bit of each word of these. */
  #bits: Uint32Array = new Uint32Array(0);
  #words: Uint32Array = new Uint32Array(0);
  #size = 0;
  /** What the last call found: ascending ids. */
  stacks: Uint32Array = new Uint32Array(64);
  /** Their sums: tick i of column c is at `c * stride + i`. */
  ticks: Float64Array = new Float64Array(64);
  stride = 0;

  /** Bytes of memory. */
  get bytesInMemory(): number {
    return this.#sums.length * this.#size * 8 + this.#bits.byteLength + this.#words.byteLength;
  }

  /**
   * Sums `ids[from, to)`, which are below `idEnd`; column c of the values is `values[c * rows + i]`, whole,
   * not negative, and their sum below 2^53. Returns how many stacks there are, without those that are 0 in
   * all columns: {@link stacks} and {@link ticks} begin with them, until the next call.
   */
  sum(
    ids: Uint32Array,
    from: number,
    to: number,
    idEnd: number,
    values: Float64Array,
    rows: number,
    columns: number,
  ): number {
    this.#reserve(idEnd, columns);
    const bits = this.#bits;
    const words = this.#words;
    const first = this.#sums[0] as Float64Array;
    for (let i = from; i < to; i++) {
      const id = ids[i] as number;
      const word = id >>> 5;
      const seen = bits[word] as number;
      if (seen === 0) words[word >>> 5] = (words[word >>> 5] as number) | (1 << (word & 31));
      bits[word] = seen | (1 << (id & 31));
      first[id] = (first[id] as number) + (values[i] as number);
    }
    for (let column = 1; column < columns; column++) {
      const sums = this.#sums[column] as Float64Array;
      const offset = column * rows;
      for (let i = from; i < to; i++) {
        const id = ids[i] as number;
        sums[id] = (sums[id] as number) + (values[offset + i] as number);
      }
    }
    return this.#take(this.#sort(to - from), columns);
  }

  /** A copy of the first `count` of what the last call found. */
  entries(count: number, columns: number): Entries {
    const column = (c: number): Float64Array =>
      this.ticks.slice(c * this.stride, c * this.stride + count);
    const ticks = Array.from({ length: columns }, (_, c) => column(c));
    return { stacks: this.stacks.slice(0, count), ticks };
  }

  /** The touched ids in order; clears the bits. */
  #sort(countMax: number): number {
    if (this.stacks.length < countMax) this.stacks = new Uint32Array(2 * countMax);
    const sorted = this.stacks;
    const bits = this.#bits;
    const words = this.#words;
    let count = 0;
    for (let top = 0; top < words.length; top++) {
      let tops = words[top] as number;
      if (tops === 0) continue;
      words[top] = 0;
      while (tops !== 0) {
        const low = 31 - Math.clz32(tops & -tops);
        tops &= tops - 1;
        const word = (top << 5) | low;
        let rest = bits[word] as number;
        bits[word] = 0;
        const base = word << 5;
        while (rest !== 0) {
          sorted[count++] = base | (31 - Math.clz32(rest & -rest));
          rest &= rest - 1;
        }
      }
    }
    return count;
  }

  /** Takes out what was summed for the first `count` sorted ids. */
  #take(count: number, columns: number): number {
    if (this.ticks.length < count * columns) this.ticks = new Float64Array(2 * count * columns);
    this.stride = count;
    const sorted = this.stacks;
    const { ticks } = this;
    const only = columns === 1 ? (this.#sums[0] as Float64Array) : undefined;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const id = sorted[i] as number;
      if (only !== undefined) {
        const tick = only[id] as number;
        if (tick === 0) continue;
        ticks[kept] = tick;
        only[id] = 0;
      } else {
        let any = false;
        for (let column = 0; column < columns; column++) {
          const sums = this.#sums[column] as Float64Array;
          const tick = sums[id] as number;
          ticks[column * count + kept] = tick;
          if (tick !== 0) any = true;
          sums[id] = 0;
        }
        if (!any) continue;
      }
      sorted[kept++] = id;
    }
    return kept;
  }

  #reserve(idEnd: number, columns: number): void {
    if (idEnd > this.#size) {
      // All sums are 0 between two calls: nothing has to be kept.
      this.#size = Math.max(1_024, Math.ceil(idEnd * 1.25));
      this.#sums.length = 0;
      this.#bits = new Uint32Array((this.#size >>> 5) + 1);
      this.#words = new Uint32Array((this.#bits.length >>> 5) + 1);
    }
    while (this.#sums.length < columns) this.#sums.push(new Float64Array(this.#size));
  }
}
