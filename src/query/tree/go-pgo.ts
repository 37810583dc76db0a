import { type Steps, sweep } from '../../base/steps.ts';
import { FRAME_INLINED } from '../../storage/dictionary/rows.ts';
import type { GoPgoShape } from '../request.ts';
import type { FrameTree } from './frame-tree.ts';
import { sumMapped } from './join.ts';
import { isSet } from './lanes.ts';
import { PairTable } from './pair-table.ts';

/**
 * The tree as Go's profile-guided optimisation wants it: of each stack only the locations nearest the
 * leaf, and, where asked, without the line of the leaf, so that all samples of a callee add up. Inlined
 * frames belong to the location of the frame that they are inlined into.
 */
export function* shapeForGoPgo(tree: FrameTree, shape: GoPgoShape): Steps<FrameTree> {
  const frames = new FrameRows(tree);
  const nodes = new PairTable(1, tree.parent.length);
  const map = new Uint32Array(tree.parent.length);
  const reshape = (from: number, to: number): void => {
    for (let node = from; node < to; node++) {
      if (!isSet(tree.self, node)) continue;
      const path = pathOf(tree, node, shape.keepLocations);
      const [leaf] = path;
      if (shape.aggregateCallees && leaf !== undefined) path[0] = frames.withoutLine(leaf);
      let at = 0;
      for (let i = path.length - 1; i >= 0; i--) at = nodes.intern(at, path[i] as number);
      map[node] = at;
    }
  };
  yield* sweep(1, tree.parent.length, reshape, SHAPED_AT_ONCE);
  nodes.a[0] = -1;
  return {
    ...tree,
    frames: frames.columns(),
    parent: nodes.a.slice(0, nodes.end),
    frame: nodes.b.slice(0, nodes.end),
    self: yield* sumMapped([tree.self], [map], nodes.end),
  };
}

/** Nodes whose stacks are followed without a break. */
const SHAPED_AT_ONCE = 512;

/** Frames of a stack, leaf first, of as many locations as are kept (0 = all). */
function pathOf({ parent, frame, frames }: FrameTree, node: number, keep: number): number[] {
  const path: number[] = [];
  let locations = 0;
  for (let at = node; at > 0; at = parent[at] as number) {
    const own = frame[at] as number;
    path.push(own);
    // The frame that others are inlined into ends a location.
    if (((frames.flags[own] as number) & FRAME_INLINED) === 0 && ++locations === keep) break;
  }
  return path;
}

/** The frames of a tree, and those of them without a line. */
class FrameRows {
  readonly #tree: FrameTree;
  readonly #bare = new Map<string, number>();
  /** Frame that each further row is made from. */
  readonly #added: number[] = [];

  constructor(tree: FrameTree) {
    this.#tree = tree;
  }

  /** The frame without its line and column. */
  withoutLine(id: number): number {
    const { frames } = this.#tree;
    const key = [
      frames.fn[id],
      frames.mappingFile[id],
      frames.buildId[id],
      frames.addressLow[id],
      frames.addressHigh[id],
      frames.flags[id],
    ].join();
    let bare = this.#bare.get(key);
    if (bare === undefined) {
      bare = frames.fn.length + this.#added.push(id) - 1;
      this.#bare.set(key, bare);
    }
    return bare;
  }

  columns(): FrameTree['frames'] {
    const { frames } = this.#tree;
    const added = this.#added;
    const zeros = (column: Uint32Array): Uint32Array => {
      const more = new Uint32Array(column.length + added.length);
      more.set(column);
      return more;
    };
    const longer = (column: Uint32Array): Uint32Array => {
      const more = zeros(column);
      for (const [i, id] of added.entries()) more[column.length + i] = column[id] as number;
      return more;
    };
    const flags = new Uint8Array(frames.flags.length + added.length);
    flags.set(frames.flags);
    for (const [i, id] of added.entries()) flags[frames.flags.length + i] = frames.flags[id] ?? 0;
    return {
      fn: longer(frames.fn),
      line: zeros(frames.line),
      column: zeros(frames.column),
      mappingFile: longer(frames.mappingFile),
      buildId: longer(frames.buildId),
      addressLow: longer(frames.addressLow),
      addressHigh: longer(frames.addressHigh),
      flags,
    };
  }
}
