import type { NameTree } from '../tree/name-tree.ts';
import { pruneTree } from '../tree/prune.ts';
import { largest, writeLevels, writeNames } from './levels.ts';
import { nameOrder } from './name-order.ts';
import { type EncodedMessage, ProtoWriter } from './proto-writer.ts';

/** Fields of `querier.v1.SelectMergeStacktracesResponse` and of `FlameGraph` in it. */
const FLAMEGRAPH = 1;
const TOTAL = 3;
const MAX_SELF = 4;

/**
 * Prunes the tree to `maxNodes` and writes a `querier.v1.SelectMergeStacktracesResponse` with its
 * flame graph. A tree without samples gives the name `total` and one level `[0, 0, 0, 0]`: Grafana
 * needs both.
 */
export function encodeFlameGraph(tree: NameTree, maxNodes: number): EncodedMessage {
  const { names: texts, parent, name, self: own } = tree;
  const totals = tree.total === undefined ? undefined : [tree.total];
  const pruned = pruneTree({ names: texts, parent, name, sides: [own], totals }, maxNodes);
  const [{ self, total }] = pruned.sides as [(typeof pruned.sides)[number]];
  const { names, indexOf } = nameOrder(pruned);
  const writer = new ProtoWriter();
  const flameGraph = writer.begin(FLAMEGRAPH);
  writeNames(writer, names);
  writeLevels(writer, pruned, indexOf);
  writer.wideField(TOTAL, total.hi[0] as number, total.lo[0] as number);
  const maxSelf = largest(self);
  writer.wideField(MAX_SELF, maxSelf.hi, maxSelf.lo);
  writer.end(flameGraph);
  return { bytes: writer.finish(), saturated: writer.saturated };
}
