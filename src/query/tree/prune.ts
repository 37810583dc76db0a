import { assert } from '../../base/assert.ts';
import { sortSteps, type Steps, sweep } from '../../base/steps.ts';
import { compareText } from '../../base/text-order.ts';
import {
  addWide,
  createWide,
  type Lanes,
  totalsOf,
  toWide,
  TWO_32,
  type WideLanes,
} from './lanes.ts';
import type { SidedTree } from './name-tree.ts';
import { firstLanes, firstOf, pack } from './pack.ts';
import { rankedValue, type WideValue } from './threshold.ts';

/** The name of the node that stands for the folded children of its parent. */
export const OTHER_NAME = 'other';

/**
 * What is left of a tree: at most the budget (and ties) plus one `other` for each parent. Columns of nodes;
 * values of one side lie in one lane where its tree's do.
 */
export interface PrunedTree {
  /** Nodes from here on are `other`: each stands for the folded children of its parent. */
  readonly firstOther: number;
  /** Of the tree, with `other` in it if it was needed. */
  readonly names: readonly string[];
  readonly name: Uint32Array;
  /** Negative of the root, which is the first. */
  readonly parent: Int32Array;
  /** Children of node i: `children[childStart[i], childStart[i + 1])`, in byte order, `other` last. */
  readonly childStart: Uint32Array;
  readonly children: Uint32Array;
  /** By side; total = self + totals of the children, exactly. */
  readonly sides: readonly { readonly self: Lanes; readonly total: Lanes }[];
}

/**
 * Keeps the nodes whose total is at least the `maxNodes`-th largest (the larger side counts) and
 * folds the others, per parent, into one child `other`. Nodes without any weight go. Done once,
 * after all joins: what is under the threshold in one part may be over it in the sum.
 *
 * The tree is used up: its columns become those of the result, so that a large one is not there twice.
 */
export function* pruneTree(tree: SidedTree, maxNodes: number): Steps<PrunedTree> {
  const { parent, name } = tree;
  assert(parent[0] === -1, 'a tree is pruned once');
  parent[0] = PRUNED;
  const totals = tree.totals ?? (yield* allTotals(tree));
  const ranks = totals.length === 1 ? (totals[0] as Lanes) : yield* larger(totals);
  const threshold = yield* rankedValue(ranks, maxNodes);
  const { kept, folded, idOf } = yield* choose(parent, ranks, threshold);
  const firstOther = kept.length;
  const others = yield* foldedUnder(parent, idOf, firstOther, folded);
  const known = folded.length === 0 ? -1 : tree.names.indexOf(OTHER_NAME, 1);
  const names = folded.length > 0 && known < 0 ? [...tree.names, OTHER_NAME] : tree.names;
  const count = firstOther + others.parent.length;
  const sides: PrunedTree['sides'][number][] = [];
  for (const [s, own] of tree.sides.entries()) {
    const { self, total } = yield* alike(own, totals[s] as Lanes);
    const sums = yield* foldedSums(total, folded, others);
    for (const lanes of [self, total]) {
      yield* pack(lanes.lo, kept);
      lanes.lo.set(sums.lo, firstOther);
      if (lanes.hi === undefined || sums.hi === undefined) continue;
      yield* pack(lanes.hi, kept);
      lanes.hi.set(sums.hi, firstOther);
    }
    sides.push({ self: firstLanes(self, count), total: firstLanes(total, count) });
  }
  yield* pack(name, kept);
  name.fill(known < 0 ? names.length - 1 : known, firstOther, count);
  yield* sweep(1, firstOther, (from, to) => {
    for (let id = from; id < to; id++) {
      const above = parent[kept[id] as number] as number;
      parent[id] = (idOf[above] as number) - 1;
    }
  });
  parent.set(others.parent, firstOther);
  const nodes = { parent: firstOf(parent, count), name: firstOf(name, count) };
  // Nobody needs the numbers any more.
  const lists = yield* childLists(nodes, names, firstOther, [
    spare(kept, parent.length, count + 1),
    spare(idOf, parent.length, count - 1),
  ]);
  return { firstOther, names, ...nodes, sides, ...lists };
}

