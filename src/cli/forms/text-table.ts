import { printable, shortened } from '../printable.ts';

/** How text for people is written. */
export interface TextStyle {
  /** Of the values; see `unitOf`. */
  readonly unit: string;
  readonly color: boolean;
  /** Characters in a line; longer names are shortened in the middle. */
  readonly width: number;
  /** Rows of a table at most; what is left out is counted in a line. */
  readonly rows: number;
}

/** Colours that people tell apart who do not see red and green: the same two as in the SVG. */
export const INK = { bold: '1', dim: '2', less: '38;5;33', more: '38;5;208' } as const;

/** A row: cells, the last one being a name, and what colours it. */
export interface TableRow {
  readonly cells: readonly string[];
  /** Writes the last cell into so many characters, where shortening it in the middle is not best. */
  readonly fit?: (room: number) => string;
  readonly ink?: keyof typeof INK | undefined;
}

/** `text` in a colour, where there are colours. */
export function inked(text: string, ink: keyof typeof INK | undefined, color: boolean): string {
  return color && ink !== undefined ? `\u001b[${INK[ink]}m${text}\u001b[0m` : text;
}

/** Lines of a table: numbers to the right, the name at the end as it is. */
export function tableLines(
  head: readonly string[],
  rows: readonly TableRow[],
  style: Pick<TextStyle, 'color' | 'width'>,
): string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map(({ cells }) => cells[column]?.length ?? 0)),
  );
  const numbers = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
  const nameWidth = Math.max(24, style.width - numbers);
  const line = (cells: readonly string[], fit?: TableRow['fit']): string =>
    cells
      .map((cell, column) =>
        column === cells.length - 1
          ? shortened(printable(fit?.(nameWidth) ?? cell), nameWidth)
          : cell.padStart(widths[column] ?? 0),
      )
      .join('  ');
  return [
    inked(line(head), 'bold', style.color),
    ...rows.map(({ cells, fit, ink }) => inked(line(cells, fit), ink, style.color)),
  ];
}

/** Order of values, largest first. */
export function descending(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a > b ? -1 : 1;
}

/** Order of texts by code units: the same on every machine. */
export function ascendingText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
