import type { Steps } from '../base/steps.ts';
import { encodeDot } from '../query/encode/dot.ts';
import type { Overflow } from '../query/encode/proto-writer.ts';
import type { EncodedTree } from '../query/encode/pruned.ts';
import { encodeTop } from '../query/encode/top.ts';
import { encodeTree } from '../query/encode/tree.ts';
import { keepBelow } from '../query/execute/call-site.ts';
import { instantsOf } from '../query/execute/instants.ts';
import type { MergedSums } from '../query/execute/merge.ts';
import { addNotes, NO_NOTES } from '../query/request.ts';
import type { MergeRequest, QueryNotes, TreeForm } from '../query/request.ts';
import type { FrameTree } from '../query/tree/frame-tree.ts';
import { type FrameSums, frameTreeOf, joinFrameTrees } from '../query/tree/join-frames.ts';
import { joinNameTrees } from '../query/tree/join.ts';
import { nameTreeOf } from '../query/tree/name-tree-of.ts';
import type { NameTree } from '../query/tree/name-tree.ts';
import {
  damagedFrameTree,
  damagedNameTree,
  type TreeWeights,
  weighNames,
} from '../query/tree/weights.ts';
import type { NamePart } from './host-contract.ts';

/** The notes of all parts with what the joined trees tell. */
export function notesOf(
  parts: readonly Pick<NamePart, 'notes' | 'instants'>[],
  weights: readonly TreeWeights[],
  encoded: Pick<EncodedTree, 'saturated' | 'foldedValue'>,
): QueryNotes {
  const notes = parts.reduce((sum, part) => addNotes(sum, part.notes), NO_NOTES);
  const sum = (of: (weight: TreeWeights) => bigint): bigint =>
    weights.reduce((value, weight) => value + of(weight), 0n);
  return {
    ...notes,
    total: sum(({ total }) => total),
    damagedValue: sum(({ damagedValue }) => damagedValue),
    truncatedValue: sum(({ truncatedValue }) => truncatedValue),
    foldedValue: encoded.foldedValue,
    instants: instantsOf(parts.flatMap(({ instants }) => instants ?? [])),
    saturated: notes.saturated || encoded.saturated,
  };
}

/** The tree of a merge by function names. */
export function* nameTreeOfAll(merged: MergedSums, request: MergeRequest): Steps<NameTree> {
  const trees: NameTree[] = [];
  const isDamaged = showsDamage(merged.damagedValue, request);
  const isJoined = merged.parts.length > 1 || isDamaged;
  for (const { dictionary, sums } of merged.parts) {
    const kept = yield* keepBelow(dictionary, sums.finish(), request.callSite);
    trees.push(yield* nameTreeOf(dictionary, kept, isJoined));
  }
  if (isDamaged) trees.push(damagedNameTree(merged.damagedValue));
  return yield* joinNameTrees(trees);
}

/** The tree of a merge by frames. */
export function* frameTreeOfAll(merged: MergedSums, request: MergeRequest): Steps<FrameTree> {
  const parts: FrameSums[] = [];
  for (const { dictionary, sums } of merged.parts) {
    const kept = yield* keepBelow(dictionary, sums.finish(), request.callSite);
    parts.push({ source: dictionary, sums: kept });
  }
  const live = yield* frameTreeOf(parts);
  if (!showsDamage(merged.damagedValue, request)) return live;
  return yield* joinFrameTrees([live, damagedFrameTree(merged.damagedValue)]);
}

/** The parts of all hosts as one tree, with what it tells of itself. */
export function* joined(parts: readonly NamePart[]): ReturnType<typeof weighNames> {
  return yield* weighNames(yield* joinNameTrees(parts.map(({ tree }) => tree)));
}

/** A tree in the form asked for. */
export function encodedAs(form: TreeForm, tree: NameTree, overflow?: Overflow): Steps<EncodedTree> {
  switch (form.kind) {
    case 'tree':
      return encodeTree(tree, form.maxNodes, overflow);
    case 'dot':
      return encodeDot(tree, form.maxNodes, overflow);
    default:
      return encodeTop(tree, form.limit, overflow);
  }
}

/** Whether value without stacks has a place in the answer: none below a call site. */
export function showsDamage(value: bigint, { callSite }: MergeRequest): boolean {
  return value > 0n && (callSite === undefined || callSite.length === 0);
}
