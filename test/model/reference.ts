/**
 * The reference: what the engine must answer, in the most naive way. It keeps every acknowledged
 * push and looks through all of them for each question. It shares no code with the product.
 */
import type { ModelFrame, ModelProfile } from './profile.ts';

type Label = readonly [name: string, value: string];

/** A matcher as an object: the reference parses no selector. */
export interface ModelMatcher {
  readonly name: string;
  readonly op: '=' | '!=' | '=~' | '!~';
  readonly value: string;
}

/** The text of a selector. */
export function selectorText(matchers: readonly ModelMatcher[]): string {
  return `{${matchers.map(({ name, op, value }) => `${name}${op}${JSON.stringify(value)}`).join(',')}}`;
}

/** A push as the reference takes it. */
export interface ModelPush {
  readonly tenant: string;
  readonly labels: readonly Label[];
  readonly startMs: number;
  readonly profile: ModelProfile;
}

/** A range of one tenant, both ends inclusive, in Unix ms. */
interface ModelRange {
  readonly tenant: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** A merge. */
export interface ModelMerge extends ModelRange {
  readonly matchers: readonly ModelMatcher[];
  readonly profileType: string;
}

/** A timeline. */
export interface ModelSeries extends ModelMerge {
  readonly stepMs: number;
  readonly groupBy: readonly string[];
  readonly aggregation: 'sum' | 'average';
}

/** A question about labels: any of the selectors; none = everything. */
export interface ModelLabels extends ModelRange {
  readonly selectors: readonly (readonly ModelMatcher[])[];
}

/** What the samples of one push with the same labels give for one sample type. */
interface StoredColumn {
  readonly tenant: string;
  readonly startMs: number;
  /** Stored labels and derived ones. */
  readonly labels: ReadonlyMap<string, string>;
  readonly profileType: string;
  /** By names, and by whole frames. */
  readonly names: ReadonlyMap<string, bigint>;
  readonly frames: ReadonlyMap<string, bigint>;
  readonly total: bigint;
}

const HOUR_MS = 3_600_000;
/** Labels of a push that are not kept. */
const DROPPED = new Set(['__name__', '__session_id__', '__delta__', '__order__']);
/** Labels of a sample that are not labels of a series. */
const SPAN_LABELS = new Set(['span_id', 'profile_id', 'trace_id']);

/** All acknowledged pushes. */
export class Reference {
  readonly #columns: StoredColumn[] = [];

  /** Takes a push that was acknowledged for the first time. */
  add(push: ModelPush): void {
    const families = new Map<string, { labels: Map<string, string>; samples: number[] }>();
    for (const [index, sample] of push.profile.samples.entries()) {
      if (sample.values.every((value) => value === 0n)) continue;
      const labels = new Map<string, string>();
      for (const [name, value] of sample.labels) {
        if (!SPAN_LABELS.has(name)) labels.set(name, value);
      }
      for (const [name, value] of push.labels) if (!DROPPED.has(name)) labels.set(name, value);
      if ((labels.get('service_name') ?? '') === '') labels.set('service_name', 'unknown_service');
      const key = JSON.stringify([...labels].sort(([a], [b]) => (a < b ? -1 : 1)));
      const family = families.get(key) ?? { labels, samples: [] };
      families.set(key, family);
      family.samples.push(index);
    }
    const name = push.labels.find(([label]) => label === '__name__')?.[1] ?? '';
    for (const { labels, samples } of families.values()) {
      for (const [t, [type, unit]] of push.profile.sampleTypes.entries()) {
        this.#columns.push(column(push, name, type, unit, labels, samples, t));
      }
    }
  }

