import { TephraError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { compareText } from '../base/text-order.ts';

/** A label: name and value. */
export type Label = readonly [name: string, value: string];

/** Labels of a series: sorted by name in byte order, no name twice. */
export type LabelSet = readonly Label[];

/** The value of `name`, or undefined. */
export function labelValue(labels: readonly Label[], name: string): string | undefined {
  for (const [candidate, value] of labels) if (candidate === name) return value;
  return undefined;
}

/** Names that only the server gives; clients that send them are refused. */
const RESERVED = new Set([
  '__profile_type__',
  '__type__',
  '__unit__',
  '__period_type__',
  '__period_unit__',
  '__service_name__',
  '__tenant__',
]);

/** Names that agents send for servers other than this one; they are not stored. */
const DROPPED = new Set(['__session_id__', '__delta__', '__order__']);

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** The service of a series that names none. */
export const UNKNOWN_SERVICE = 'unknown_service';

/** The service of a series: label `service_name`, or UNKNOWN_SERVICE if absent or empty. */
export function serviceOf(labels: readonly Label[]): string {
  const service = labelValue(labels, 'service_name');
  return service === undefined || service === '' ? UNKNOWN_SERVICE : service;
}

/**
 * The labels of a series as they are stored, from what a client sent. Labels without a value do not
 * exist, as in Prometheus. Names may be any UTF-8 but empty, and without NUL and newline. A series
 * without `service_name` gets `unknown_service`. On `push`, `__name__` has to be there.
 *
 * Throws `missing_labels`, `invalid_label_name`, `reserved_label_name`, `duplicate_label_names`,
 * `label_name_too_long`, `label_value_too_long`, `max_label_names_per_series`, `invalid_utf8`.
 */
export function validateLabels(labels: readonly Label[], surface: 'push' | 'ingest'): LabelSet {
  const kept: Label[] = [];
  for (const label of labels) {
    const [name, value] = label;
    checkName(name);
    // Before empty values go: a name sent twice is a mistake whatever its values are.
    if (DROPPED.has(name)) continue;
    checkValue(name, value);
    kept.push(label);
  }
  const sorted = sortLabels(kept);
  for (let i = 1; i < sorted.length; i++) {
    if (sorted[i]?.[0] === sorted[i - 1]?.[0]) {
      throw new TephraError('duplicate_label_names', shown(sorted[i]?.[0] ?? ''));
    }
  }
  const set = sorted.filter(([, value]) => value !== '');
  if (set.length > LIMITS.labelsPerSeriesMax) {
    throw new TephraError(
      'max_label_names_per_series',
      `${set.length} > ${LIMITS.labelsPerSeriesMax}`,
    );
  }
  const metric = labelValue(set, '__name__');
  if (metric === undefined && surface === 'push') {
    throw new TephraError('missing_labels', 'expected a label __name__');
  }
  if (metric !== undefined && !METRIC_NAME.test(metric)) {
    throw new TephraError('invalid_label_name', `__name__ ${shown(metric)} is no metric name`);
  }
  if (labelValue(set, 'service_name') !== undefined) return set;
  return sortLabels([...set, ['service_name', UNKNOWN_SERVICE]]);
}

/** A copy sorted by name. */
export function sortLabels(labels: readonly Label[]): Label[] {
  return labels.toSorted(([a], [b]) => compareText(a, b));
}

/** Whether `name` may be stored as a label name; lengths and reserved names aside. */
export function isLabelName(name: string): boolean {
  return name !== '' && !name.includes('\0') && !name.includes('\n') && !LONE_SURROGATE.test(name);
}

const LONE_SURROGATE = /\p{Surrogate}/u;

function checkName(name: string): void {
  if (Buffer.byteLength(name) > LIMITS.labelNameBytesMax) {
    throw new TephraError(
      'label_name_too_long',
      `${shown(name)}: ${Buffer.byteLength(name)} bytes > ${LIMITS.labelNameBytesMax}`,
    );
  }
  if (!isLabelName(name)) {
    throw new TephraError('invalid_label_name', `${shown(name)} is empty or holds NUL or newline`);
  }
  if (RESERVED.has(name)) throw new TephraError('reserved_label_name', name);
}

function checkValue(name: string, value: string): void {
  if (Buffer.byteLength(value) > LIMITS.labelValueBytesMax) {
    throw new TephraError(
      'label_value_too_long',
      `${shown(name)}: ${Buffer.byteLength(value)} bytes > ${LIMITS.labelValueBytesMax}`,
    );
  }
  if (LONE_SURROGATE.test(value)) {
    throw new TephraError('invalid_utf8', `the value of label ${shown(name)}`);
  }
}

/** Input as messages show it: quoted and short. */
function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
