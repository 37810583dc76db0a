import type { CallNode } from '../../../src/cli/tree/call-tree.ts';

/** A tree from folded lines: a stack, and one value (merge) or two (left, right). */
export function treeOf(...lines: string[]): CallNode {
  const node = (name: string): CallNode & Mutable => ({
    name,
    self: 0n,
    total: 0n,
    baseSelf: 0n,
    baseTotal: 0n,
    children: [],
  });
  const root = node('total');
  for (const line of lines) {
    const match = /^(.*?)(?: (\d+))? (\d+)$/s.exec(line);
    const [left, right] = [BigInt(match?.[2] ?? 0), BigInt(match?.[3] ?? 0)];
    let at = root;
    at.total += right;
    at.baseTotal += left;
    for (const name of (match?.[1] ?? '').split(';')) {
      let child = at.children.find((one) => one.name === name);
      if (child === undefined) at.children.push((child = node(name)));
      at = child;
      at.total += right;
      at.baseTotal += left;
    }
    at.self += right;
    at.baseSelf += left;
  }
  return root;
}

interface Mutable {
  self: bigint;
  total: bigint;
  baseSelf: bigint;
  baseTotal: bigint;
}
