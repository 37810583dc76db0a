import { compareText } from '../labels/text-order.ts';
import { addWide, createWide, type Lanes, totalsOf, TWO_32, type WideLanes } from './lanes.ts';
import { rankedValue, type WideValue } from './threshold.ts';

/** The name of the node that stands for the folded children of its parent. */
export const OTHER_NAME = 'other';

/** A tree of one or two sides (flame graph, diff): columns, node 0 is the root. */
export interface SidedTree {
  readonly names: readonly string[];
  readonly parent: Int32Array;
  readonly name: Uint32Array;
  /** Own values, one column a side. */
  readonly sides: readonly Lanes[];
}

/** What is left of a tree: at most the budget (and ties) plus one `other` for each parent. */
export interface PrunedTree {
  /** Of the tree, with `other` in it if it was needed. */
  readonly names: readonly string[];
  readonly name: Uint32Array;
  /** Children of node i: `children[childStart[i], childStart[i + 1])`, in byte order, `other` last. */
  readonly childStart: Uint32Array;
  readonly children: Uint32Array;
  /** By side; total = self + totals of the children, exactly. */
  readonly sides: readonly { readonly self: WideLanes; readonly total: WideLanes }[];
}

/**
 * Keeps the nodes whose total is at least the `maxNodes`-th largest (the larger side counts) and
 * folds the others, per parent, into one child `other`. Nodes without any weight go. Done once,
 * after all joins: what is under the threshold in one part may be over it in the sum.
 */
export function pruneTree(tree: SidedTree, maxNodes: number): PrunedTree {
  const { parent } = tree;
  const totals = tree.sides.map((self) => totalsOf(parent, self));
  const ranks = totals.length === 1 ? (totals[0] as Lanes) : larger(totals);
  const keptOf = new Int32Array(parent.length).fill(-1);
  const keptCount = markKept(ranks, rankedValue(ranks, maxNodes), keptOf);
  const otherOf = new Int32Array(keptCount);
  let count = keptCount;
  for (let i = 1; i < parent.length; i++) {
    if ((keptOf[i] as number) >= 0) continue;
    const above = keptOf[parent[i] as number] as number;
    if (above >= 0 && otherOf[above] === 0 && isSet(ranks, i)) otherOf[above] = count++;
  }
  const name = new Uint32Array(count);
  const parents = new Int32Array(count);
  const otherName = count === keptCount ? -1 : tree.names.indexOf(OTHER_NAME, 1);
  const names = count > keptCount && otherName < 0 ? [...tree.names, OTHER_NAME] : tree.names;
  for (let i = 0; i < parent.length; i++) {
    const id = keptOf[i] as number;
    if (id < 0) continue;
    name[id] = tree.name[i] as number;
    parents[id] = i === 0 ? -1 : (keptOf[parent[i] as number] as number);
    const other = otherOf[id] as number;
    if (other === 0) continue;
    name[other] = otherName < 0 ? names.length - 1 : otherName;
    parents[other] = id;
  }
  const sides = tree.sides.map((self, s) =>
    foldSide(parent, self, totals[s] as Lanes, keptOf, otherOf, count),
  );
  return { names, name, sides, ...childLists(parents, name, names, keptCount) };
}

/** Numbers the nodes at or over the threshold in `keptOf`; a parent weighs at least its child. */
function markKept(ranks: Lanes, threshold: WideValue, keptOf: Int32Array): number {
  const { lo, hi } = ranks;
  let kept = 1;
  keptOf[0] = 0;
  if (hi === undefined) {
    const least = threshold.hi * TWO_32 + threshold.lo;
    for (let i = 1; i < lo.length; i++) if ((lo[i] as number) >= least) keptOf[i] = kept++;
    return kept;
  }
  for (let i = 1; i < lo.length; i++) {
    const high = hi[i] as number;
    if (high > threshold.hi || (high === threshold.hi && (lo[i] as number) >= threshold.lo)) {
      keptOf[i] = kept++;
    }
  }
  return kept;
}

function isSet(lanes: Lanes, at: number): boolean {
  return lanes.lo[at] !== 0 || (lanes.hi !== undefined && lanes.hi[at] !== 0);
}

/** Values of one side after folding. */
function foldSide(
  parent: Int32Array,
  self: Lanes,
  total: Lanes,
  keptOf: Int32Array,
  otherOf: Int32Array,
  count: number,
): { readonly self: WideLanes; readonly total: WideLanes } {
  const side = { self: createWide(count), total: createWide(count) };
  for (let i = 0; i < parent.length; i++) {
    const id = keptOf[i] as number;
    if (id >= 0) {
      addLane(side.self, id, self, i);
      addLane(side.total, id, total, i);
      continue;
    }
    const above = keptOf[parent[i] as number] as number;
    const other = above < 0 ? 0 : (otherOf[above] as number);
    if (other === 0) continue;
    addLane(side.self, other, total, i);
    addLane(side.total, other, total, i);
  }
  return side;
}

function addLane(sum: WideLanes, at: number, lanes: Lanes, i: number): void {
  const low = lanes.lo[i] as number;
  if (lanes.hi !== undefined) addWide(sum, at, lanes.hi[i] as number, low);
  else {
    const hi = Math.floor(low / TWO_32);
    addWide(sum, at, hi, low - hi * TWO_32);
  }
}

/** The larger side of each node. */
function larger(sides: readonly Lanes[]): Lanes {
  const [left, right] = sides as readonly [Lanes, Lanes];
  if (left.hi === undefined && right.hi === undefined) {
    const { lo } = right;
    return { lo: left.lo.map((value, i) => Math.max(value, lo[i] as number)), hi: undefined };
  }
  const most = createWide(left.lo.length);
  for (let i = 0; i < most.lo.length; i++) {
    addLane(most, i, left, i);
    const was = { hi: most.hi[i] as number, lo: most.lo[i] as number };
    most.hi[i] = 0;
    most.lo[i] = 0;
    addLane(most, i, right, i);
    if (was.hi < (most.hi[i] as number)) continue;
    if (was.hi === most.hi[i] && was.lo < (most.lo[i] as number)) continue;
    most.hi[i] = was.hi;
    most.lo[i] = was.lo;
  }
  return most;
}

/** Child lists: the real children by name, then `other` (ids from `keptCount` on). */
function childLists(
  parents: Int32Array,
  name: Uint32Array,
  names: readonly string[],
  keptCount: number,
): { readonly childStart: Uint32Array; readonly children: Uint32Array } {
  const count = parents.length;
  const childStart = new Uint32Array(count + 1);
  for (let i = 1; i < count; i++) {
    const slot = (parents[i] as number) + 1;
    childStart[slot] = (childStart[slot] as number) + 1;
  }
  for (let i = 0; i < count; i++) {
    childStart[i + 1] = (childStart[i + 1] as number) + (childStart[i] as number);
  }
  const filled = childStart.slice();
  const children = new Uint32Array(Math.max(0, count - 1));
  for (let i = 1; i < count; i++) {
    const above = parents[i] as number;
    const at = filled[above] as number;
    children[at] = i;
    filled[above] = at + 1;
  }
  const textOf = (id: number): string => names[name[id] as number] as string;
  for (let i = 0; i < count; i++) {
    const start = childStart[i] as number;
    let end = childStart[i + 1] as number;
    if (end - start < 2) continue;
    if ((children[end - 1] as number) >= keptCount) end--;
    children.subarray(start, end).sort((a, b) => compareText(textOf(a), textOf(b)));
  }
  return { childStart, children };
}