  /** Values by stack: function names, root first, as JSON. */
  mergeNames(merge: ModelMerge): Map<string, bigint> {
    return sum(this.#select(merge).map(({ names }) => names));
  }

  /** Values by stack: whole frames, root first, as JSON. */
  mergeFrames(merge: ModelMerge): Map<string, bigint> {
    return sum(this.#select(merge).map(({ frames }) => frames));
  }

  /** Points by the grouped labels (as JSON of sorted pairs). */
  series(series: ModelSeries): Map<string, Map<number, number>> {
    const sums = new Map<string, Map<number, { sum: bigint; count: number }>>();
    const { startMs, endMs, stepMs } = series;
    for (const stored of this.#select({ ...series, startMs: -Infinity, endMs: Infinity })) {
      for (let pointMs = startMs; pointMs <= endMs; pointMs += stepMs) {
        if (stored.startMs <= pointMs - stepMs || stored.startMs > pointMs) continue;
        const labels = series.groupBy
          .toSorted()
          .map((name) => [name, stored.labels.get(name) ?? ''] as const)
          .filter(([, value]) => value !== '');
        const key = JSON.stringify(labels);
        const points = sums.get(key) ?? new Map<number, { sum: bigint; count: number }>();
        sums.set(key, points);
        const point = points.get(pointMs) ?? { sum: 0n, count: 0 };
        points.set(pointMs, { sum: point.sum + stored.total, count: point.count + 1 });
      }
    }
    const answer = new Map<string, Map<number, number>>();
    for (const [key, points] of sums) {
      answer.set(
        key,
        new Map(
          [...points].map(([pointMs, { sum: value, count }]) => [
            pointMs,
            Number(value) / (series.aggregation === 'average' ? count : 1),
          ]),
        ),
      );
    }
    return answer;
  }

  /** All labels, derived ones too, of each matching series; series by series, with doubles. */
  labelSets(request: ModelLabels): ReadonlyMap<string, string>[] {
    const firstHour = Math.floor(request.startMs / HOUR_MS);
    const lastHour = Math.floor(request.endMs / HOUR_MS);
    return this.#columns
      .filter(({ tenant, startMs, labels }) => {
        const hour = Math.floor(startMs / HOUR_MS);
        return (
          tenant === request.tenant &&
          hour >= firstHour &&
          hour <= lastHour &&
          (request.selectors.length === 0 ||
            request.selectors.some((matchers) => matchesAll(matchers, labels)))
        );
      })
      .map(({ labels }) => labels);
  }

  #select(merge: ModelMerge): StoredColumn[] {
    return this.#columns.filter(
      (stored) =>
        stored.tenant === merge.tenant &&
        stored.startMs >= merge.startMs &&
        stored.startMs <= merge.endMs &&
        stored.profileType === merge.profileType &&
        matchesAll(merge.matchers, stored.labels),
    );
  }
}

function column(
  push: ModelPush,
  name: string,
  type: string,
  unit: string,
  stored: ReadonlyMap<string, string>,
  samples: readonly number[],
  t: number,
): StoredColumn {
  const [periodType, periodUnit] = push.profile.periodType;
  const profileType = [name, type, unit, periodType, periodUnit].join(':');
  const labels = new Map(stored);
  labels.set('__name__', name);
  labels.set('__type__', type);
  labels.set('__unit__', unit);
  labels.set('__period_type__', periodType);
  labels.set('__period_unit__', periodUnit);
  labels.set('__profile_type__', profileType);
  labels.set('__service_name__', labels.get('service_name') ?? '');
  const names = new Map<string, bigint>();
  const frames = new Map<string, bigint>();
  let total = 0n;
  for (const index of samples) {
    const sample = push.profile.samples[index];
    const value = sample?.values[t] ?? 0n;
    if (sample === undefined || value === 0n) continue;
    total += value;
    addTo(names, JSON.stringify(sample.frames.map(shownName)), value);
    addTo(frames, JSON.stringify(sample.frames.map(frameKey)), value);
  }
  return { tenant: push.tenant, startMs: push.startMs, labels, profileType, names, frames, total };
}

/** How a frame is shown in a flame graph. */
function shownName(frame: ModelFrame): string {
  return frame.name === '' ? `${frame.mappingFile}+0x${frame.address.toString(16)}` : frame.name;
}

/** What tells a frame from another. */
export function frameKey(frame: ModelFrame): string {
  const { name, systemName, file, startLine, line, mappingFile, buildId, address, inlined } = frame;
  return name === ''
    ? [mappingFile, buildId, address.toString(16)].join('|')
    : [name, systemName, file, startLine, line, mappingFile, buildId, inlined].join('|');
}

function matchesAll(
  matchers: readonly ModelMatcher[],
  labels: ReadonlyMap<string, string>,
): boolean {
  return matchers.every(({ name, op, value }) => {
    const actual = labels.get(name) ?? '';
    if (op === '=') return actual === value;
    if (op === '!=') return actual !== value;
    return new RegExp(`^(?:${value})$`, 's').test(actual) === (op === '=~');
  });
}

function addTo(map: Map<string, bigint>, key: string, value: bigint): void {
  map.set(key, (map.get(key) ?? 0n) + value);
}

function sum(parts: readonly ReadonlyMap<string, bigint>[]): Map<string, bigint> {
  const all = new Map<string, bigint>();
  for (const part of parts) for (const [key, value] of part) addTo(all, key, value);
  return all;
}
