import { assert } from '../../base/assert.ts';
import { growI32, growU32 } from './grow.ts';
import { HashTable } from './hash-table.ts';
import { hashPair, type Hashing } from './hashing.ts';
import { DAMAGED_FRAME, NO_PARENT } from './rows.ts';

/** The table of nodes of the stack tree: (parent, frame); a child's id is greater than its parent's. */
export class Nodes {
  count = 0;
  parent: Int32Array = new Int32Array(0);
  frame: Uint32Array = new Uint32Array(0);
  #indexed = 0;
  readonly #hashing: Hashing;
  readonly #table: HashTable;
  readonly #hashOf = (id: number): number =>
    hashPair(this.#hashing, this.parent[id] as number, this.frame[id] as number);

  constructor(hashing: Hashing) {
    this.#hashing = hashing;
    this.#table = new HashTable(hashing);
    this.#push(NO_PARENT, DAMAGED_FRAME);
  }

  /** Bytes held. */
  get bytesInMemory(): number {
    return this.parent.byteLength + this.frame.byteLength + this.#table.bytesInMemory;
  }

  /** Id of the child of `parent` (or NO_PARENT) with `frame`. */
  intern(parent: number, frame: number): number {
    if (this.#indexed !== this.count) this.#index();
    const hash = hashPair(this.#hashing, parent, frame);
    const found = this.#find(hash, parent, frame);
    if (found >= 0) return found;
    const id = this.#push(parent, frame);
    this.#table.insert(id, hash, this.#hashOf);
    this.#indexed = id + 1;
    return id;
  }

  /** Id of the node at the end of the chain of `frames[start, end)` from the root. */
  internChain(frames: Uint32Array, start: number, end: number): number {
    if (this.#indexed !== this.count) this.#index();
    let node = NO_PARENT;
    let i = start;
    for (; i < end; i++) {
      const frame = frames[i] as number;
      const found = this.#find(hashPair(this.#hashing, node, frame), node, frame);
      if (found < 0) break;
      node = found;
    }
    // Below a new node everything is new: no need to look.
    this.#table.reserve(this.count + end - i, this.#hashOf);
    for (; i < end; i++) {
      const frame = frames[i] as number;
      const hash = hashPair(this.#hashing, node, frame);
      node = this.#push(node, frame);
      this.#table.insert(node, hash, this.#hashOf);
    }
    this.#indexed = this.count;
    return node;
  }

  /** Adds rows as they are. */
  pushRows(parent: Int32Array, frame: Uint32Array): void {
    this.parent = growI32(this.parent, this.count + parent.length);
    this.frame = growU32(this.frame, this.count + parent.length);
    this.parent.set(parent, this.count);
    this.frame.set(frame, this.count);
    this.count += parent.length;
  }

  #push(parent: number, frame: number): number {
    const id = this.count;
    assert(parent < id, `node ${id} under ${parent}`);
    this.parent = growI32(this.parent, id + 1);
    this.frame = growU32(this.frame, id + 1);
    this.parent[id] = parent;
    this.frame[id] = frame;
    this.count = id + 1;
    return id;
  }

  #find(hash: number, parent: number, frame: number): number {
    const { slots, mask, bits } = this.#table;
    for (let at = hash & bits; ; at = (at + 1) & mask) {
      const id = (slots[at] as number) - 1;
      if (id < 0 || (this.frame[id] === frame && this.parent[id] === parent)) return id;
    }
  }

  #index(): void {
    this.#table.reserve(this.count, this.#hashOf);
    for (let id = this.#indexed; id < this.count; id++) {
      const hash = this.#hashOf(id);
      // Damaged nodes are all alike: only the first of equal rows goes into the table.
      if (this.#find(hash, this.parent[id] as number, this.frame[id] as number) < 0) {
        this.#table.insert(id, hash, this.#hashOf);
      }
    }
    this.#indexed = this.count;
  }
}
