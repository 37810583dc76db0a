import { compareText } from '../../base/text-order.ts';
import type { NameTree } from './name-tree.ts';

/** A step of a walk over a name tree. */
export interface WalkStep {
  readonly node: number;
  /** Nodes above it without the root: 0 = a root frame. */
  readonly depth: number;
}

/**
 * Visits all nodes but the root, parents first, children in byte order of their names. Iterative:
 * trees may be as deep as stacks.
 */
export function* walkNames(tree: NameTree): Generator<WalkStep> {
  const { parent, name, names } = tree;
  const childrenOf: (number[] | undefined)[] = [];
  for (let i = 1; i < parent.length; i++) {
    const above = parent[i] as number;
    (childrenOf[above] ??= []).push(i);
  }
  const textOf = (node: number): string => names[name[node] as number] as string;
  const waiting: WalkStep[] = [];
  const push = (node: number, depth: number): void => {
    const children = childrenOf[node] ?? [];
    children.sort((a, b) => compareText(textOf(b), textOf(a)));
    for (const child of children) waiting.push({ node: child, depth });
  };
  push(0, 0);
  for (let step = waiting.pop(); step !== undefined; step = waiting.pop()) {
    yield step;
    push(step.node, step.depth + 1);
  }
}
