import { drain, type Steps } from '../../base/steps.ts';
import { NodeStack } from './node-stack.ts';
import type { PrunedTree } from '../tree/prune.ts';

const ROOT = Uint32Array.of(0);

/** The name table of an answer. */
export interface NameOrder {
  /** Texts in the order of their first visit. */
  readonly names: readonly string[];
  /** Index into `names`, by name index of the tree. */
  readonly indexOf: Uint32Array;
}

/** Numbers names by their first visit on a depth-first walk that takes the right-most child first. */
export function* nameOrder(tree: PrunedTree): Steps<NameOrder> {
  const { name, childStart, children } = tree;
  const names: string[] = [];
  const indexOf = new Uint32Array(tree.names.length);
  const seen = new Uint8Array(tree.names.length);
  const stack = new NodeStack();
  stack.push(ROOT, 0, 1);
  yield* drain((rows) => {
    for (let left = rows; stack.size > 0 && left > 0; left--) {
      const node = stack.pop();
      const id = name[node] as number;
      if (seen[id] === 0) {
        seen[id] = 1;
        const text = tree.names[id] as string;
        // A function may be called `total` like the root, which is first.
        indexOf[id] = text === names[0] ? 0 : names.push(text) - 1;
      }
      stack.push(children, childStart[node] as number, childStart[node + 1] as number);
    }
    return stack.size > 0;
  });
  return { names, indexOf };
}
