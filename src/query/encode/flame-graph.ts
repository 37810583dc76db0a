import type { Steps } from '../../base/steps.ts';
import { highOf, lowOf } from '../tree/lanes.ts';
import type { NameTree } from '../tree/name-tree.ts';
import { largest, writeLevels, writeNames } from './levels.ts';
import { nameOrder } from './name-order.ts';
import { type Overflow, ProtoWriter } from './proto-writer.ts';
import { type EncodedTree, foldedValueOf, pruned } from './pruned.ts';

/** Fields of `querier.v1.SelectMergeStacktracesResponse` and of `FlameGraph` in it. */
const FLAMEGRAPH = 1;
const TOTAL = 3;
const MAX_SELF = 4;

/**
 * Prunes the tree to `maxNodes` and writes a `querier.v1.SelectMergeStacktracesResponse` with its
 * flame graph. A tree without samples gives the name `total` and one level `[0, 0, 0, 0]`: Grafana
 * needs both. The tree is used up.
 */
export function* encodeFlameGraph(
  tree: NameTree,
  maxNodes: number,
  overflow?: Overflow,
): Steps<EncodedTree> {
  const kept = yield* pruned(tree, maxNodes);
  const [{ self, total }] = kept.sides as [(typeof kept.sides)[number]];
  const { names, indexOf } = yield* nameOrder(kept);
  const writer = new ProtoWriter(undefined, overflow);
  const flameGraph = writer.begin(FLAMEGRAPH);
  yield* writeNames(writer, names);
  yield* writeLevels(writer, kept, indexOf);
  writer.wideField(TOTAL, highOf(total, 0), lowOf(total, 0));
  const maxSelf = yield* largest(self);
  writer.wideField(MAX_SELF, maxSelf.hi, maxSelf.lo);
  writer.end(flameGraph);
  const foldedValue = yield* foldedValueOf(kept);
  return { ...writer.finish(), foldedValue };
}