/** The parent of a root whose tree was pruned. */
const PRUNED = -2;

function* allTotals({ parent, sides }: SidedTree): Steps<Lanes[]> {
  const totals: Lanes[] = [];
  for (const self of sides) totals.push(yield* totalsOf(parent, self));
  return totals;
}

interface Choice {
  /** Nodes that stay, ascending; the first is the root. */
  readonly kept: Uint32Array;
  /** Nodes under the threshold, with weight, whose parent stays. */
  readonly folded: Uint32Array;
  /** Place in `kept` + 1 of each node that stays, 0 for the others. */
  readonly idOf: Uint32Array;
}

/** Finds the nodes at or over the threshold; a parent weighs at least as much as its child. */
function* choose(parent: Int32Array, { lo, hi }: Lanes, threshold: WideValue): Steps<Choice> {
  const count = parent.length;
  const idOf = new Uint32Array(count);
  // One more: they become child lists. What is never written of these takes no memory.
  const kept = new Uint32Array(count + 1);
  const folded = new Uint32Array(count);
  const least = threshold.hi * TWO_32 + threshold.lo;
  let keptCount = 1;
  let foldedCount = 0;
  idOf[0] = 1;
  yield* sweep(1, count, (from, to) => {
    let keptEnd = keptCount;
    let foldedEnd = foldedCount;
    for (let i = from; i < to; i++) {
      const low = lo[i] as number;
      const high = hi === undefined ? 0 : (hi[i] as number);
      const stays =
        hi === undefined
          ? low >= least
          : high > threshold.hi || (high === threshold.hi && low >= threshold.lo);
      if (stays) {
        kept[keptEnd++] = i;
        idOf[i] = keptEnd;
      } else if (idOf[parent[i] as number] !== 0 && (low !== 0 || high !== 0)) {
        folded[foldedEnd++] = i;
      }
    }
    keptCount = keptEnd;
    foldedCount = foldedEnd;
  });
  return { kept: kept.subarray(0, keptCount), folded: folded.subarray(0, foldedCount), idOf };
}

/** Nodes `other`. */
interface Others {
  /** The number of the parent of each. */
  readonly parent: Int32Array;
  /** By folded node: which of them it goes to. */
  readonly target: Uint32Array;
}

function* foldedUnder(
  parent: Int32Array,
  idOf: Uint32Array,
  firstOther: number,
  folded: Uint32Array,
): Steps<Others> {
  const target = new Uint32Array(folded.length);
  const parents = new Int32Array(Math.min(firstOther, folded.length));
  // By the number of a parent: its node `other` + 1.
  const otherOf = new Uint32Array(folded.length === 0 ? 0 : firstOther);
  let count = 0;
  yield* sweep(0, folded.length, (from, to) => {
    let end = count;
    for (let i = from; i < to; i++) {
      const above = (idOf[parent[folded[i] as number] as number] as number) - 1;
      let other = otherOf[above] as number;
      if (other === 0) {
        parents[end] = above;
        other = ++end;
        otherOf[above] = other;
      }
      target[i] = other - 1;
    }
    count = end;
  });
  return { parent: parents.subarray(0, count), target };
}

/** The totals of the folded nodes, by node `other`. */
function* foldedSums(total: Lanes, folded: Uint32Array, { parent, target }: Others): Steps<Lanes> {
  if (total.hi === undefined) {
    const sums = new Float64Array(parent.length);
    yield* sweep(0, folded.length, (from, to) => {
      for (let i = from; i < to; i++) {
        const at = target[i] as number;
        sums[at] = (sums[at] as number) + (total.lo[folded[i] as number] as number);
      }
    });
    return { lo: sums, hi: undefined };
  }
  const sums = createWide(parent.length);
  yield* sweep(0, folded.length, (from, to) => {
    for (let i = from; i < to; i++) {
      addLane(sums, target[i] as number, total, folded[i] as number);
    }
  });
  return sums;
}

