import type { CallNode } from '../tree/call-tree.ts';
import { share } from '../tree/changes.ts';
import { functionsOf } from '../tree/functions.ts';
import { counted } from '../counted.ts';
import { printable, shortened } from '../printable.ts';
import { ascendingText, descending } from './text-table.ts';
import { formatPoints, formatShare, formatSigned, formatValue } from './units.ts';

/** Functions of a graph: the largest ones, because Graphviz lays out no more in good time. */
const DOT_FUNCTIONS_MAX = 100;
const NAME_MAX = 100;
const LEAST_FONT = 10;
const FONT_RANGE = 40;

interface Edge {
  readonly from: string;
  readonly to: string;
  total: bigint;
  baseTotal: bigint;
}

/** A Graphviz graph of functions and calls. In a diff blue is less on the right and orange is more. */
export function* dot(
  root: CallNode,
  options: { readonly unit: string; readonly isDiff: boolean; readonly floor: number },
): Generator<string> {
  const { unit, isDiff, floor } = options;
  const all = functionsOf(root).toSorted(
    (a, b) =>
      descending(largest(a.total, a.baseTotal), largest(b.total, b.baseTotal)) ||
      ascendingText(a.name, b.name),
  );
  const rows = all.slice(0, DOT_FUNCTIONS_MAX);
  const ids = new Map(rows.map(({ name }, index) => [name, `f${index}`]));
  yield 'digraph profile {\n';
  yield '  node [shape=box, style=filled, fillcolor="#f7f7f7", fontname="Helvetica"];\n';
  yield `  label=${quoted(`${rows.length} of ${counted(all.length, 'function')}, total ${formatValue(root.total, unit)}`)};\n`;
  for (const row of rows) {
    const part = share(largest(row.self, row.baseSelf), largest(root.total, root.baseTotal));
    const font = LEAST_FONT + Math.round(FONT_RANGE * Math.sqrt(part));
    const change = share(row.total, root.total) - share(row.baseTotal, root.baseTotal);
    const text = isDiff
      ? [
          `self ${formatSigned(row.self - row.baseSelf, unit)}`,
          `total ${formatSigned(row.total - row.baseTotal, unit)} (${formatPoints(change)})`,
        ]
      : [
          `self ${formatValue(row.self, unit)} (${formatShare(row.self, root.total)})`,
          `total ${formatValue(row.total, unit)} (${formatShare(row.total, root.total)})`,
        ];
    const fill = isDiff && Math.abs(change) >= floor ? `, fillcolor="${fillOf(change)}"` : '';
    const label = [shortened(printable(row.name), NAME_MAX), ...text].map(escaped).join('\\n');
    yield `  ${ids.get(row.name)} [label="${label}", fontsize=${font}${fill}];\n`;
  }
  for (const edge of edgesOf(root)) {
    const [from, to] = [ids.get(edge.from), ids.get(edge.to)];
    if (from === undefined || to === undefined) continue;
    const label = isDiff
      ? formatSigned(edge.total - edge.baseTotal, unit)
      : formatValue(edge.total, unit);
    const part = share(largest(edge.total, edge.baseTotal), largest(root.total, root.baseTotal));
    yield `  ${from} -> ${to} [label="${label}", penwidth=${(1 + 4 * part).toFixed(1)}];\n`;
  }
  yield '}\n';
}

/** Calls by caller and callee; one within another of the same pair (recursion) counts once. */
function edgesOf(root: CallNode): Edge[] {
  const edges = new Map<string, Edge>();
  const onPath = new Set<string>();
  const work = root.children.map((node) => ({ node, parent: '', leave: '', entered: false }));
  for (let step = work.pop(); step !== undefined; step = work.pop()) {
    const { node, parent } = step;
    if (step.entered) {
      onPath.delete(step.leave);
      continue;
    }
    const key = JSON.stringify([parent, node.name]);
    const outermost = parent !== '' && !onPath.has(key);
    if (outermost) {
      onPath.add(key);
      let edge = edges.get(key);
      if (edge === undefined) {
        edge = { from: parent, to: node.name, total: 0n, baseTotal: 0n };
        edges.set(key, edge);
      }
      edge.total += node.total;
      edge.baseTotal += node.baseTotal;
      work.push({ node, parent, leave: key, entered: true });
    }
    for (const child of node.children) {
      work.push({ node: child, parent: node.name, leave: '', entered: false });
    }
  }
  return [...edges.values()];
}

function fillOf(change: number): string {
  if (change < 0) return change < -0.1 ? '#67a9cf' : '#d1e5f0';
  return change > 0.1 ? '#f1a340' : '#fee0b6';
}

function largest(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function quoted(text: string): string {
  return `"${escaped(text)}"`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}
