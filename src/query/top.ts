import { sortSteps, type Steps } from '../base/steps.ts';
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
  const byName = new Map<number, { self: bigint; total: bigint }>();
  const path: number[] = [];
  const onPath = new Map<number, number>();
  let steps = 0;
  for (const { node, depth } of walkNames(tree, yield* childrenOf(tree))) {
    if (++steps % WALKED_AT_ONCE === 0) yield;
    while (path.length > depth) {
      const left = path.pop() as number;
      onPath.set(left, (onPath.get(left) ?? 1) - 1);
    }
    const name = tree.name[node] as number;
    const sums = byName.get(name) ?? { self: 0n, total: 0n };
    byName.set(name, sums);
    sums.self += laneValue(tree.self, node);
    const outer = onPath.get(name) ?? 0;
    if (outer === 0) sums.total += laneValue(total, node);
    onPath.set(name, outer + 1);
    path.push(name);
  }
  const functions = [...byName].map(([name, sums]) => ({
    name: tree.names[name] as string,
    ...sums,
  }));
  return yield* sortSteps(
    functions,
    (a, b) =>
      compareBig(b.self, a.self) || compareBig(b.total, a.total) || compareText(a.name, b.name),
  );
}

/** Nodes that are visited without a break. */
const WALKED_AT_ONCE = 1_024;

function compareBig(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
