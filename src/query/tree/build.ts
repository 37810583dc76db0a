import { lanesOf } from './lanes.ts';
import { type NameTree, ROOT_NAME } from './name-tree.ts';
import { PairTable } from './pair-table.ts';

/** Makes a name tree from stacks of texts: for decoded profiles, where there is no dictionary. */
export class NameTreeBuilder {
  readonly #names = [ROOT_NAME];
  readonly #nameIndex = new Map([[ROOT_NAME, 0]]);
  readonly #nodes = new PairTable(1, 1024);
  readonly #self: bigint[] = [0n];

  /** Adds `value` (not negative) to the stack `frames`, root first. */
  add(frames: Iterable<string>, value: bigint): void {
    let node = 0;
    for (const frame of frames) {
      let name = this.#nameIndex.get(frame);
      if (name === undefined) {
        name = this.#names.push(frame) - 1;
        this.#nameIndex.set(frame, name);
      }
      node = this.#nodes.intern(node, name);
      if (node === this.#self.length) this.#self.push(0n);
    }
    this.#self[node] = (this.#self[node] ?? 0n) + value;
  }

  /** The tree of what was added. */
  finish(): NameTree {
    const parent = this.#nodes.a.slice(0, this.#nodes.end);
    parent[0] = -1;
    return {
      names: this.#names,
      parent,
      name: this.#nodes.b.slice(0, this.#nodes.end),
      self: lanesOf(this.#self),
    };
  }
}
