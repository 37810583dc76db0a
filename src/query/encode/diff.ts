import type { Steps } from '../../base/steps.ts';
import { addWide, createWide, highOf, lowOf, type WideLanes } from '../tree/lanes.ts';
import type { SidedTree } from '../tree/name-tree.ts';
import { pruneTree } from '../tree/prune.ts';
import { largest, writeLevels, writeNames } from './levels.ts';
import { nameOrder } from './name-order.ts';
import { type Overflow, ProtoWriter } from './proto-writer.ts';
import { type EncodedTree, foldedValueOf } from './pruned.ts';

/** Fields of `querier.v1.DiffResponse` and of `FlameGraphDiff` in it. */
const FLAMEGRAPH = 1;
const TOTAL = 3;
const MAX_SELF = 4;
const LEFT_TICKS = 5;
const RIGHT_TICKS = 6;

/**
 * Prunes a tree of two sides to `maxNodes` (a node counts with its larger side) and writes a
 * `querier.v1.DiffResponse`. A node of one side only is zero on the other. The tree is
 * used up.
 */
export function* encodeDiff(
  tree: SidedTree,
  maxNodes: number,
  overflow?: Overflow,
): Steps<EncodedTree> {
  const pruned = yield* pruneTree(tree, maxNodes);
  const { names, indexOf } = yield* nameOrder(pruned);
  const writer = new ProtoWriter(undefined, overflow);
  const flameGraph = writer.begin(FLAMEGRAPH);
  yield* writeNames(writer, names);
  yield* writeLevels(writer, pruned, indexOf);
  const both = createWide(3);
  for (const [i, { total }] of pruned.sides.entries()) {
    addWide(both, 2, highOf(total, 0), lowOf(total, 0));
    addWide(both, i, highOf(total, 0), lowOf(total, 0));
  }
  writeValue(writer, TOTAL, both, 2);
  const maxSelfs = createWide(2);
  for (const [i, { self }] of pruned.sides.entries()) {
    const { hi, lo } = yield* largest(self);
    addWide(maxSelfs, i, hi, lo);
  }
  const maxSelf = yield* largest(maxSelfs);
  writer.wideField(MAX_SELF, maxSelf.hi, maxSelf.lo);
  writeValue(writer, LEFT_TICKS, both, 0);
  writeValue(writer, RIGHT_TICKS, both, 1);
  writer.end(flameGraph);
  const foldedValue = yield* foldedValueOf(pruned);
  return { ...writer.finish(), foldedValue };
}

function writeValue(writer: ProtoWriter, field: number, lanes: WideLanes, at: number): void {
  writer.wideField(field, lanes.hi[at] as number, lanes.lo[at] as number);
}
