import { INT64_MAX } from '../../base/int64.ts';
import { atOnce, type Steps, sweep } from '../../base/steps.ts';
import { DAMAGED_NAME } from '../../storage/dictionary/rows.ts';
import { TRUNCATED_TEXT } from '../../profile/synthetic.ts';
import type { QueryNotes } from '../request.ts';
import { NameTreeBuilder } from './build.ts';
import { FrameTables } from './frame-tables.ts';
import type { FrameTree } from './frame-tree.ts';
import { type Lanes, lanesOf, laneValue, totalsOf } from './lanes.ts';
import type { NameTree, SidedTree } from './name-tree.ts';

/** A tree with only the value of stacks that could not be read. */
export function damagedNameTree(value: bigint): NameTree {
  const builder = new NameTreeBuilder();
  builder.add([DAMAGED_NAME], value);
  return builder.finish();
}

/** The same by frames. */
export function damagedFrameTree(value: bigint): FrameTree {
  const tables = new FrameTables();
  const frame = tables.damagedFrame();
  return {
    strings: tables.strings,
    functions: atOnce(tables.functionColumns()),
    frames: atOnce(tables.frameColumns()),
    parent: Int32Array.of(-1, 0),
    frame: Uint32Array.of(0, frame),
    self: lanesOf([0n, value]),
  };
}

/** What a tree tells for the exactness record. */
export type TreeWeights = Pick<QueryNotes, 'total' | 'damagedValue' | 'truncatedValue'>;

/** Weights of a tree by names, and its totals: a sweep that pruning then need not make. */
export function* weighNames(tree: NameTree): Steps<{
  readonly tree: NameTree & { readonly total: Lanes };
  readonly weights: TreeWeights;
}> {
  const total = tree.total ?? (yield* totalsOf(tree.parent, tree.self));
  const weights = yield* weigh(tree.parent, total, (node) => tree.names[tree.name[node] as number]);
  return { tree: { ...tree, total }, weights };
}

/** Weights of each side of a tree, and its totals. */
export function* weighSides(tree: SidedTree): Steps<{
  readonly tree: SidedTree;
  readonly weights: readonly TreeWeights[];
}> {
  const { parent, name, names } = tree;
  const nameOf = (node: number): string | undefined => names[name[node] as number];
  const found = yield* synthetic(parent, nameOf);
  const totals: Lanes[] = [];
  const weights: TreeWeights[] = [];
  for (const [side, self] of tree.sides.entries()) {
    const total = tree.totals?.[side] ?? (yield* totalsOf(parent, self));
    totals.push(total);
    weights.push(weighAmong(found, total));
  }
  return { tree: { ...tree, totals }, weights };
}

/** Weights of a tree by frames. */
export function* weighFrames(tree: FrameTree): Steps<TreeWeights> {
  const { parent, frame, frames, functions, strings } = tree;
  if (!strings.includes(DAMAGED_NAME) && !strings.includes(TRUNCATED_TEXT)) {
    const total = yield* totalOf(tree.self);
    if (total !== undefined) return { total, damagedValue: 0n, truncatedValue: 0n };
  }
  return yield* weigh(parent, yield* totalsOf(parent, tree.self), (node) => {
    const fn = frames.fn[frame[node] as number] as number;
    return fn < functions.name.length ? strings[functions.name[fn] as number] : undefined;
  });
}

/** The sum of all values, undefined if doubles do not hold it. */
function* totalOf({ lo, hi }: Lanes): Steps<bigint | undefined> {
  if (hi !== undefined) return undefined;
  let sum = 0;
  yield* sweep(0, lo.length, (from, to) => {
    for (let i = from; i < to; i++) sum += lo[i] as number;
  });
  return sum <= Number.MAX_SAFE_INTEGER ? BigInt(sum) : undefined;
}

/** Both synthetic frames stand directly under the root. */
function* weigh(
  parent: Int32Array,
  total: Lanes,
  nameOf: (node: number) => string | undefined,
): Steps<TreeWeights> {
  return weighAmong(yield* synthetic(parent, nameOf), total);
}

/** Nodes of synthetic frames. */
interface Synthetic {
  readonly damaged: readonly number[];
  readonly truncated: readonly number[];
}

function* synthetic(
  parent: Int32Array,
  nameOf: (node: number) => string | undefined,
): Steps<Synthetic> {
  const damaged: number[] = [];
  const truncated: number[] = [];
  yield* sweep(1, parent.length, (from, to) => {
    for (let node = from; node < to; node++) {
      if (parent[node] !== 0) continue;
      const name = nameOf(node);
      if (name === DAMAGED_NAME) damaged.push(node);
      else if (name === TRUNCATED_TEXT) truncated.push(node);
    }
  });
  return { damaged, truncated };
}

function weighAmong({ damaged, truncated }: Synthetic, total: Lanes): TreeWeights {
  const whole = laneValue(total, 0);
  const sum = (nodes: readonly number[]): bigint =>
    nodes.reduce((value, node) => value + laneValue(total, node), 0n);
  return {
    total: whole > INT64_MAX ? INT64_MAX : whole,
    damagedValue: sum(damaged),
    truncatedValue: sum(truncated),
  };
}