/** Both in two lanes if one of them is. */
function* alike(self: Lanes, total: Lanes): Steps<{ readonly self: Lanes; readonly total: Lanes }> {
  if ((self.hi === undefined) === (total.hi === undefined)) return { self, total };
  return { self: yield* toWide(self), total: yield* toWide(total) };
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
function* larger(sides: readonly Lanes[]): Steps<Lanes> {
  const [left, right] = sides as readonly [Lanes, Lanes];
  if (left.hi === undefined && right.hi === undefined) {
    const [a, b] = [left.lo, right.lo];
    const most = new Float64Array(a.length);
    yield* sweep(0, a.length, (from, to) => {
      for (let i = from; i < to; i++) most[i] = Math.max(a[i] as number, b[i] as number);
    });
    return { lo: most, hi: undefined };
  }
  const most = createWide(left.lo.length);
  yield* sweep(0, most.lo.length, (from, to) => {
    for (let i = from; i < to; i++) {
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
  });
  return most;
}

/** Zeros: what is there, unless it would be far too large. */
function spare({ buffer }: Uint32Array, had: number, wanted: number): Uint32Array {
  return wanted < had / 2 ? new Uint32Array(wanted) : new Uint32Array(buffer, 0, wanted).fill(0);
}

/** Child lists: the real children by name, then `other` (ids from `keptCount` on). */
function* childLists(
  { parent, name }: Pick<PrunedTree, 'parent' | 'name'>,
  names: readonly string[],
  keptCount: number,
  [childStart, children]: readonly [starts: Uint32Array, children: Uint32Array],
): Steps<Pick<PrunedTree, 'childStart' | 'children'>> {
  const count = parent.length;
  yield* sweep(1, count, (from, to) => {
    for (let i = from; i < to; i++) {
      const slot = (parent[i] as number) + 1;
      childStart[slot] = (childStart[slot] as number) + 1;
    }
  });
  yield* sweep(0, count, (from, to) => {
    for (let i = from; i < to; i++) {
      childStart[i + 1] = (childStart[i + 1] as number) + (childStart[i] as number);
    }
  });
  yield* sweep(1, count, (from, to) => {
    for (let i = from; i < to; i++) {
      const above = parent[i] as number;
      const at = childStart[above] as number;
      children[at] = i;
      childStart[above] = at + 1;
    }
  });
  // Each start has become its end, which is where the next one starts.
  childStart.copyWithin(1, 0, count);
  childStart[0] = 0;
  const wide: (readonly [start: number, end: number])[] = [];
  const sort = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      const start = childStart[i] as number;
      let end = childStart[i + 1] as number;
      if (end - start < 2) continue;
      if ((children[end - 1] as number) >= keptCount) end--;
      if (end - start > MANY) wide.push([start, end]);
      else sortByName(children, start, end, name, names);
    }
  };
  yield* sweep(0, count, sort, SORTED_AT_ONCE);
  const textOf = (id: number): string => names[name[id] as number] as string;
  for (const [start, end] of wide) {
    const ids = [...children.subarray(start, end)];
    const sorted = yield* sortSteps(ids, (a, b) => compareText(textOf(a), textOf(b)));
    children.set(sorted, start);
  }
  return { childStart, children };
}

/** Nodes whose children are sorted without a break; those with many are sorted by themselves. */
const SORTED_AT_ONCE = 2_048;
const MANY = 1_024;

/** Most nodes have few children: they are sorted in place. */
const FEW = 8;

function sortByName(
  children: Uint32Array,
  start: number,
  end: number,
  name: Uint32Array,
  names: readonly string[],
): void {
  const textOf = (id: number): string => names[name[id] as number] as string;
  if (end - start > FEW) {
    children.subarray(start, end).sort((a, b) => compareText(textOf(a), textOf(b)));
    return;
  }
  for (let i = start + 1; i < end; i++) {
    const child = children[i] as number;
    const text = textOf(child);
    let at = i;
    for (; at > start; at--) {
      const before = children[at - 1] as number;
      if (compareText(textOf(before), text) < 0) break;
      children[at] = before;
    }
    children[at] = child;
  }
}
