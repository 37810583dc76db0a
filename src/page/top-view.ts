import { element } from './dom.ts';
import { formatChange, formatPoints, formatShare, formatValue } from './format.ts';
import type { FunctionRow } from './functions.ts';

/** What the table of functions is made from. */
export interface TopPicture {
  readonly rows: readonly FunctionRow[];
  readonly isDiff: boolean;
  readonly unit: string;
  /** What every value is multiplied with before it is shown: 1, or for means one by their instants. */
  readonly scale: number;
  /** Values of the roots. */
  readonly total: number;
  readonly baseTotal: number;
  readonly floor: number;
  readonly sort: 'self' | 'total';
  readonly find: string;
}

const ROWS_MAX = 100;

/** Fills the table with the functions that matter most; `chosen` is called with a name or a column. */
export function showTop(
  table: HTMLTableElement,
  picture: TopPicture,
  chosen: { name(name: string): void; sort(column: 'self' | 'total'): void },
): void {
  const { sort } = picture;
  const weight = weightOf(picture);
  const rows = picture.rows
    .map((row) => ({ row, self: weight(row, 'self'), total: weight(row, 'total') }))
    .sort((a, b) => Math.abs(b[sort]) - Math.abs(a[sort]) || Math.abs(b.total) - Math.abs(a.total))
    .slice(0, ROWS_MAX);
  const heads = (['self', 'total'] as const).map((column) => {
    const button = element('button', { type: 'button' }, column);
    button.addEventListener('click', () => chosen.sort(column));
    const head = element('th', { class: 'number', scope: 'col' }, button);
    if (column === sort) head.setAttribute('aria-sort', 'descending');
    return head;
  });
  const first = element('th', { scope: 'col' }, picture.isDiff ? 'change of share' : 'function');
  const body = rows.map(({ row, self, total }) => {
    const name = element('button', { type: 'button', title: row.name }, shortName(row.name));
    name.addEventListener('click', () => chosen.name(row.name));
    const line = element(
      'tr',
      {},
      element('td', {}, name),
      cell(row, 'self', self, picture),
      cell(row, 'total', total, picture),
    );
    if (row.name === picture.find) line.className = 'here';
    return line;
  });
  table.replaceChildren(
    element(
      'thead',
      { class: picture.isDiff ? 'diff' : 'flat' },
      element('tr', {}, first, ...heads),
    ),
    element('tbody', {}, ...body),
  );
}

/** Of a merge the value; of a diff the change of its share of each side's total. */
function weightOf({ isDiff, total, baseTotal }: TopPicture) {
  const share = (value: number, whole: number): number => (whole === 0 ? 0 : value / whole);
  return (row: FunctionRow, column: 'self' | 'total'): number => {
    if (!isDiff) return row[column];
    const before = column === 'self' ? row.baseSelf : row.baseTotal;
    return share(row[column], total) - share(before, baseTotal);
  };
}

function cell(
  row: FunctionRow,
  column: 'self' | 'total',
  weight: number,
  { isDiff, unit, scale, total, floor }: TopPicture,
): HTMLElement {
  if (!isDiff) {
    const share = total === 0 ? 0 : weight / total;
    return element(
      'td',
      {},
      `${formatValue(weight * scale, unit)} `,
      element('small', {}, formatShare(share)),
    );
  }
  const before = column === 'self' ? row.baseSelf : row.baseTotal;
  const title = `${formatValue(before, unit)} before, ${formatValue(row[column], unit)} now: ${formatChange(row[column] - before, unit)}`;
  const tone = Math.abs(weight) < floor ? 'even' : weight > 0 ? 'up' : 'down';
  return element('td', { class: tone, title }, formatPoints(weight));
}

/** Without the folders in front: the table is narrow, and the whole name is in its title. */
function shortName(name: string): string {
  const cut = name.slice(name.lastIndexOf('/') + 1);
  return cut === '' ? name : cut;
}
