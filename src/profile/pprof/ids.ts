import { systemRandom, type Random } from '../../base/random.ts';
import { grown } from './scratch.ts';

/**
 * From the ids of a file (any non-zero u64) to rows. Nearly all writers number their rows 1, 2, 3,
 * …: then the row is a subtraction and nothing is stored. Otherwise a hash table with a secret
 * seed, because the ids are chosen by the sender.
 */
export class IdTable {
  #low = new Uint32Array(0);
  #high = new Uint32Array(0);
  #slots = new Uint32Array(0);
  #mask = 0;
  #count = 0;
  readonly #seedA: number;
  readonly #seedB: number;
  /** The id of row 0 where ids are contiguous; -1 where they are not. */
  base = 1;

  constructor(random: Random = systemRandom) {
    this.#seedA = random.u32();
    this.#seedB = random.u32() | 1;
  }

  /** Forgets all ids; `count` will come. */
  begin(count: number): void {
    this.#count = count;
    this.base = 1;
  }

  /** Sets the id of `row`; rows come in order. Halves as 32-bit numbers of either sign. */
  push(row: number, low: number, high: number): void {
    if (high === 0 && low === this.base + row && this.base > 0) return;
    this.#pushIrregular(row, low, high);
  }

  #pushIrregular(row: number, low: number, high: number): void {
    if (row === 0 && high === 0 && low > 0 && low < 0x7000_0000) {
      this.base = low;
      return;
    }
    if (this.base > 0) {
      if (this.#low.length < this.#count) {
        this.#low = grown(this.#low, this.#count);
        this.#high = grown(this.#high, this.#count);
      }
      for (let i = 0; i < row; i++) this.#low[i] = this.base + i;
      this.#high.fill(0, 0, row);
      this.base = -1;
    }
    this.#low[row] = low;
    this.#high[row] = high;
  }

  /** To be called when all ids are there. Returns the row of a repeated id, or -1. */
  index(): number {
    return this.base > 0 ? -1 : this.#hashAll();
  }

  /** Row of an id, or -1. Halves as 32-bit numbers of either sign. */
  find(low: number, high: number): number {
    if (this.base > 0) {
      const row = low - this.base;
      return high === 0 && row >= 0 && row < this.#count ? row : -1;
    }
    const slots = this.#slots;
    const lowWanted = low >>> 0;
    const highWanted = high >>> 0;
    let slot = this.#hash(low, high);
    for (;;) {
      const row = (slots[slot] as number) - 1;
      if (row < 0) return -1;
      if (this.#low[row] === lowWanted && this.#high[row] === highWanted) return row;
      slot = (slot + 1) & this.#mask;
    }
  }

  #hashAll(): number {
    const count = this.#count;
    let size = 16;
    while (size < count * 2) size *= 2;
    if (this.#slots.length < size) this.#slots = new Uint32Array(size);
    else this.#slots.fill(0, 0, size);
    this.#mask = size - 1;
    for (let row = 0; row < count; row++) {
      const low = this.#low[row] as number;
      const high = this.#high[row] as number;
      let slot = this.#hash(low, high);
      for (;;) {
        const other = (this.#slots[slot] as number) - 1;
        if (other < 0) break;
        if (this.#low[other] === low && this.#high[other] === high) return row;
        slot = (slot + 1) & this.#mask;
      }
      this.#slots[slot] = row + 1;
    }
    return -1;
  }

  #hash(low: number, high: number): number {
    let hash = Math.imul(low ^ this.#seedA, 0x85ebca6b);
    hash ^= hash >>> 15;
    hash = Math.imul(hash ^ high, this.#seedB);
    hash ^= hash >>> 13;
    hash = Math.imul(hash, 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) & this.#mask;
  }
}
