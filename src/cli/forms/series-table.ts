import type { QuerierSeries } from '../../client/index.ts';
import { tableLines, type TextStyle } from './text-table.ts';
import { formatValue } from './units.ts';

const BARS = '▁▂▃▄▅▆▇█';
/** Columns of the little picture: steps beyond are put together. */
const PICTURE_WIDTH = 40;

type Line = QuerierSeries['lines'][number];

/** The range of a timeline, Unix ms. */
export interface TimelineRange {
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
}

/** A line for each group: what it sums up to, its least, mean and largest step, and its shape. */
export function seriesTable(
  lines: readonly Line[],
  { startMs, endMs, stepMs }: TimelineRange,
  style: TextStyle,
): string {
  const value = (amount: number): string => formatValue(BigInt(Math.round(amount)), style.unit);
  const sumOf = ({ points }: Line): number => points.reduce((sum, point) => sum + point.value, 0);
  const sorted = lines.map((line) => ({ line, sum: sumOf(line) })).sort((a, b) => b.sum - a.sum);
  const rows = sorted.slice(0, style.rows).map(({ line, sum }) => {
    const values = line.points.map((point) => point.value);
    return {
      cells: [
        value(sum),
        value(values.reduce((least, next) => Math.min(least, next), Infinity)),
        value(sum / Math.max(1, values.length)),
        value(values.reduce((most, next) => Math.max(most, next), -Infinity)),
        picture(line, { startMs, endMs, stepMs }),
        Object.entries(line.labels)
          .map(([name, label]) => `${name}=${JSON.stringify(label)}`)
          .join(' ') || 'all',
      ],
    };
  });
  const at = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
  return `${[
    ...tableLines(['sum', 'least', 'mean', 'most', 'over time', 'series'], rows, style),
    ...(sorted.length > rows.length ? [`... and ${sorted.length - rows.length} smaller`] : []),
    `${at(startMs)} to ${at(endMs)}, a step is ${stepMs / 1_000} s; steps without a profile count nowhere`,
  ].join('\n')}\n`;
}

/** The largest step in each of a few spans of time; a dot where there is none. */
function picture({ points }: Line, { startMs, endMs, stepMs }: TimelineRange): string {
  const steps = Math.max(1, Math.ceil((endMs - startMs) / stepMs) + 1);
  const width = Math.min(PICTURE_WIDTH, steps);
  const columns: (number | undefined)[] = Array.from({ length: width }, () => undefined);
  let most = 0;
  for (const { timeMs, value } of points) {
    const part = (timeMs - startMs) / Math.max(1, endMs - startMs + stepMs);
    const column = Math.min(width - 1, Math.max(0, Math.floor(part * width)));
    columns[column] = Math.max(columns[column] ?? 0, value);
    most = Math.max(most, value);
  }
  return columns
    .map((value) => {
      if (value === undefined) return '·';
      if (most === 0) return BARS[0];
      return BARS[Math.min(BARS.length - 1, Math.floor((value / most) * BARS.length))];
    })
    .join('');
}
