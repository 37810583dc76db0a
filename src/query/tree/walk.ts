import { atOnce, type Steps, sweep } from '../../base/steps.ts';
import { compareText } from '../../base/text-order.ts';
import type { NameTree } from './name-tree.ts';

/** A step of a walk over a name tree. */
export interface WalkStep {
  readonly node: number;
  /** Nodes above it without the root: 0 = a root frame. */
  readonly depth: number;
}

/** The children of each node that has some. */
type Children = (number[] | undefined)[];

/** Finds the children of all nodes. */
export function* childrenOf({ parent }: NameTree): Steps<Children> {
  const children: Children = [];
  yield* sweep(1, parent.length, (from, to) => {
    for (let i = from; i < to; i++) (children[parent[i] as number] ??= []).push(i);
  });
  return children;
}

/**
 * Visits all nodes but the root, parents first, children in byte order of their names. Iterative:
 * trees may be as deep as stacks.
 */
export function* walkNames(
  tree: NameTree,
  below: Children = atOnce(childrenOf(tree)),
): Generator<WalkStep> {
  const { name, names } = tree;
  const textOf = (node: number): string => names[name[node] as number] as string;
  const waiting: WalkStep[] = [];
  const push = (node: number, depth: number): void => {
    const children = below[node] ?? [];
    children.sort((a, b) => compareText(textOf(b), textOf(a)));
    for (const child of children) waiting.push({ node: child, depth });
  };
  push(0, 0);
  for (let step = waiting.pop(); step !== undefined; step = waiting.pop()) {
    yield step;
    push(step.node, step.depth + 1);
  }
}
