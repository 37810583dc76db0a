import { formatChange, formatPoints, formatShare, formatValue } from './format.ts';
import type { Shown } from './load.ts';

/** What is told about a node, as names and values. */
export function factsOf({ flame, unit, scale }: Shown, node: number): [string, string][] {
  const { base, now } = flame;
  const share = (column: Float64Array, whole: Float64Array): number =>
    (whole[0] as number) > 0 ? (column[node] as number) / (whole[0] as number) : 0;
  const both = (column: Float64Array, whole: Float64Array): string =>
    `${formatValue((column[node] as number) * scale, unit)} (${formatShare(share(column, whole))})`;
  if (base === undefined) {
    return [
      ['total', both(now.total, now.total)],
      ['self', both(now.self, now.total)],
    ];
  }
  const moved = share(now.total, now.total) - share(base.total, base.total);
  return [
    ['baseline', both(base.total, base.total)],
    ['comparison', both(now.total, now.total)],
    ['change of share', formatPoints(moved)],
    ['change', formatChange((now.total[node] as number) - (base.total[node] as number), unit)],
    [
      'self',
      `${formatValue(base.self[node] as number, unit)} → ${formatValue(now.self[node] as number, unit)}`,
    ],
  ];
}
