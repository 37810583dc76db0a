import { sortSteps, type Steps, sweep } from '../base/steps.ts';
import { compareText } from '../base/text-order.ts';
import { laneValue, totalsOf } from './tree/lanes.ts';
import type { NameTree } from './tree/name-tree.ts';
import { childrenOf, walkNames } from './tree/walk.ts';

/** What one function cost. */
export interface TopFunction {
  readonly name: string;
  /** Value of the samples that end in it. */
  readonly self: bigint;
  /** Value of the samples that it is in; a stack counts once, however often it recurses. */
  readonly total: bigint;
}

/** All functions of a tree, the largest self first, then the largest total, then by name. */
export function* topFunctions(tree: NameTree): Steps<readonly TopFunction[]> {
  const total = yield* totalsOf(tree.parent, tree.self);
  const byName = new Map<number, Sums>();
  const functions: Sums[] = [];
  const path: Sums[] = [];
  let steps = 0;
  for (const { node, depth } of walkNames(tree, yield* childrenOf(tree))) {
    if (++steps % WALKED_AT_ONCE === 0) yield;
    while (path.length > depth) {
      const left = path.pop();
      if (left !== undefined) left.onPath--;
    }
    const name = tree.name[node] as number;
    let sums = byName.get(name);
    if (sums === undefined) {
      sums = { name: tree.names[name] as string, self: 0n, total: 0n, onPath: 0 };
      byName.set(name, sums);
      functions.push(sums);
    }
    sums.self += laneValue(tree.self, node);
    if (sums.onPath++ === 0) sums.total += laneValue(total, node);
    path.push(sums);
  }
  const listed: TopFunction[] = [];
  yield* sweep(0, functions.length, (from, to) => {
    for (const { name, self, total: all } of functions.slice(from, to)) {
      listed.push({ name, self, total: all });
    }
  });
  return yield* sortSteps(
    listed,
    (a, b) =>
      compareBig(b.self, a.self) || compareBig(b.total, a.total) || compareText(a.name, b.name),
  );
}

/** A function while the tree is walked. */
interface Sums {
  readonly name: string;
  self: bigint;
  total: bigint;
  /** How often it is on the path to the node that is looked at. */
  onPath: number;
}

/** Nodes that are visited without a break. */
const WALKED_AT_ONCE = 1_024;

function compareBig(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
