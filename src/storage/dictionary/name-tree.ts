import { growI32, growU32 } from './grow.ts';
import { HashTable } from './hash-table.ts';
import { hashPair, type Hashing } from './hashing.ts';
import type { Nodes } from './nodes.ts';
import type { Stacks } from './stacks.ts';

/** Ids of display names beside the string table begin here. */
export const SIDE_NAMES = 0x8000_0000;

/**
 * The stack tree folded to function names, in columns; a child's index is greater than its
 * parent's. Columns are valid until the dictionary grows, and only `[0, count)` (of `ofStack`:
 * `[0, stacks)`) means something.
 */
export interface NameIndex {
  readonly count: number;
  /** NO_PARENT = under the root. */
  readonly parent: Int32Array;
  /** Name ids, for `Dictionary.nameText`: a string id, or SIDE_NAMES and above. */
  readonly name: Uint32Array;
  /** Name node of each stack. */
  readonly ofStack: Uint32Array;
}

/** Builds a {@link NameIndex} and extends it as the dictionary grows. */
export class NameTree implements NameIndex {
  count = 0;
  parent: Int32Array = new Int32Array(0);
  name: Uint32Array = new Uint32Array(0);
  ofStack: Uint32Array = new Uint32Array(0);
  #nodesDone = 0;
  #stacksDone = 0;
  #ofNode: Uint32Array = new Uint32Array(0);
  readonly #hashing: Hashing;
  readonly #table: HashTable;
  readonly #nodes: Nodes;
  readonly #stacks: Stacks;
  readonly #nameOfFrame: (frame: number) => number;
  readonly #hashOf = (id: number): number =>
    hashPair(this.#hashing, this.parent[id] as number, this.name[id] as number);

  constructor(
    hashing: Hashing,
    nodes: Nodes,
    stacks: Stacks,
    nameOfFrame: (frame: number) => number,
  ) {
    this.#hashing = hashing;
    this.#table = new HashTable(hashing);
    this.#nodes = nodes;
    this.#stacks = stacks;
    this.#nameOfFrame = nameOfFrame;
  }

  /** Bytes held. */
  get bytesInMemory(): number {
    return (
      this.parent.byteLength +
      this.name.byteLength +
      this.ofStack.byteLength +
      this.#ofNode.byteLength +
      this.#table.bytesInMemory
    );
  }

  /** Takes up to `nodesMax` nodes more; true when the tree is complete. */
  extend(nodesMax: number): boolean {
    const { parent, frame, count } = this.#nodes;
    const end = Math.min(count, this.#nodesDone + nodesMax);
    // At once, for the most that there can be: what is never written takes no memory, copies would.
    const most = this.count + count - this.#nodesDone;
    this.parent = growI32(this.parent, most);
    this.name = growU32(this.name, most);
    this.#ofNode = growU32(this.#ofNode, count);
    for (let node = this.#nodesDone; node < end; node++) {
      const above = parent[node] as number;
      const under = above < 0 ? above : (this.#ofNode[above] as number);
      this.#ofNode[node] = this.#intern(under, this.#nameOfFrame(frame[node] as number));
    }
    this.#nodesDone = end;
    if (end < count) return false;
    if (this.count < this.parent.length / 2) {
      this.parent = this.parent.slice(0, this.count);
      this.name = this.name.slice(0, this.count);
    }
    const { node, count: stacks } = this.#stacks;
    this.ofStack = growU32(this.ofStack, stacks);
    for (let stack = this.#stacksDone; stack < stacks; stack++) {
      this.ofStack[stack] = this.#ofNode[node[stack] as number] as number;
    }
    this.#stacksDone = stacks;
    return true;
  }

  #intern(parent: number, name: number): number {
    const hash = hashPair(this.#hashing, parent, name);
    const { slots, mask, bits } = this.#table;
    for (let at = hash & bits; ; at = (at + 1) & mask) {
      const id = (slots[at] as number) - 1;
      if (id < 0) break;
      if (this.name[id] === name && this.parent[id] === parent) return id;
    }
    const id = this.count;
    this.parent[id] = parent;
    this.name[id] = name;
    this.count = id + 1;
    this.#table.insert(id, hash, this.#hashOf);
    return id;
  }
}
