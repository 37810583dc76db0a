import { emptyNode, type CallNode } from './call-tree.ts';

/**
 * Two trees laid over each other by the names on the way from the root: the values of `now`, and those
 * of `base` as baseline. Neither is changed. Children are those of `now` in their order, then what only
 * `base` has.
 */
export function overlay(base: CallNode, now: CallNode): CallNode {
  const root = pair(base, now);
  const work = [
    { node: root, base: base as CallNode | undefined, now: now as CallNode | undefined },
  ];
  for (let step = work.pop(); step !== undefined; step = work.pop()) {
    // One name may be twice among the children of a node; the second joins the first.
    const pairs = new Map<string, { base: CallNode[]; now: CallNode[] }>();
    const groupOf = (name: string): { base: CallNode[]; now: CallNode[] } => {
      let group = pairs.get(name);
      if (group === undefined) pairs.set(name, (group = { base: [], now: [] }));
      return group;
    };
    for (const child of step.now?.children ?? []) groupOf(child.name).now.push(child);
    for (const child of step.base?.children ?? []) groupOf(child.name).base.push(child);
    for (const group of pairs.values()) {
      const [left, right] = [joined(group.base), joined(group.now)];
      const node = pair(left, right);
      step.node.children.push(node);
      work.push({ node, base: left, now: right });
    }
  }
  return root;
}

function pair(base: CallNode | undefined, now: CallNode | undefined): CallNode {
  const node = emptyNode(now?.name ?? base?.name ?? '');
  if (now !== undefined) [node.self, node.total] = [now.self, now.total];
  if (base !== undefined) [node.baseSelf, node.baseTotal] = [base.self, base.total];
  return node;
}

function joined(nodes: readonly CallNode[]): CallNode | undefined {
  const [first] = nodes;
  if (first === undefined || nodes.length === 1) return first;
  const sum = (value: (node: CallNode) => bigint): bigint =>
    nodes.reduce((all, node) => all + value(node), 0n);
  return {
    ...emptyNode(first.name),
    self: sum((node) => node.self),
    total: sum((node) => node.total),
    children: nodes.flatMap((node) => node.children),
  };
}

/** The baseline of a diff as a tree of its own. */
export function baselineOf(root: CallNode): CallNode {
  const copy = (node: CallNode): CallNode => ({
    ...emptyNode(node.name),
    self: node.baseSelf,
    total: node.baseTotal,
  });
  const top = copy(root);
  const work = [{ from: root, to: top }];
  for (let step = work.pop(); step !== undefined; step = work.pop()) {
    for (const child of step.from.children) {
      if (child.baseTotal === 0n) continue;
      const node = copy(child);
      step.to.children.push(node);
      work.push({ from: child, to: node });
    }
  }
  return top;
}
