import type { CallNode } from './call-tree.ts';

/** Stacks that hold values of their own, root first, in tree order. */
export function* stacksOf(
  root: CallNode,
): Generator<{ readonly names: string[]; readonly node: CallNode }> {
  const work = root.children.toReversed().map((node) => ({ node, names: [node.name] }));
  for (let step = work.pop(); step !== undefined; step = work.pop()) {
    const { node, names } = step;
    if (node.self !== 0n || node.baseSelf !== 0n) yield { names, node };
    for (const child of node.children.toReversed()) {
      work.push({ node: child, names: [...names, child.name] });
    }
  }
}
