import { growU32 } from './grow.ts';
import { HashTable } from './hash-table.ts';
import type { Hashing } from './hashing.ts';
import type { Nodes } from './nodes.ts';

/** Pending stacks per node above which one pass over all nodes is cheaper than walking each. */
const WALK_SHARE = 32;

/**
 * The table of stacks: nodes where samples ended, found by a hash of the whole stack in two lanes
 * of 32 bits, chained from the root: hash(node) = step(hash(parent), frame). A stack that is known
 * is found without touching the tree: a hit compares both lanes, the depth and the leaf frame.
 */
export class Stacks {
  count = 0;
  node: Uint32Array = new Uint32Array(0);
  #low: Int32Array = new Int32Array(0);
  #high: Int32Array = new Int32Array(0);
  #depth: Uint32Array = new Uint32Array(0);
  #leaf: Uint32Array = new Uint32Array(0);
  #indexed = 0;
  /** The row after the one found last: agents list stacks in the same order again and again. */
  #next = 0;
  readonly #hashing: Hashing;
  readonly #nodes: Nodes;
  readonly #table: HashTable;
  readonly #hashOf = (id: number): number => this.#low[id] as number;

  constructor(hashing: Hashing, nodes: Nodes) {
    this.#hashing = hashing;
    this.#nodes = nodes;
    this.#table = new HashTable(hashing);
  }

  /** Has the next look-up try row `id` first. */
  guess(id: number): void {
    this.#next = id;
  }

  /** Bytes held. */
  get bytesInMemory(): number {
    return this.node.byteLength + this.#low.byteLength * 4 + this.#table.bytesInMemory;
  }

  /** Must be called before a run of {@link find}: hashes the rows that came without a look-up. */
  prepare(): void {
    if (this.#indexed !== this.count) this.#index();
  }

  /** Id of the stack with this hash (signed lanes), depth in frames and leaf frame, or -1. */
  find(low: number, high: number, depth: number, leaf: number): number {
    const next = this.#next;
    if (next < this.#indexed && this.#is(next, low, high, depth, leaf)) {
      this.#next = next + 1;
      return next;
    }
    const { slots, mask, bits } = this.#table;
    for (let at = low & bits; ; at = (at + 1) & mask) {
      const id = (slots[at] as number) - 1;
      if (id < 0) return id;
      if (this.#is(id, low, high, depth, leaf)) {
        this.#next = id + 1;
        return id;
      }
    }
  }

  #is(id: number, low: number, high: number, depth: number, leaf: number): boolean {
    return (
      this.#low[id] === low &&
      this.#high[id] === high &&
      this.#depth[id] === depth &&
      this.#leaf[id] === leaf
    );
  }

  /** Adds a stack that {@link find} did not find. */
  add(node: number, low: number, high: number, depth: number, leaf: number): number {
    const id = this.count;
    this.node = growU32(this.node, id + 1);
    this.node[id] = node;
    this.count = id + 1;
    this.#remember(id, low, high, depth, leaf);
    this.#indexed = id + 1;
    this.#next = id + 1;
    return id;
  }

  /** Id of the stack that ends at a node of this dictionary. */
  internNode(node: number): number {
    this.prepare();
    const { low, high, depth, leaf } = this.#walk(node);
    const found = this.find(low, high, depth, leaf);
    return found >= 0 ? found : this.add(node, low, high, depth, leaf);
  }

  /** Adds rows as they are. */
  pushRows(node: Uint32Array): void {
    this.node = growU32(this.node, this.count + node.length);
    this.node.set(node, this.count);
    this.count += node.length;
  }

  #remember(id: number, low: number, high: number, depth: number, leaf: number): void {
    this.#reserve(id + 1);
    this.#low[id] = low;
    this.#high[id] = high;
    this.#depth[id] = depth;
    this.#leaf[id] = leaf;
    this.#table.insert(id, low, this.#hashOf);
  }

  #reserve(rows: number): void {
    if (rows <= this.#depth.length) return;
    this.#depth = growU32(this.#depth, rows);
    this.#leaf = growU32(this.#leaf, rows);
    const low = new Int32Array(this.#depth.length);
    low.set(this.#low);
    this.#low = low;
    const high = new Int32Array(this.#depth.length);
    high.set(this.#high);
    this.#high = high;
  }

  /** Rows that came without being looked up are hashed at the first need. */
  #index(): void {
    const pending = this.count - this.#indexed;
    this.#reserve(this.count);
    this.#table.reserve(this.count, this.#hashOf);
    if (pending * WALK_SHARE < this.#nodes.count) {
      for (let id = this.#indexed; id < this.count; id++) {
        const { low, high, depth, leaf } = this.#walk(this.node[id] as number);
        this.#index1(id, low, high, depth, leaf);
      }
    } else {
      this.#indexInOnePass();
    }
    this.#indexed = this.count;
  }

  /** Damaged stacks are all alike: only the first of equal rows goes into the table. */
  #index1(id: number, low: number, high: number, depth: number, leaf: number): void {
    if (this.find(low, high, depth, leaf) < 0) this.#remember(id, low, high, depth, leaf);
  }

  #indexInOnePass(): void {
    const { parent, frame, count } = this.#nodes;
    const { startLow, startHigh, multiplierLow, multiplierHigh } = this.#hashing;
    const lows = new Int32Array(count);
    const highs = new Int32Array(count);
    const depths = new Uint32Array(count);
    for (let node = 0; node < count; node++) {
      const above = parent[node] as number;
      const leaf = frame[node] as number;
      const low = Math.imul((above < 0 ? startLow : (lows[above] as number)) ^ leaf, multiplierLow);
      const high = Math.imul(
        (above < 0 ? startHigh : (highs[above] as number)) + leaf,
        multiplierHigh,
      );
      lows[node] = low ^ (low >>> 15);
      highs[node] = high ^ (high >>> 13);
      depths[node] = above < 0 ? 1 : (depths[above] as number) + 1;
    }
    for (let id = this.#indexed; id < this.count; id++) {
      const node = this.node[id] as number;
      this.#index1(
        id,
        lows[node] as number,
        highs[node] as number,
        depths[node] as number,
        frame[node] as number,
      );
    }
  }

  #walk(node: number): { low: number; high: number; depth: number; leaf: number } {
    const { parent, frame } = this.#nodes;
    const chain: number[] = [];
    for (let at = node; at >= 0; at = parent[at] as number) chain.push(frame[at] as number);
    const { multiplierLow, multiplierHigh } = this.#hashing;
    let low = this.#hashing.startLow;
    let high = this.#hashing.startHigh;
    for (let i = chain.length - 1; i >= 0; i--) {
      const step = chain[i] as number;
      low = Math.imul(low ^ step, multiplierLow);
      low ^= low >>> 15;
      high = Math.imul(high + step, multiplierHigh);
      high ^= high >>> 13;
    }
    return { low, high, depth: chain.length, leaf: frame[node] as number };
  }
}
