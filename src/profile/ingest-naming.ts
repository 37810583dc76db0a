import { TephraError } from '../base/errors.ts';
import type { ValueType } from './columns.ts';
import { isLabelName, type Label } from './labels.ts';

/** The parameter `name` of `/ingest`. */
export interface AppName {
  /** The text before `{`. */
  readonly app: string;
  /** In the order sent. */
  readonly labels: readonly Label[];
}

/** How a text profile is stored; what `FoldedReader` needs. */
export interface TextProfileType {
  /** The app name without its type: the default of `service_name`. */
  readonly app: string;
  /** The label `__name__`. */
  readonly name: string;
  readonly sampleType: ValueType;
  readonly periodType: ValueType;
  /** In the unit of `periodType`; 0 = none. */
  readonly period: bigint;
  /** Value of one count. */
  readonly unitScale: number;
}

const APP = /^[a-zA-Z0-9_.\-/]+$/;
const SAMPLE_RATE_DEFAULT_HZ = 100;
const SECOND_NANOS = 1e9;
const NO_TYPE: ValueType = { type: '', unit: '' };

/**
 * Parses `app.name{k=v,k2=v2}`; braces are optional, values are not quoted. Throws
 * `invalid_argument` for the form, `invalid_label_name` for a label without a name.
 */
export function parseAppName(text: string): AppName {
  const open = text.indexOf('{');
  const app = (open < 0 ? text : text.slice(0, open)).trim();
  if (!APP.test(app)) {
    throw new TephraError(
      'invalid_argument',
      `name ${shown(app)}: expected an application name of a-z A-Z 0-9 _ . - /`,
    );
  }
  if (open < 0) return { app, labels: [] };
  const rest = text.trimEnd();
  if (!rest.endsWith('}')) {
    throw new TephraError('invalid_argument', `name ${shown(text)}: expected } at the end`);
  }
  const labels: Label[] = [];
  for (const pair of rest.slice(open + 1, -1).split(',')) {
    if (pair.trim() === '') continue;
    const equals = pair.indexOf('=');
    if (equals < 0) {
      throw new TephraError('invalid_argument', `name: label ${shown(pair)}: expected key=value`);
    }
    const label = pair.slice(0, equals).trim();
    if (!isLabelName(label)) {
      throw new TephraError('invalid_label_name', `name: label ${shown(pair)} has no valid name`);
    }
    labels.push([label, pair.slice(equals + 1).trim()]);
  }
  return { app, labels };
}

/** A row: `__name__`, stored type and unit; counts become nanoseconds where the type is time. */
interface TextRow {
  readonly name: string;
  readonly type: string;
  readonly unit: string;
  /** A count is a sample taken at the sample rate. */
  readonly sampled?: true;
}

const cpu: TextRow = { name: 'process_cpu', type: 'cpu', unit: 'nanoseconds', sampled: true };
const wall: TextRow = { name: 'wall', type: 'wall', unit: 'nanoseconds', sampled: true };
const memory = (type: string, unit: string): TextRow => ({ name: 'memory', type, unit });
const contentions = (name: string): TextRow => ({ name, type: 'contentions', unit: 'count' });
const delay = (name: string): TextRow => ({ name, type: 'delay', unit: 'nanoseconds' });

