import { jsonText, type JsonValue } from '../json.ts';
import type { CallNode } from '../tree/call-tree.ts';
import { functionChanges, stackChanges, type Change, type Changes } from '../tree/changes.ts';
import { functionsOf } from '../tree/functions.ts';
import { ascendingText, descending } from './text-table.ts';

/** What every answer says about itself. */
export interface Told {
  /** Five-part profile type id; of files `:type:unit::`. */
  readonly type: string;
  readonly unit: string;
  /** null where the server does not say. */
  readonly exact: boolean | null;
  /** Why it is not exact. */
  readonly notes?: string;
  /** One for a merge, two (left, right) for a diff. */
  readonly sources: readonly JsonValue[];
}

function head(
  kind: string,
  { type, unit, exact, notes }: Told,
): Record<string, JsonValue | undefined> {
  return { kind, type, unit, exact, notes };
}

/** Nodes of a merged tree, parents first; `parent` is an index into `nodes`, that of the root is null. */
export function mergeJson(root: CallNode, told: Told): Iterable<string> {
  const nodes: JsonValue[] = [];
  const work: { node: CallNode; parent: number | null }[] = [{ node: root, parent: null }];
  for (let step = work.pop(); step !== undefined; step = work.pop()) {
    const { node, parent } = step;
    const { name, self, total } = node;
    const index = nodes.push({ name, parent, self, total }) - 1;
    for (const child of node.children) work.push({ node: child, parent: index });
  }
  const [source] = told.sources;
  return jsonText({ ...head('merge', told), source, total: root.total, nodes });
}

/** All functions, the largest own value first. */
export function topJson(root: CallNode, told: Told): Iterable<string> {
  const functions = functionsOf(root)
    .toSorted(
      (a, b) =>
        descending(a.self, b.self) || descending(a.total, b.total) || ascendingText(a.name, b.name),
    )
    .map(({ name, self, total }) => ({ name, self, total }));
  const [source] = told.sources;
  return jsonText({ ...head('top', told), source, total: root.total, functions });
}

/** Changes at or above the floor, the weightiest first; those below are counted in `small`. */
export function diffJson(
  root: CallNode,
  told: Told,
  options: { readonly floor: number; readonly by: 'self' | 'total' },
): Iterable<string> {
  const { floor, by } = options;
  const functions = functionChanges(root, by, floor);
  const stacks = stackChanges(root, floor);
  const [left, right] = told.sources;
  const values = ({ left: before, right: after, change, shareChange }: Change) => ({
    left: before,
    right: after,
    change,
    shareChange,
  });
  const rest = ({ small, unchanged }: Changes): JsonValue => ({ ...small, unchanged });
  return jsonText({
    ...head('diff', told),
    left,
    right,
    leftTotal: root.baseTotal,
    rightTotal: root.total,
    floor,
    by,
    functions: functions.rows.map((row) => ({ name: row.names[0] ?? '', ...values(row) })),
    smallFunctions: rest(functions),
    stacks: stacks.rows.map((row) => ({ stack: row.names, ...values(row) })),
    smallStacks: rest(stacks),
  });
}
