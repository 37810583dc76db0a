import type { Entries } from './entries.ts';

/** Whether stacks that are 0 in all columns are told. */
export type Zeros = 'kept' | 'dropped';

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
  /** So few words that all are looked at: the second level is not kept. */
  #isFlat = true;
  /** Entries added since the last {@link take}: there are no more stacks. */
  #added = 0;
  /** Bits were set of which the second level does not know. */
  #lacksWords = false;
  #tickBytes: Uint8Array = new Uint8Array(256);
  /** What the last {@link drain} found. */
  readonly drained = { count: 0, idsEnd: 0 };
  /** What the last {@link take} found: ascending ids. */
  stacks: Uint32Array = new Uint32Array(64);
  /** Their sums: tick i of column c is at `c * stride + i`. */
  ticks: Float64Array = new Float64Array(64);
  stride = 0;

  /** Bytes of memory. */
  get bytesInMemory(): number {
    return this.#sums.length * this.#size * 8 + this.#bits.byteLength + this.#words.byteLength;
  }

  /**
   * Adds `ids[from, to)`, which are below `idEnd`; column c of the values is `values[c * rows + i]`, whole,
   * not negative. The sum of a column must stay below 2^53, and `columns` the same until {@link take}.
   */
  add(
    ids: Uint32Array,
    from: number,
    to: number,
    idEnd: number,
    values: Float64Array,
    rows: number,
    columns: number,
  ): void {
    this.#reserve(idEnd, columns);
    this.#added += to - from;
    const bits = this.#bits;
    const words = this.#words;
    const first = this.#sums[0] as Float64Array;
    if (this.#isFlat) {
      for (let i = from; i < to; i++) {
        const id = ids[i] as number;
        const word = id >>> 5;
        bits[word] = (bits[word] as number) | (1 << (id & 31));
        first[id] = (first[id] as number) + (values[i] as number);
      }
    } else {
      for (let i = from; i < to; i++) {
        const id = ids[i] as number;
        const word = id >>> 5;
        const seen = bits[word] as number;
        if (seen === 0) words[word >>> 5] = (words[word >>> 5] as number) | (1 << (word & 31));
        bits[word] = seen | (1 << (id & 31));
        first[id] = (first[id] as number) + (values[i] as number);
      }
    }
    for (let column = 1; column < columns; column++) {
      const sums = this.#sums[column] as Float64Array;
      const offset = column * rows;
      for (let i = from; i < to; i++) {
        const id = ids[i] as number;
        sums[id] = (sums[id] as number) + (values[offset + i] as number);
      }
    }
  }

  /**
   * Adds `count` entries of one column from their bytes, as encode.ts draws them: ids are `[idsAt, ticksAt)`,
   * ticks `[ticksAt, end)`. Returns the sum of the ticks; -1 where they do not fit there, or an id reaches
   * `idMax`: then what is in the sums is worthless, and a {@link take} makes them 0.
   */
  addEncoded(
    bytes: Uint8Array,
    count: number,
    idsAt: number,
    ticksAt: number,
    end: number,
    idMax: number,
  ): number {
    this.#reserve(1, 1);
    this.#added += count;
    this.#lacksWords = true;
    let sums = this.#sums[0] as Float64Array;
    let bits = this.#bits;
    let size = this.#size;
    let p = idsAt;
    let q = ticksAt;
    let id = -1;
    let total = 0;
    for (let left = count; left > 0; left--) {
      if (p >= ticksAt || q >= end) return -1;
      let gap = bytes[p++] as number;
      if (gap >= 0x80) {
        let byte = bytes[p++] as number;
        gap = (gap & 0x7f) | ((byte & 0x7f) << 7);
        if (byte >= 0x80) {
          byte = bytes[p++] as number;
          if (byte >= 0x80) return -1;
          gap |= byte << 14;
        }
      }
      id += gap + 1;
      if (id >= size) {
        if (id >= idMax) return -1;
        this.#reserve(id + 1, 1);
        sums = this.#sums[0] as Float64Array;
        bits = this.#bits;
        size = this.#size;
      }
      let tick = bytes[q++] as number;
      if (tick >= 0x80) {
        tick &= 0x7f;
        for (let scale = 128; ; scale *= 128) {
          const byte = bytes[q++] as number;
          tick += (byte & 0x7f) * scale;
          if (byte < 0x80) break;
          if (scale > 0x80_0000) return -1;
        }
        if (tick > 0xffff_ffff) return -1;
      }
      bits[id >>> 5] = (bits[id >>> 5] as number) | (1 << (id & 31));
      sums[id] = (sums[id] as number) + tick;
      total += tick;
    }
    return p === ticksAt && q === end ? total : -1;
  }

  /** Whether {@link drain} can be asked. */
  get canDrain(): boolean {
    return this.#isFlat;
  }

  /** There are no more stacks than this. */
  get countMax(): number {
    return Math.min(this.#added, this.#size);
  }

  /**
   * {@link take} of one column whose sums are below 2^32, without zeros, encoded on the way: gaps of ids from
   * `at` on, ticks behind them, 5 bytes of room for each. Returns the end; {@link drained} has the rest.
   */
  drain(out: Uint8Array, at: number): number {
    const bits = this.#bits;
    const sums = this.#sums[0] as Float64Array;
    if (this.#tickBytes.length < 5 * this.countMax) {
      this.#tickBytes = new Uint8Array(10 * this.countMax);
    }
    const tickBytes = this.#tickBytes;
    this.#added = 0;
    let end = at;
    let ticksEnd = 0;
    let count = 0;
    let previous = -1;
    for (let word = 0; word < bits.length; word++) {
      let rest = bits[word] as number;
      if (rest === 0) continue;
      bits[word] = 0;
      while (rest !== 0) {
        const id = (word << 5) | (31 - Math.clz32(rest & -rest));
        rest &= rest - 1;
        let tick = (sums[id] as number) >>> 0;
        if (tick === 0) continue;
        sums[id] = 0;
        let gap = id - previous - 1;
        previous = id;
        count++;
        while (gap >= 0x80) {
          out[end++] = (gap & 0x7f) | 0x80;
          gap >>>= 7;
        }
        out[end++] = gap;
        while (tick >= 0x80) {
          tickBytes[ticksEnd++] = (tick & 0x7f) | 0x80;
          tick >>>= 7;
        }
        tickBytes[ticksEnd++] = tick;
      }
    }
    out.set(tickBytes.subarray(0, ticksEnd), end);
    this.drained.count = count;
    this.drained.idsEnd = end;
    return end + ticksEnd;
  }

  /**
   * How many stacks were added since the last time: {@link stacks} and {@link ticks} begin with them,
   * until the next call, and the sums are 0 again.
   */
  take(columns: number, zeros: Zeros): number {
    const count = this.#sort(Math.min(this.#added, this.#size));
    this.#added = 0;
    if (this.ticks.length < count * columns) this.ticks = new Float64Array(2 * count * columns);
    this.stride = count;
    const sorted = this.stacks;
    const { ticks } = this;
    const only = columns === 1 ? (this.#sums[0] as Float64Array) : undefined;
    const keepsZeros = zeros === 'kept';
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const id = sorted[i] as number;
      if (only !== undefined) {
        const tick = only[id] as number;
        if (tick === 0 && !keepsZeros) continue;
        ticks[kept] = tick;
        only[id] = 0;
      } else {
        let any = keepsZeros;
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
    let count = 0;
    if (this.#isFlat) {
      for (let word = 0; word < bits.length; word++) {
        let rest = bits[word] as number;
        if (rest === 0) continue;
        bits[word] = 0;
        const base = word << 5;
        while (rest !== 0) {
          sorted[count++] = base | (31 - Math.clz32(rest & -rest));
          rest &= rest - 1;
        }
      }
      return count;
    }
    if (this.#lacksWords) {
      this.#nameWords();
      this.#lacksWords = false;
    }
    const words = this.#words;
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

  /** The second level for what the first one has. */
  #nameWords(): void {
    this.#isFlat = false;
    for (let word = 0; word < this.#bits.length; word++) {
      if (this.#bits[word] === 0) continue;
      this.#words[word >>> 5] = (this.#words[word >>> 5] as number) | (1 << (word & 31));
    }
  }

  #reserve(idEnd: number, columns: number): void {
    if (idEnd > this.#size) {
      this.#size = Math.max(1_024, Math.ceil(idEnd * 1.25));
      for (const [c, sums] of this.#sums.entries()) {
        this.#sums[c] = new Float64Array(this.#size);
        if (this.#added > 0) this.#sums[c].set(sums);
      }
      const words = (this.#size >>> 5) + 1;
      this.#bits = grown(this.#bits, words);
      this.#words = grown(this.#words, (words >>> 5) + 1);
      if (this.#isFlat && words > FLAT_WORDS) this.#nameWords();
    }
    while (this.#sums.length < columns) this.#sums.push(new Float64Array(this.#size));
  }
}

/** A word without bits costs half a nanosecond: 32,768 stacks as much as fifty entries. */
const FLAT_WORDS = 1_024;

function grown(array: Uint32Array, length: number): Uint32Array {
  const larger = new Uint32Array(length);
  larger.set(array);
  return larger;
}
