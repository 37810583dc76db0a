/**
 * Numbers pairs of u32 (a, b) densely from `first` in order of first sight: the nodes of a joined
 * tree by (parent, name), the locations of a profile by (outer location, frame). Open addressing
 * over typed arrays, no object a pair.
 */
export class PairTable {
  /** The pairs by id; ids below `first` are not used. Valid up to `end`. */
  a: Int32Array;
  b: Uint32Array;
  /** One past the last id. */
  end: number;
  #slots: Int32Array;
  #mask: number;

  /** `first` >= 1; `expected` pairs fit without growing. */
  constructor(first: number, expected: number) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(16, expected * 2)));
    this.a = new Int32Array(first + expected + 16);
    this.b = new Uint32Array(first + expected + 16);
    this.end = first;
    this.#slots = new Int32Array(capacity);
    this.#mask = capacity - 1;
  }

  /** The id of (a, b); -1 <= a. */
  intern(a: number, b: number): number {
    const slots = this.#slots;
    const mask = this.#mask;
    let at = hash(a, b) & mask;
    for (;;) {
      const id = slots[at] as number;
      if (id === 0) break;
      if (this.a[id] === a && this.b[id] === b) return id;
      at = (at + 1) & mask;
    }
    const id = this.end++;
    slots[at] = id;
    if (id >= this.a.length) this.#growPairs();
    this.a[id] = a;
    this.b[id] = b;
    if (this.end * 2 > slots.length) this.#growSlots();
    return id;
  }

  #growPairs(): void {
    const a = new Int32Array(this.a.length * 2);
    const b = new Uint32Array(this.a.length * 2);
    a.set(this.a);
    b.set(this.b);
    this.a = a;
    this.b = b;
  }

  #growSlots(): void {
    const old = this.#slots;
    const slots = new Int32Array(old.length * 2);
    const mask = slots.length - 1;
    for (const id of old) {
      if (id === 0) continue;
      let at = hash(this.a[id] as number, this.b[id] as number) & mask;
      while (slots[at] !== 0) at = (at + 1) & mask;
      slots[at] = id;
    }
    this.#slots = slots;
    this.#mask = mask;
  }
}

function hash(a: number, b: number): number {
  let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return (h ^ (h >>> 13)) >>> 0;
}