/** What the part of the app name after the last dot stands for, as Pyroscope has it. */
const TEXT_ROWS: ReadonlyMap<string, TextRow> = new Map([
  ['cpu', cpu],
  ['itimer', cpu],
  ['wall', wall],
  // Names of units, which some senders of speedscope put there.
  ['seconds', wall],
  ['milliseconds', wall],
  ['microseconds', wall],
  ['nanoseconds', wall],
  ['inuse_objects', memory('inuse_objects', 'count')],
  ['inuse_space', memory('inuse_space', 'bytes')],
  ['alloc_objects', memory('alloc_objects', 'count')],
  ['alloc_space', memory('alloc_space', 'bytes')],
  ['alloc_in_new_tlab_objects', memory('alloc_in_new_tlab_objects', 'count')],
  ['alloc_in_new_tlab_bytes', memory('alloc_in_new_tlab_bytes', 'bytes')],
  ['alloc_outside_tlab_objects', memory('alloc_outside_tlab_objects', 'count')],
  ['alloc_outside_tlab_bytes', memory('alloc_outside_tlab_bytes', 'bytes')],
  ['live', memory('live', 'count')],
  ['bytes', memory('samples', 'bytes')],
  ['goroutines', { name: 'goroutine', type: 'goroutines', unit: 'count' }],
  ['mutex_count', contentions('mutex')],
  ['mutex_duration', delay('mutex')],
  ['block_count', contentions('block')],
  ['block_duration', delay('block')],
  ['lock_count', contentions('block')],
  ['lock_duration', delay('block')],
  ['exceptions', { name: 'exceptions', type: 'samples', unit: 'count' }],
]);

/**
 * The type of a text profile, by the part of `app` after the last dot; an app without a dot is
 * `cpu`. Counts of time types are scaled by the period, 1e9 / sample rate rounded to whole ns, so
 * that the period divides every value. Throws `invalid_profile_type` for an unknown type.
 */
export function textProfileType(
  app: string,
  sampleRateHz: number = SAMPLE_RATE_DEFAULT_HZ,
): TextProfileType {
  const dot = app.lastIndexOf('.');
  const suffix = dot < 0 ? 'cpu' : app.slice(dot + 1);
  const row = TEXT_ROWS.get(suffix);
  if (row === undefined) {
    throw new TephraError(
      'invalid_profile_type',
      `unknown profile type ${shown(suffix)} at the end of the app name`,
    );
  }
  const { name, type, unit, sampled } = row;
  const common = { app: dot < 0 ? app : app.slice(0, dot), name, sampleType: { type, unit } };
  if (sampled === undefined) return { ...common, periodType: NO_TYPE, period: 0n, unitScale: 1 };
  const rate =
    sampleRateHz > 0 && sampleRateHz <= SECOND_NANOS ? sampleRateHz : SAMPLE_RATE_DEFAULT_HZ;
  const periodNanos = Math.round(SECOND_NANOS / rate);
  return {
    ...common,
    periodType: { type: 'cpu', unit: 'nanoseconds' },
    period: BigInt(periodNanos),
    unitScale: periodNanos,
  };
}

/** Rules for `__name__` of a pprof, in order; each looks at all sample types. */
const PPROF_RULES: readonly (readonly [fits: (type: string) => boolean, name: string])[] = [
  [(type) => type.includes('wall'), 'wall'],
  [(type) => type.includes('cpu'), 'process_cpu'],
  [
    (type) =>
      type.includes('alloc_') || type.includes('inuse_') || type === 'space' || type === 'objects',
    'memory',
  ],
  [(type) => type.startsWith('mutex_'), 'mutex'],
  [(type) => type.startsWith('block_'), 'block'],
  [(type) => type.includes('goroutines'), 'goroutines'],
  [(type) => type === 'contentions' || type === 'delay', 'mutex'],
];

/**
 * `__name__` of a pprof that came without one, by its sample types, or their display names where
 * the sender configured them. A profile whose types have no names at all is `profile`.
 */
export function nameOfPprof(
  sampleTypes: readonly ValueType[],
  displayNames: ReadonlyMap<string, string> = new Map(),
): string {
  const types = sampleTypes.map(({ type }) => displayNames.get(type) ?? type);
  for (const [fits, name] of PPROF_RULES) if (types.some(fits)) return name;
  return types.findLast((type) => type !== '') ?? 'profile';
}

/**
 * The stored `__name__` of one series of a profile named `name`: without the prefix of the delta
 * profiler, and CPU time beside wall time under the name of CPU profiles, as Pyroscope's default
 * relabelling has it.
 */
export function seriesName(name: string, sampleType: string): string {
  const plain = name.startsWith('godeltaprof_') ? name.slice('godeltaprof_'.length) : name;
  return plain === 'wall' && sampleType === 'cpu' ? 'process_cpu' : plain;
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
