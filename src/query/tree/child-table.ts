import { PairTable } from './pair-table.ts';

/** Children of a node that are looked through one by one; a node with more is looked up by hash. */
const WALKED = 8;
/** In `steps`: the children are in the table of pairs. */
const HASHED = 255;

/**
 * Numbers the nodes of a joined tree by (parent, name) densely from 1; 0 is the root. Trees that are
 * joined come in about the same order, so that walking the few children of a node stays in the
 * cache, where a hash goes to memory for each node.
 */
export class ChildTable {
  /** Valid up to `end`. */
  parent: Int32Array;
  name: Uint32Array;
  /** One past the last node. */
  end = 1;
  #first: Int32Array;
  #next: Int32Array;
  /** Children that a node has, up to WALKED, or HASHED. */
  #steps: Uint8Array;
  #wide: PairTable | undefined;
  /** Node of each pair in `#wide`. */
  #wideNodes: Int32Array = new Int32Array(64);

  /** `expected` nodes fit without growing. */
  constructor(expected: number) {
    const size = expected + 16;
    this.parent = new Int32Array(size);
    this.name = new Uint32Array(size);
    this.#first = new Int32Array(size);
    this.#next = new Int32Array(size);
    this.#steps = new Uint8Array(size);
    this.parent[0] = -1;
  }

  /** The child of `parent` with a name; made where it is missing. */
  intern(parent: number, name: number): number {
    const steps = this.#steps[parent] as number;
    if (steps === HASHED) return this.#internWide(parent, name);
    for (let at = this.#first[parent] as number; at !== 0; at = this.#next[at] as number) {
      if (this.name[at] === name) return at;
    }
    if (steps === WALKED) {
      this.#widen(parent);
      return this.#internWide(parent, name);
    }
    const id = this.#append(parent, name);
    this.#next[id] = this.#first[parent] as number;
    this.#first[parent] = id;
    this.#steps[parent] = steps + 1;
    return id;
  }

  #append(parent: number, name: number): number {
    const id = this.end++;
    if (id >= this.parent.length) this.#grow();
    this.parent[id] = parent;
    this.name[id] = name;
    return id;
  }

  #internWide(parent: number, name: number): number {
    const wide = this.#wide as PairTable;
    const before = wide.end;
    const pair = wide.intern(parent, name);
    if (pair < before) return this.#wideNodes[pair] as number;
    const id = this.#append(parent, name);
    this.#setWide(pair, id);
    return id;
  }

  #widen(parent: number): void {
    this.#wide ??= new PairTable(1, 64);
    for (let at = this.#first[parent] as number; at !== 0; at = this.#next[at] as number) {
      this.#setWide(this.#wide.intern(parent, this.name[at] as number), at);
    }
    this.#steps[parent] = HASHED;
  }

  #setWide(pair: number, id: number): void {
    if (pair >= this.#wideNodes.length) {
      const wider = new Int32Array(this.#wideNodes.length * 2);
      wider.set(this.#wideNodes);
      this.#wideNodes = wider;
    }
    this.#wideNodes[pair] = id;
  }

  #grow(): void {
    const size = this.parent.length * 2;
    this.parent = copied(this.parent, new Int32Array(size));
    this.name = copied(this.name, new Uint32Array(size));
    this.#first = copied(this.#first, new Int32Array(size));
    this.#next = copied(this.#next, new Int32Array(size));
    this.#steps = copied(this.#steps, new Uint8Array(size));
  }
}

function copied<T extends Int32Array | Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
