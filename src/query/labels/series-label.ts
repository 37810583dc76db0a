import { type LabelSet, labelValue, serviceOf } from '../../profile/labels.ts';
import { formatProfileType, type ProfileType } from '../../profile/profile-type.ts';

/** A stored series: its labels as stored and the five-part id of what it measures. */
export interface SeriesRow {
  readonly labels: LabelSet;
  readonly type: string;
}

/**
 * How the labels that no agent sends are derived. They win over a stored label of the same name:
 * their names are the server's (`__…`), and `service_name` is never absent.
 */
const DERIVED: ReadonlyMap<string, (labels: LabelSet, type: ProfileType) => string> = new Map([
  ['__name__', (_: LabelSet, type: ProfileType) => type.name],
  ['__period_type__', (_: LabelSet, type: ProfileType) => type.periodType],
  ['__period_unit__', (_: LabelSet, type: ProfileType) => type.periodUnit],
  ['__profile_type__', (_: LabelSet, type: ProfileType) => formatProfileType(type)],
  ['__service_name__', serviceOf],
  ['__type__', (_: LabelSet, type: ProfileType) => type.type],
  ['__unit__', (_: LabelSet, type: ProfileType) => type.unit],
  ['service_name', serviceOf],
]);

/** Names of the derived labels, sorted. */
export const DERIVED_NAMES: readonly string[] = [...DERIVED.keys()];

/** Value of label `name` of a series, stored or derived; '' where it has none. */
export function seriesLabel(labels: LabelSet, type: ProfileType, name: string): string {
  const derive = DERIVED.get(name);
  return derive === undefined ? (labelValue(labels, name) ?? '') : derive(labels, type);
}
