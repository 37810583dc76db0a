import { type Steps, sweep } from '../../base/steps.ts';
import { type Lanes, laneValue } from '../tree/lanes.ts';
import type { NameTree } from '../tree/name-tree.ts';
import { type PrunedTree, pruneTree } from '../tree/prune.ts';
import type { EncodedMessage, ProtoWriter } from './proto-writer.ts';

/** A finished message with a pruned tree in it. */
export interface EncodedTree extends EncodedMessage {
  /** Value in nodes `other`. */
  readonly foldedValue: bigint;
}

/** Writes element `at` as an int64, without a tag. */
export function writeLane(writer: ProtoWriter, { lo, hi }: Lanes, at: number): void {
  if (hi === undefined) writer.value(lo[at] as number);
  else writer.wide(hi[at] as number, lo[at] as number);
}

/** A tree of one side, pruned; it is used up. */
export function pruned(tree: NameTree, maxNodes: number): Steps<PrunedTree> {
  const { names, parent, name, self, total } = tree;
  const totals = total === undefined ? undefined : [total];
  return pruneTree({ names, parent, name, sides: [self], totals }, maxNodes);
}

/** Value that pruning folded into nodes `other`, of all sides. */
export function* foldedValueOf({ firstOther, name, sides }: PrunedTree): Steps<bigint> {
  let sum = 0n;
  for (const { total } of sides) {
    yield* sweep(firstOther, name.length, (from, to) => {
      for (let node = from; node < to; node++) sum += laneValue(total, node);
    });
  }
  return sum;
}
