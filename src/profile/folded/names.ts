import { systemRandom, type Random } from '../../base/random.ts';

/**
 * Rows of names by their bytes: the first occurrence of a name in the text stands for all. A hash
 * table with a secret seed, because the names are chosen by the sender.
 */
export class NameTable {
  readonly #seed: number;
  #slots = new Uint32Array(1_024);
  #hashes = new Uint32Array(512);
  #start = new Uint32Array(512);
  #end = new Uint32Array(512);
  /** Names so far. */
  count = 0;

  constructor(random: Random = systemRandom) {
    this.#seed = random.u32();
  }

  /** Forgets all names. */
  reset(): void {
    this.#slots.fill(0);
    this.count = 0;
  }

  /** Row of the name in `bytes[start, end)`; a new row if it has none. */
  rowOf(bytes: Uint8Array, start: number, end: number): number {
    let hash = this.#seed;
    for (let at = start; at < end; at++) {
      hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
      hash ^= hash >>> 15;
    }
    hash >>>= 0;
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const row = (this.#slots[slot] as number) - 1;
      if (row < 0) break;
      if (this.#hashes[row] === hash && this.#equals(bytes, row, start, end)) return row;
      slot = (slot + 1) & mask;
    }
    return this.#add(hash, slot, start, end);
  }

  /** Where the name of a row lies. */
  startOf(row: number): number {
    return this.#start[row] as number;
  }

  endOf(row: number): number {
    return this.#end[row] as number;
  }

  #equals(bytes: Uint8Array, row: number, start: number, end: number): boolean {
    const other = this.#start[row] as number;
    if ((this.#end[row] as number) - other !== end - start) return false;
    for (let i = 0; i < end - start; i++) if (bytes[other + i] !== bytes[start + i]) return false;
    return true;
  }

  #add(hash: number, slot: number, start: number, end: number): number {
    const row = this.count++;
    if (row === this.#hashes.length) {
      this.#hashes = doubled(this.#hashes);
      this.#start = doubled(this.#start);
      this.#end = doubled(this.#end);
    }
    this.#hashes[row] = hash;
    this.#start[row] = start;
    this.#end[row] = end;
    this.#slots[slot] = row + 1;
    if (this.count * 2 > this.#slots.length) this.#rehash();
    return row;
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let row = 0; row < this.count; row++) {
      let slot = (this.#hashes[row] as number) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = row + 1;
    }
    this.#slots = slots;
  }
}

/** A copy of twice the length. */
export function doubled<T extends Uint32Array | Float64Array>(column: T): T {
  const longer = new (column.constructor as new (length: number) => T)(column.length * 2);
  longer.set(column);
  return longer;
}
