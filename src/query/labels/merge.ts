import type { Label } from '../../profile/labels.ts';
import { parseProfileType } from '../../profile/profile-type.ts';
import { compareLabels, labelsKey } from './label-sets.ts';
import { DERIVED_NAMES, type SeriesRow, seriesLabel } from './series-label.ts';
import { sortedTexts } from '../../base/text-order.ts';

/**
 * Label names of the series of all shards, the derived ones too, sorted; none without a series. The
 * port leaves out the names that a client cannot read.
 */
export function labelNames(rows: Iterable<SeriesRow>): string[] {
  const names = new Set<string>();
  for (const { labels } of rows) {
    if (names.size === 0) for (const name of DERIVED_NAMES) names.add(name);
    for (const [name] of labels) names.add(name);
  }
  return sortedTexts(names);
}

/** Values of label `name`, stored or derived, sorted; a series without it adds nothing. */
export function labelValues(rows: Iterable<SeriesRow>, name: string): string[] {
  const values = new Set<string>();
  for (const row of rows) for (const [, value] of projectRow(row, [name])) values.add(value);
  return sortedTexts(values);
}

/** Five-part ids of the series' types, sorted. */
export function profileTypes(rows: Iterable<SeriesRow>): string[] {
  return labelValues(rows, '__profile_type__');
}

/**
 * Distinct projections of the series on `names` (empty = all labels, derived ones too), sorted, each
 * sorted by name. A label that a series lacks is left out of its projection; a series that has none
 * of them adds nothing.
 */
export function seriesProjections(
  rows: Iterable<SeriesRow>,
  names: readonly string[],
): (readonly Label[])[] {
  const wanted = sortedTexts(names);
  const byKey = new Map<string, readonly Label[]>();
  for (const row of rows) {
    const labels = projectRow(row, wanted.length === 0 ? labelNames([row]) : wanted);
    if (labels.length > 0) byKey.set(labelsKey(labels), labels);
  }
  return [...byKey.values()].sort(compareLabels);
}

/** The labels of one series called `names`, in that order, without those that it lacks. */
export function projectRow(row: SeriesRow, names: readonly string[]): Label[] {
  const type = parseProfileType(row.type);
  const labels: Label[] = [];
  for (const name of names) {
    const value = seriesLabel(row.labels, type, name);
    if (value !== '') labels.push([name, value]);
  }
  return labels;
}
