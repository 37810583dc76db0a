import { sortSteps, type Steps } from '../../base/steps.ts';
import { compareText } from '../../base/text-order.ts';
import { laneValue, totalsOf } from '../tree/lanes.ts';
import type { NameTree } from '../tree/name-tree.ts';
import { childrenOf, walkNames } from '../tree/walk.ts';
import { ProtoWriter } from './proto-writer.ts';
import type { EncodedTree } from './pruned.ts';

/** Field of `querier.v1.SelectMergeStacktracesResponse`. */
const DOT = 3;

const INT64_MAX = (1n << 63n) - 1n;

/**
 * Writes a `querier.v1.SelectMergeStacktracesResponse` with a Graphviz digraph: a node for each of the
 * `maxNodes` functions with the largest totals, an edge for each call between two of them. A stack counts
 * once for a function and once for a call, however often it recurses.
 */
export function* encodeDot(tree: NameTree, maxNodes: number): Steps<EncodedTree> {
  const graph = yield* graphOf(tree);
  const functions = yield* sortSteps(
    [...graph.functions],
    ([a, left], [b, right]) =>
      compareBig(right.total, left.total) ||
      compareBig(right.self, left.self) ||
      compareText(tree.names[a] as string, tree.names[b] as string),
  );
  const shown = functions.slice(0, maxNodes);
  const idOf = new Map(shown.map(([name], i) => [name, i + 1]));
  const lines = ['digraph profile {', '  node [shape=box];'];
  for (const [i, [name, { self, total }]] of shown.entries()) {
    const label =
      `${quoted(tree.names[name] as string)}\\n${self} (${percent(self, graph.total)})` +
      `\\nof ${total} (${percent(total, graph.total)})`;
    lines.push(`  N${i + 1} [label="${label}"];`);
  }
  for (const { from, to, value } of graph.edges.values()) {
    const [a, b] = [idOf.get(from), idOf.get(to)];
    if (a !== undefined && b !== undefined) lines.push(`  N${a} -> N${b} [label="${value}"];`);
  }
  lines.push('}', '');
  const writer = new ProtoWriter();
  writer.text(DOT, lines.join('\n'));
  const foldedValue = functions.slice(maxNodes).reduce((sum, [, { self }]) => sum + self, 0n);
  return { bytes: writer.finish(), saturated: graph.total > INT64_MAX, foldedValue };
}

/** Nodes that are visited without a break. */
const WALKED_AT_ONCE = 1_024;

interface Graph {
  readonly total: bigint;
  readonly functions: ReadonlyMap<number, { self: bigint; total: bigint }>;
  readonly edges: ReadonlyMap<string, { from: number; to: number; value: bigint }>;
}

function* graphOf(tree: NameTree): Steps<Graph> {
  const totals = tree.total ?? (yield* totalsOf(tree.parent, tree.self));
  const functions = new Map<number, { self: bigint; total: bigint }>();
  const edges = new Map<string, { from: number; to: number; value: bigint }>();
  const path: { readonly name: number; readonly call: string }[] = [];
  const onPath = new Map<number | string, number>();
  const count = (key: number | string, by: number): number => {
    const before = onPath.get(key) ?? 0;
    onPath.set(key, before + by);
    return before;
  };
  let steps = 0;
  for (const { node, depth } of walkNames(tree, yield* childrenOf(tree))) {
    if (++steps % WALKED_AT_ONCE === 0) yield;
    while (path.length > depth) {
      const left = path.pop();
      if (left === undefined) break;
      count(left.name, -1);
      count(left.call, -1);
    }
    const name = tree.name[node] as number;
    const value = laneValue(totals, node);
    const sums = functions.get(name) ?? { self: 0n, total: 0n };
    functions.set(name, sums);
    sums.self += laneValue(tree.self, node);
    if (count(name, 1) === 0) sums.total += value;
    const caller = path.at(-1);
    const call = caller === undefined ? '' : `${caller.name}>${name}`;
    if (count(call, 1) === 0 && caller !== undefined) {
      const edge = edges.get(call) ?? { from: caller.name, to: name, value: 0n };
      edges.set(call, edge);
      edge.value += value;
    }
    path.push({ name, call });
  }
  return { total: laneValue(totals, 0), functions, edges };
}

function quoted(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll(/[\r\n]+/g, ' ');
}

/** With two digits, cut. */
function percent(part: bigint, whole: bigint): string {
  const hundredths = whole === 0n ? 0n : (part * 10_000n) / whole;
  return `${hundredths / 100n}.${String(hundredths % 100n).padStart(2, '0')}%`;
}

function compareBig(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
