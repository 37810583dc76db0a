import type { Stack } from './pictures.ts';

/** A node as anyone would write it: the naive counterpart of the columns. */
export interface OracleNode {
  readonly name: string;
  /** By side. */
  readonly self: bigint[];
  readonly total: bigint[];
  readonly children: Map<string, OracleNode>;
  folded?: OracleNode;
}

function createNode(name: string, sides: number): OracleNode {
  return {
    name,
    self: Array.from({ length: sides }, () => 0n),
    total: Array.from({ length: sides }, () => 0n),
    children: new Map(),
  };
}

/** Tree of objects over the stacks of each side. */
export function oracleTree(sides: readonly (readonly Stack[])[]): OracleNode {
  const root = createNode('total', sides.length);
  for (const [side, stacks] of sides.entries()) {
    for (const [frames, value] of stacks) {
      let node = root;
      node.total[side] = (node.total[side] ?? 0n) + value;
      for (const frame of frames) {
        const child = node.children.get(frame) ?? createNode(frame, sides.length);
        node.children.set(frame, child);
        node = child;
        node.total[side] = (node.total[side] ?? 0n) + value;
      }
      node.self[side] = (node.self[side] ?? 0n) + value;
    }
  }
  return root;
}

const largest = (values: readonly bigint[]): bigint => values.reduce((a, b) => (a > b ? a : b), 0n);

/** Prunes in place by the rule of 6.6. */
export function pruneOracle(root: OracleNode, maxNodes: number): void {
  const ranks: bigint[] = [];
  const collect = (node: OracleNode): void => {
    for (const child of node.children.values()) {
      ranks.push(largest(child.total));
      collect(child);
    }
  };
  collect(root);
  ranks.sort((a, b) => (a < b ? 1 : a > b ? -1 : 0));
  const threshold = ranks[maxNodes - 1] ?? 0n;
  const fold = (node: OracleNode): void => {
    for (const [name, child] of node.children) {
      const rank = largest(child.total);
      if (rank >= threshold && rank > 0n) {
        fold(child);
        continue;
      }
      node.children.delete(name);
      if (rank === 0n) continue;
      node.folded ??= createNode('other', node.self.length);
      for (const [side, value] of child.total.entries()) {
        node.folded.self[side] = (node.folded.self[side] ?? 0n) + value;
        node.folded.total[side] = (node.folded.total[side] ?? 0n) + value;
      }
    }
  };
  fold(root);
}

/** Children in the order of the answer. */
export function orderedChildren(node: OracleNode): OracleNode[] {
  const children = [...node.children.values()].sort((a, b) =>
    Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
  return node.folded === undefined ? children : [...children, node.folded];
}

/** Names and levels as 6.3 and 6.4 have them. */
export function oracleAnswer(root: OracleNode): { names: string[]; levels: bigint[][] } {
  const names: string[] = [];
  const number = (node: OracleNode): void => {
    if (!names.includes(node.name)) names.push(node.name);
    for (const child of orderedChildren(node).reverse()) number(child);
  };
  number(root);
  const levels: bigint[][] = [];
  const ends: bigint[][] = [];
  const place = (node: OracleNode, depth: number, starts: readonly bigint[]): void => {
    const level = (levels[depth] ??= []);
    const end = (ends[depth] ??= starts.map(() => 0n));
    for (const [side, start] of starts.entries()) {
      const total = node.total[side] ?? 0n;
      level.push(start - (end[side] ?? 0n), total, node.self[side] ?? 0n);
      end[side] = start + total;
    }
    level.push(BigInt(names.indexOf(node.name)));
    const at = starts.map((start, side) => start + (node.self[side] ?? 0n));
    for (const child of orderedChildren(node)) {
      place(child, depth + 1, at.slice());
      for (const [side, total] of child.total.entries()) at[side] = (at[side] ?? 0n) + total;
    }
  };
  place(
    root,
    0,
    root.total.map(() => 0n),
  );
  return { names, levels };
}
