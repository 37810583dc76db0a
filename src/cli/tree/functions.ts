import type { CallNode } from './call-tree.ts';

/** A function with what all its nodes amount to; recursion counts once in totals. */
export interface FunctionRow {
  readonly name: string;
  self: bigint;
  total: bigint;
  baseSelf: bigint;
  baseTotal: bigint;
}

/** Functions of a tree, the root left out, in no order. */
export function functionsOf(root: CallNode): FunctionRow[] {
  const rows = new Map<string, FunctionRow>();
  const onPath = new Set<string>();
  // An explicit stack: trees are as deep as the stacks of the program, which may recurse.
  const work: { node: CallNode; leave: boolean; outermost: boolean }[] = [];
  const enter = (node: CallNode): void => {
    for (const child of node.children) work.push({ node: child, leave: false, outermost: false });
  };
  enter(root);
  for (let step = work.pop(); step !== undefined; step = work.pop()) {
    const { node, leave, outermost } = step;
    if (leave) {
      if (outermost) onPath.delete(node.name);
      continue;
    }
    let row = rows.get(node.name);
    if (row === undefined) {
      row = { name: node.name, self: 0n, total: 0n, baseSelf: 0n, baseTotal: 0n };
      rows.set(node.name, row);
    }
    row.self += node.self;
    row.baseSelf += node.baseSelf;
    const first = !onPath.has(node.name);
    if (first) {
      row.total += node.total;
      row.baseTotal += node.baseTotal;
      onPath.add(node.name);
    }
    work.push({ node, leave: true, outermost: first });
    enter(node);
  }
  return [...rows.values()];
}
