import type { PrunedTree } from '../tree/prune.ts';

/** The name table of an answer. */
export interface NameOrder {
  /** Texts in the order of their first visit. */
  readonly names: readonly string[];
  /** Index into `names`, by name index of the tree. */
  readonly indexOf: Uint32Array;
}

/** Numbers names by their first visit on a depth-first walk that takes the right-most child first. */
export function nameOrder(tree: PrunedTree): NameOrder {
  const { name, childStart, children } = tree;
  const names: string[] = [];
  const indexOf = new Uint32Array(tree.names.length);
  const seen = new Uint8Array(tree.names.length);
  const stack = new Uint32Array(name.length);
  let depth = 1;
  while (depth > 0) {
    const node = stack[--depth] as number;
    const id = name[node] as number;
    if (seen[id] === 0) {
      seen[id] = 1;
      const text = tree.names[id] as string;
      // A function may be called `total` like the root, which is first.
      indexOf[id] = text === names[0] ? 0 : names.push(text) - 1;
    }
    const end = childStart[node + 1] as number;
    for (let c = childStart[node] as number; c < end; c++) stack[depth++] = children[c] as number;
  }
  return { names, indexOf };
}
