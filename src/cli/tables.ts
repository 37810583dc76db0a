import { functionsOf, type CallNode, type FunctionRow } from './call-tree.ts';
import { formatShare, formatValue } from './units.ts';

/** Rows of a table at most; the rest is named by a line. */
export const ROWS_MAX = 40;

/** Nodes below this share of the whole are left out of a printed tree. */
const TREE_SHARE_MIN = 0.01;

/** How tables are written. */
export interface TableStyle {
  readonly unit: string;
  readonly color: boolean;
}

/** Functions by what they used themselves. */
export function topTable(root: CallNode, style: TableStyle): string {
  const rows = functionsOf(root).toSorted(
    (a, b) => descending(a.self, b.self) || descending(a.total, b.total) || byName(a, b),
  );
  const value = (amount: bigint): string => formatValue(amount, style.unit);
  return table(
    ['self', '%', 'total', '%', 'function'],
    rows
      .slice(0, ROWS_MAX)
      .map((row) => [
        value(row.self),
        formatShare(row.self, root.total),
        value(row.total),
        formatShare(row.total, root.total),
        row.name,
      ]),
    rows.length,
    `total ${value(root.total)}`,
    style,
  );
}

/** The call tree, largest first, without what is below a hundredth of the whole. */
export function mergeTable(root: CallNode, style: TableStyle): string {
  const least = BigInt(Math.ceil(Number(root.total) * TREE_SHARE_MIN));
  const rows: string[][] = [];
  let left = 0;
  const work = ordered(root, 0);
  for (let step = work.pop(); step !== undefined; step = work.pop()) {
    const { node, depth } = step;
    if (node.total < least || rows.length >= ROWS_MAX * 2) {
      left++;
      continue;
    }
    rows.push([
      formatValue(node.total, style.unit),
      formatShare(node.total, root.total),
      formatValue(node.self, style.unit),
      `${' '.repeat(Math.min(depth, 40))}${node.name}`,
    ]);
    work.push(...ordered(node, depth + 1));
  }
  return table(
    ['total', '%', 'self', 'call tree'],
    rows,
    rows.length + left,
    `total ${formatValue(root.total, style.unit)}`,
    style,
  );
}

/** Functions by how much their own use changed. */
export function diffTable(root: CallNode, style: TableStyle): string {
  const change = (row: FunctionRow): bigint => row.self - row.baseSelf;
  const rows = functionsOf(root)
    .filter((row) => change(row) !== 0n || row.total !== row.baseTotal)
    .toSorted((a, b) => descending(magnitude(change(a)), magnitude(change(b))) || byName(a, b));
  const value = (amount: bigint): string => formatValue(amount, style.unit);
  const signed = (amount: bigint): string => `${amount > 0n ? '+' : ''}${value(amount)}`;
  return table(
    ['change', 'self before', 'self now', 'total before', 'total now', 'function'],
    rows
      .slice(0, ROWS_MAX)
      .map((row) => [
        signed(change(row)),
        value(row.baseSelf),
        value(row.self),
        value(row.baseTotal),
        value(row.total),
        row.name,
      ]),
    rows.length,
    `total before ${value(root.baseTotal)}, now ${value(root.total)} (${signed(root.total - root.baseTotal)})`,
    style,
  );
}

function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  count: number,
  summary: string,
  style: TableStyle,
): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  // Numbers to the right, the name at the end as it is.
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === cells.length - 1 ? cell : cell.padStart(widths[column] ?? 0),
      )
      .join('  ');
  const title = line(head);
  const lines = [style.color ? `\u001b[1m${title}\u001b[0m` : title, ...rows.map(line)];
  if (count > rows.length) lines.push(`... and ${count - rows.length} smaller`);
  return `${lines.join('\n')}\n${summary}\n`;
}

function ordered(node: CallNode, depth: number): { node: CallNode; depth: number }[] {
  return node.children
    .toSorted((a, b) => descending(b.total, a.total) || (a.name < b.name ? 1 : -1))
    .map((child) => ({ node: child, depth }));
}

function descending(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a > b ? -1 : 1;
}

function byName(a: FunctionRow, b: FunctionRow): number {
  return a.name < b.name ? -1 : 1;
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}
