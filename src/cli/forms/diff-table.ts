import type { CallNode } from '../tree/call-tree.ts';
import { functionChanges, stackChanges, type Change, type Changes } from '../tree/changes.ts';
import { counted } from '../counted.ts';
import { printable, shortened } from '../printable.ts';
import { inked, tableLines, type TextStyle } from './text-table.ts';
import { formatPercent, formatPoints, formatShare, formatSigned, formatValue } from './units.ts';

/** What a diff needs beyond the style. */
export interface DiffStyle extends TextStyle {
  /** Changes below this part of the whole are folded into one line. */
  readonly floor: number;
  readonly by: 'self' | 'total';
  /** Stacks at most. */
  readonly stacks: number;
  /** What the sides are, in words. */
  readonly left: string;
  readonly right: string;
}

/** Functions, then stacks, by how much their change matters. */
export function diffTable(root: CallNode, style: DiffStyle): string {
  const functions = functionChanges(root, style.by, style.floor);
  const own =
    style.by === 'self' ? 'what they used themselves' : 'what they and their callees used';
  const lines = [
    ...sides(root, style),
    '',
    inked(`Functions, by ${own}`, 'bold', style.color),
    ...section(root, functions, 'function', style.rows, style),
  ];
  if (style.stacks > 0) {
    lines.push(
      '',
      inked('Stacks', 'bold', style.color),
      ...section(root, stackChanges(root, style.floor), 'stack', style.stacks, style),
    );
  }
  return `${lines.join('\n')}\n`;
}

function sides(root: CallNode, style: DiffStyle): string[] {
  const [left, right] = [root.baseTotal, root.total];
  const [leftText, rightText] = [formatValue(left, style.unit), formatValue(right, style.unit)];
  const width = Math.max(leftText.length, rightText.length);
  const change = formatSigned(right - left, style.unit);
  const relative = left === 0n ? '' : `, ${formatPercent(right - left, left)}`;
  const room = Math.max(24, style.width - width - 8 - change.length - relative.length - 4);
  return [
    `left   ${leftText.padStart(width)}  ${shortened(printable(style.left), room)}`,
    `right  ${rightText.padStart(width)}  ${shortened(printable(style.right), room)}  (${change}${relative})`,
  ];
}

function section(
  root: CallNode,
  changes: Changes,
  what: 'function' | 'stack',
  limit: number,
  style: DiffStyle,
): string[] {
  const shown = changes.rows.slice(0, limit);
  const lines =
    shown.length === 0
      ? [`no ${what} changed by as much as ${floorText(style)} of the total`]
      : tableLines(
          ['change', 'ratio', 'of total', 'left', '%', 'right', '%', what],
          shown.map((row) => ({
            cells: [
              formatSigned(row.change, style.unit),
              ratio(row),
              formatPoints(row.shareChange),
              formatValue(row.left, style.unit),
              formatShare(row.left, root.baseTotal),
              formatValue(row.right, style.unit),
              formatShare(row.right, root.total),
              row.names.join(SEPARATOR),
            ],
            fit: (room: number) => shortStack(row.names, room),
            ink: inkOf(row),
          })),
          style,
        );
  const dim = (line: string): void => void lines.push(inked(line, 'dim', style.color));
  const rest = changes.rows.slice(limit);
  if (rest.length > 0) {
    const together = rest.reduce((sum, { change }) => sum + change, 0n);
    const flag = what === 'function' ? '--rows' : '--stacks';
    dim(`${formatSigned(together, style.unit)} in ${rest.length} more (${flag})`);
  }
  if (changes.small.count > 0) {
    dim(
      `${formatSigned(changes.small.change, style.unit)} in ${counted(changes.small.count, 'smaller change')}, ` +
        `each below ${floorText(style)} of the total (--floor)`,
    );
  }
  if (changes.unchanged > 0) dim(`${changes.unchanged} unchanged`);
  return lines;
}

const SEPARATOR = ' > ';

/** The root, and as many of the frames nearest the leaf as there is room for: that is where it happens. */
function shortStack(names: readonly string[], room: number): string {
  const whole = names.join(SEPARATOR);
  if (whole.length <= room || names.length < 3) return whole;
  const left = `${names[0]}${SEPARATOR}…`;
  let from = names.length - 1;
  let length = left.length + SEPARATOR.length + (names[from] as string).length;
  while (from > 1) {
    length += SEPARATOR.length + (names[from - 1] as string).length;
    if (length > room) break;
    from--;
  }
  return [left, ...names.slice(from)].join(SEPARATOR);
}

/** Only what is above the floor comes here, so every colour means something. */
function inkOf({ change, shareChange }: Change): 'less' | 'more' | undefined {
  const direction = change === 0n ? shareChange : Number(change);
  return direction < 0 ? 'less' : 'more';
}

function ratio({ left, right }: Change): string {
  if (left === 0n) return 'new';
  if (right === 0n) return 'gone';
  const times = Number(right) / Number(left);
  return times >= 10 ? `x${times.toFixed(0)}` : formatPercent(right - left, left);
}

function floorText({ floor }: DiffStyle): string {
  return `${Number((floor * 100).toPrecision(3))}%`;
}
