import { type Steps, sweep } from '../../base/steps.ts';
import { ChildTable } from './child-table.ts';
import { FrameTables, type FrameTablesSource } from './frame-tables.ts';
import type { FrameTree } from './frame-tree.ts';
import { sumMapped } from './join.ts';
import { isSet, type Lanes } from './lanes.ts';

/** What a dictionary knows of frames: see `Dictionary` in src/storage/dictionary. */
export interface FrameSource extends FrameTablesSource {
  /** -1 = under the root; otherwise less than the node's own id. */
  readonly nodeParent: Int32Array;
  readonly nodeFrame: Uint32Array;
  /** Node in which a stack ends. */
  readonly stackNode: Uint32Array;
}

/** Sums of the stacks of one dictionary. */
export interface FrameSums {
  readonly source: FrameSource;
  readonly sums: Lanes;
}

/**
 * The tree of several dictionaries' stack sums, added up by the content of frames; only nodes with
 * weight in or under them.
 */
export function* frameTreeOf(parts: readonly FrameSums[]): Steps<FrameTree> {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) {
    const tree = yield* treeOfOne(only);
    if (tree !== undefined) return tree;
  }
  const join = new Join(Math.max(0, ...parts.map(({ source }) => source.nodeParent.length)));
  for (const { source, sums } of parts) yield* join.addSums(source, sums);
  return yield* join.finish();
}

/** Adds up trees by the content of their frames. No tree gives an empty one. */
export function* joinFrameTrees(trees: readonly FrameTree[]): Steps<FrameTree> {
  const [first] = trees;
  if (first !== undefined && trees.length === 1) return first;
  const join = new Join(Math.max(0, ...trees.map(({ parent }) => parent.length)));
  for (const tree of trees) yield* join.addTree(tree);
  return yield* join.finish();
}

/** Nodes that are joined without a break: a frame that is new is looked up by its texts. */
const JOINED_AT_ONCE = 2_048;

/** A tree that others are added to. */
class Join {
  readonly #tables = new FrameTables();
  readonly #nodes: ChildTable;
  readonly #parts: Lanes[] = [];
  /** Node of each element of a part. */
  readonly #maps: Uint32Array[] = [];

  constructor(expected: number) {
    this.#nodes = new ChildTable(expected);
  }

  *addSums(source: FrameSource, sums: Lanes): Steps<void> {
    // Taken together: the dictionary may grow from here on.
    const { nodeParent, nodeFrame, stackNode } = source;
    const frameOf = this.#tables.from(source);
    const alive = yield* nodesAlive(nodeParent, stackNode, sums);
    const nodeOf = new Uint32Array(nodeParent.length);
    const nodes = this.#nodes;
    const join = (from: number, to: number): void => {
      for (let i = from; i < to; i++) {
        if (alive[i] === 0) continue;
        const above = nodeParent[i] as number;
        const parent = above < 0 ? 0 : (nodeOf[above] as number);
        nodeOf[i] = nodes.intern(parent, frameOf(nodeFrame[i] as number));
      }
    };
    yield* sweep(0, nodeParent.length, join, JOINED_AT_ONCE);
    // Stacks without weight go to the root, which takes nothing from them.
    const map = new Uint32Array(sums.lo.length);
    yield* sweep(0, map.length, (from, to) => {
      for (let s = from; s < to; s++) {
        if (isSet(sums, s)) map[s] = nodeOf[stackNode[s] as number] as number;
      }
    });
    this.#parts.push(sums);
    this.#maps.push(map);
  }

  *addTree({ parent, frame, frames, functions, strings, self }: FrameTree): Steps<void> {
    const frameOf = this.#tables.from({ frames, functions, text: (id) => strings[id] as string });
    const map = new Uint32Array(parent.length);
    const nodes = this.#nodes;
    const join = (from: number, to: number): void => {
      for (let i = from; i < to; i++) {
        const above = map[parent[i] as number] as number;
        map[i] = nodes.intern(above, frameOf(frame[i] as number));
      }
    };
    yield* sweep(1, map.length, join, JOINED_AT_ONCE);
    this.#parts.push(self);
    this.#maps.push(map);
  }

  *finish(): Steps<FrameTree> {
    const { parent, name, end } = this.#nodes;
    return {
      strings: this.#tables.strings,
      functions: yield* this.#tables.functionColumns(),
      frames: yield* this.#tables.frameColumns(),
      parent: parent.slice(0, end),
      frame: name.slice(0, end),
      self: yield* sumMapped(this.#parts, this.#maps, end),
    };
  }
}

/**
 * The tree of one dictionary, whose nodes are all different already: what has weight is numbered, and nothing
 * is looked up. Undefined if two of its frames are one by content, as damaged ones are.
 */
function* treeOfOne({ source, sums }: FrameSums): Steps<FrameTree | undefined> {
  // Taken together: the dictionary may grow from here on.
  const { nodeParent, nodeFrame, stackNode } = source;
  const tables = new FrameTables();
  const frameOf = tables.from(source);
  const nodeOf = new Uint32Array(nodeParent.length);
  yield* markAlive(nodeParent, stackNode, sums, nodeOf);
  let count = 1;
  yield* sweep(0, nodeOf.length, (from, to) => {
    for (let i = from; i < to; i++) if (nodeOf[i] !== 0) nodeOf[i] = count++;
  });
  const parent = new Int32Array(count);
  const frame = new Uint32Array(count);
  parent[0] = -1;
  /** Of each frame of the tree: which one of the dictionary it is. */
  const origin: number[] = [];
  let isOneToOne = true;
  const fill = (from: number, to: number): void => {
    for (let i = from; i < to && isOneToOne; i++) {
      const node = nodeOf[i] as number;
      if (node === 0) continue;
      const own = nodeFrame[i] as number;
      const index = frameOf(own);
      isOneToOne &&= (origin[index] ??= own) === own;
      const above = nodeParent[i] as number;
      parent[node] = above < 0 ? 0 : (nodeOf[above] as number);
      frame[node] = index;
    }
  };
  yield* sweep(0, nodeOf.length, fill, JOINED_AT_ONCE);
  if (!isOneToOne) return undefined;
  const map = new Uint32Array(sums.lo.length);
  yield* sweep(0, map.length, (from, to) => {
    for (let s = from; s < to; s++) {
      if (isSet(sums, s)) map[s] = nodeOf[stackNode[s] as number] as number;
    }
  });
  return {
    strings: tables.strings,
    functions: yield* tables.functionColumns(),
    frames: yield* tables.frameColumns(),
    parent,
    frame,
    self: yield* sumMapped([sums], [map], count),
  };
}

/** 1 for each node with weight in or under it. */
function* nodesAlive(
  nodeParent: Int32Array,
  stackNode: Uint32Array,
  sums: Lanes,
): Steps<Uint8Array> {
  const alive = new Uint8Array(nodeParent.length);
  yield* markAlive(nodeParent, stackNode, sums, alive);
  return alive;
}

/** Sets `alive` to 1 for each node with weight in or under it. */
function* markAlive(
  nodeParent: Int32Array,
  stackNode: Uint32Array,
  sums: Lanes,
  alive: Uint8Array | Uint32Array,
): Steps<void> {
  yield* sweep(0, sums.lo.length, (from, to) => {
    for (let s = from; s < to; s++) {
      if (!isSet(sums, s)) continue;
      let node = stackNode[s] as number;
      while (node >= 0 && alive[node] === 0) {
        alive[node] = 1;
        node = nodeParent[node] as number;
      }
    }
  });
}
