import type { CallNode } from '../tree/call-tree.ts';
import { functionsOf } from '../tree/functions.ts';
import { ascendingText, descending, inked, tableLines, type TextStyle } from './text-table.ts';
import { formatShare, formatValue } from './units.ts';

/** Nodes below this share of the whole are left out of a printed tree. */
const TREE_SHARE_MIN = 0.01;
/** A line of a call tree is moved to the right by its depth, so far. */
const INDENT_MAX = 40;

/** Functions by what they used themselves. */
export function topTable(root: CallNode, style: TextStyle): string {
  const functions = functionsOf(root).toSorted(
    (a, b) =>
      descending(a.self, b.self) || descending(a.total, b.total) || ascendingText(a.name, b.name),
  );
  const value = (amount: bigint): string => formatValue(amount, style.unit);
  const rows = functions.slice(0, style.rows).map((row) => ({
    cells: [
      value(row.self),
      formatShare(row.self, root.total),
      value(row.total),
      formatShare(row.total, root.total),
      row.name,
    ],
  }));
  const rest = functions.slice(style.rows).reduce((sum, { self }) => sum + self, 0n);
  return page(
    tableLines(['self', '%', 'total', '%', 'function'], rows, style),
    functions.length - rows.length,
    rest === 0n ? '' : `, ${value(rest)} together`,
    root,
    style,
  );
}

/** The call tree, largest first, without what is below a hundredth of the whole. */
export function callTable(root: CallNode, style: TextStyle): string {
  const least = BigInt(Math.ceil(Number(root.total) * TREE_SHARE_MIN));
  const rows: { cells: string[] }[] = [];
  let left = 0;
  const work = ordered(root, 0);
  for (let step = work.pop(); step !== undefined; step = work.pop()) {
    const { node, depth } = step;
    if (node.total < least || rows.length >= style.rows * 2) {
      left++;
      continue;
    }
    rows.push({
      cells: [
        formatValue(node.total, style.unit),
        formatShare(node.total, root.total),
        formatValue(node.self, style.unit),
        `${' '.repeat(Math.min(depth, INDENT_MAX))}${node.name}`,
      ],
    });
    work.push(...ordered(node, depth + 1));
  }
  return page(tableLines(['total', '%', 'self', 'call tree'], rows, style), left, '', root, style);
}

function page(
  lines: readonly string[],
  left: number,
  rest: string,
  root: CallNode,
  style: TextStyle,
): string {
  const more = left > 0 ? [inked(`... and ${left} smaller${rest}`, 'dim', style.color)] : [];
  return `${[...lines, ...more, `total ${formatValue(root.total, style.unit)}`].join('\n')}\n`;
}

function ordered(node: CallNode, depth: number): { node: CallNode; depth: number }[] {
  return node.children
    .toSorted((a, b) => descending(b.total, a.total) || ascendingText(b.name, a.name))
    .map((child) => ({ node: child, depth }));
}
