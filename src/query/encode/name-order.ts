import { drain, type Steps } from '../../base/steps.ts';
import type { PrunedTree } from '../tree/prune.ts';

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
  const stack = new Uint32Array(name.length);
  let depth = 1;
  yield* drain((rows) => {
    let top = depth;
    for (let left = rows; top > 0 && left > 0; left--) {
      const node = stack[--top] as number;
      const id = name[node] as number;
      if (seen[id] === 0) {
        seen[id] = 1;
        const text = tree.names[id] as string;
        // A function may be called `total` like the root, which is first.
        indexOf[id] = text === names[0] ? 0 : names.push(text) - 1;
      }
      const end = childStart[node + 1] as number;
      for (let c = childStart[node] as number; c < end; c++) stack[top++] = children[c] as number;
    }
    depth = top;
    return top > 0;
  });
  return { names, indexOf };
}
