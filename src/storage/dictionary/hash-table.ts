import type { Hashing } from './hashing.ts';

/**
 * Slots of an open-addressing table over rows that live elsewhere: a slot holds a row id + 1, 0 is
 * free; linear probing. The owner of the rows walks the slots itself, because only it can compare:
 *
 *     for (let at = hash & table.bits; ; at = (at + 1) & table.mask) {
 *       const id = table.slots[at] - 1; if (id < 0) break; if (same(id)) return id;
 *     }
 *
 * `bits` is `mask` but in tests that force collisions.
 */
export class HashTable {
  slots: Uint32Array = new Uint32Array(16);
  mask = 15;
  bits: number;
  readonly #slotBits: number;
  #used = 0;

  constructor(hashing: Hashing) {
    this.#slotBits = hashing.slotBits;
    this.bits = 15 & this.#slotBits;
  }

  /** Bytes held. */
  get bytesInMemory(): number {
    return this.slots.byteLength;
  }

  /**
   * Adds a row that is not in the table. `hashOf` gives the hash of any row in it; it is called for
   * all of them when the table grows.
   */
  insert(id: number, hash: number, hashOf: (id: number) => number): void {
    // Load at most 5/8: beyond that, misses of linear probing grow long.
    if ((this.#used + 1) * 8 > this.slots.length * 5) this.reserve(this.#used + 1, hashOf);
    this.#place(id + 1, hash);
    this.#used++;
  }

  /** Makes room for `count` rows in all. */
  reserve(count: number, hashOf: (id: number) => number): void {
    let size = this.slots.length;
    while (count * 8 > size * 5) size *= 2;
    if (size === this.slots.length) return;
    const old = this.slots;
    this.slots = new Uint32Array(size);
    this.mask = size - 1;
    this.bits = this.mask & this.#slotBits;
    for (const slot of old) if (slot !== 0) this.#place(slot, hashOf(slot - 1));
  }

  #place(slot: number, hash: number): void {
    const { slots, mask } = this;
    let at = hash & this.bits;
    while (slots[at] !== 0) at = (at + 1) & mask;
    slots[at] = slot;
  }
}
