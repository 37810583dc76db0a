import { INT64_MAX } from '../../base/int64.ts';
import { sortSteps, type Steps, sweep } from '../../base/steps.ts';
import { compareText } from '../../base/text-order.ts';
import { laneValue, totalsOf } from '../tree/lanes.ts';
import type { NameTree } from '../tree/name-tree.ts';
import { childrenOf, walkNames } from '../tree/walk.ts';
import { type Overflow, ProtoWriter } from './proto-writer.ts';
import type { EncodedTree } from './pruned.ts';

/** Field of `querier.v1.SelectMergeStacktracesResponse`. */
const DOT = 3;

/**
 * Writes a `querier.v1.SelectMergeStacktracesResponse` with a Graphviz digraph: a node for each of the
 * `maxNodes` functions with the largest totals, an edge for each call between two of them. A stack counts
 * once for a function and once for a call, however often it recurses.
 */
export function* encodeDot(
  tree: NameTree,
  maxNodes: number,
  overflow?: Overflow,
): Steps<EncodedTree> {
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
  for (const [i, [, { calls }]] of shown.entries()) {
    yield;
    for (const [to, { value }] of calls) {
      const id = idOf.get(to);
      if (id !== undefined) lines.push(`  N${i + 1} -> N${id} [label="${value}"];`);
    }
  }
  lines.push('}', '');
  const writer = new ProtoWriter(undefined, overflow);
  writer.text(DOT, lines.join('\n'));
  let foldedValue = 0n;
  yield* sweep(maxNodes, functions.length, (from, to) => {
    for (let i = from; i < to; i++) foldedValue += functions[i]?.[1].self ?? 0n;
  });
  return { ...writer.finish(), saturated: graph.total > INT64_MAX, foldedValue };
}

/** Nodes that are visited without a break. */
const WALKED_AT_ONCE = 1_024;

interface Graph {
  readonly total: bigint;
  readonly functions: ReadonlyMap<number, FunctionSums>;
}

interface FunctionSums {
  self: bigint;
  total: bigint;
  /** How often it is on the path to the node that is looked at. */
  onPath: number;
  /** By the function that it calls. Maps by function, because growing one large map takes long. */
  readonly calls: Map<number, Call>;
}

interface Call {
  value: bigint;
  onPath: number;
}

function* graphOf(tree: NameTree): Steps<Graph> {
  const totals = tree.total ?? (yield* totalsOf(tree.parent, tree.self));
  const functions = new Map<number, FunctionSums>();
  const path: { readonly sums: FunctionSums; readonly call: Call }[] = [];
  let steps = 0;
  for (const { node, depth } of walkNames(tree, yield* childrenOf(tree))) {
    if (++steps % WALKED_AT_ONCE === 0) yield;
    while (path.length > depth) {
      const left = path.pop();
      if (left === undefined) break;
      left.sums.onPath--;
      left.call.onPath--;
    }
    const name = tree.name[node] as number;
    const value = laneValue(totals, node);
    let sums = functions.get(name);
    if (sums === undefined) {
      sums = { self: 0n, total: 0n, onPath: 0, calls: new Map<number, Call>() };
      functions.set(name, sums);
    }
    sums.self += laneValue(tree.self, node);
    if (sums.onPath++ === 0) sums.total += value;
    const calls = path.at(-1)?.sums.calls;
    const call = calls?.get(name) ?? { value: 0n, onPath: 0 };
    calls?.set(name, call);
    if (call.onPath++ === 0) call.value += value;
    path.push({ sums, call });
  }
  return { total: laneValue(totals, 0), functions };
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
