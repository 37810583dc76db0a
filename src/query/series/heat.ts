import type { Label } from '../../profile/labels.ts';
import { compareLabels, labelsKey } from '../labels/label-sets.ts';
import type { HeatAnswer, HeatEdges, SeriesRequest } from '../request.ts';
import { bestExemplars } from './finish.ts';
import type { SeriesPart } from './part.ts';
import { stepAt, type Steps, stepsOf } from './steps.ts';

/** Parts that the values of an answer are divided into. */
export const HEAT_BUCKETS = 20;

/** What one host has for one group of a heat map. May cross a thread. */
export interface HeatGroup {
  /** The grouped labels, sorted by name. */
  readonly labels: readonly Label[];
  readonly sum: bigint;
  readonly min: bigint;
  readonly max: bigint;
  /** By step: hits by bucket; empty as long as the edges are not known. */
  readonly slots: ReadonlyMap<number, readonly number[]>;
}

interface Group {
  readonly labels: readonly Label[];
  sum: bigint;
  min: bigint;
  max: bigint;
  readonly slots: Map<number, number[]>;
}

/**
 * Counts single values by group, step and bucket. Without edges it finds out from where to where the
 * values go: so a heat map is read twice and kept in cells, however many values there are.
 */
export class HeatCells {
  readonly #steps: Steps;
  readonly #edges: HeatEdges | undefined;
  readonly #groups = new Map<string, Group>();
  readonly #known = new WeakMap<readonly Label[], Group>();

  constructor(request: SeriesRequest) {
    this.#steps = stepsOf(request);
    this.#edges = request.heat?.edges;
  }

  /** Adds one value. `labels` as in `SeriesBuckets.add`. */
  add(labels: readonly Label[], timestampMs: number, value: bigint): void {
    const step = stepAt(this.#steps, timestampMs);
    if (step < 0) return;
    const group = this.#group(labels, value);
    group.sum += value;
    if (value < group.min) group.min = value;
    if (value > group.max) group.max = value;
    if (this.#edges === undefined) return;
    let counts = group.slots.get(step);
    if (counts === undefined) {
      counts = Array.from({ length: HEAT_BUCKETS }, () => 0);
      group.slots.set(step, counts);
    }
    const bucket = bucketOf(this.#edges, value);
    counts[bucket] = (counts[bucket] as number) + 1;
  }

  /** What was added so far. */
  finish(): HeatGroup[] {
    return [...this.#groups.values()];
  }

  #group(labels: readonly Label[], value: bigint): Group {
    const known = this.#known.get(labels);
    if (known !== undefined) return known;
    const key = labelsKey(labels);
    const group = this.#groups.get(key) ?? {
      labels,
      sum: 0n,
      min: value,
      max: value,
      slots: new Map<number, number[]>(),
    };
    this.#groups.set(key, group);
    this.#known.set(labels, group);
    return group;
  }
}

/**
 * The bucket of a value: all have the same width, the last takes the largest value too. Values that came
 * after the edges were found go to the nearest bucket.
 */
export function bucketOf({ min, max }: HeatEdges, value: bigint): number {
  const bucket = ((value - min) * BigInt(HEAT_BUCKETS)) / widthOf({ min, max });
  return Math.max(0, Math.min(HEAT_BUCKETS - 1, Number(bucket)));
}

/** From the smallest to the largest value of the `limit` groups with the largest sums. */
export function heatEdges(
  parts: readonly SeriesPart[],
  request: SeriesRequest,
): HeatEdges | undefined {
  let edges: { min: bigint; max: bigint } | undefined;
  for (const { min, max } of keptGroups(parts, request)) {
    edges ??= { min, max };
    if (min < edges.min) edges.min = min;
    if (max > edges.max) edges.max = max;
  }
  return edges;
}

/** Joins the parts of all hosts, which have counted between `edges`. Groups sorted by labels. */
export function finishHeat(
  parts: readonly SeriesPart[],
  edges: HeatEdges,
  request: SeriesRequest,
): HeatAnswer[] {
  const { startMs, stepMs } = stepsOf(request);
  const exemplars = bestExemplars(parts);
  const width = Number(widthOf(edges)) / HEAT_BUCKETS;
  const bounds = Array.from({ length: HEAT_BUCKETS }, (_, i) => Number(edges.min) + i * width);
  return keptGroups(parts, request)
    .toSorted((a, b) => compareLabels(a.labels, b.labels))
    .map(({ labels, slots }) => {
      const key = labelsKey(labels);
      return {
        labels,
        slots: [...slots]
          .toSorted(([a], [b]) => a - b)
          .map(([step, counts]) => ({
            timestampMs: startMs + step * stepMs,
            bounds,
            counts,
            exemplars: counts.flatMap(
              (_, bucket) => exemplars.get(`${step}/${bucket}/${key}`) ?? [],
            ),
          })),
      };
    });
}

function widthOf({ min, max }: HeatEdges): bigint {
  return max > min ? max - min : 1n;
}

function keptGroups(parts: readonly SeriesPart[], { limit = 0 }: SeriesRequest): Group[] {
  const byKey = new Map<string, Group>();
  for (const { labels, sum, min, max, slots } of parts.flatMap(({ heat }) => heat ?? [])) {
    const key = labelsKey(labels);
    const group = byKey.get(key);
    if (group === undefined) {
      const copy = new Map([...slots].map(([step, counts]) => [step, [...counts]]));
      byKey.set(key, { labels, sum, min, max, slots: copy });
      continue;
    }
    group.sum += sum;
    if (min < group.min) group.min = min;
    if (max > group.max) group.max = max;
    for (const [step, counts] of slots) {
      const own = group.slots.get(step);
      const joined = own?.map((count, i) => count + (counts[i] ?? 0)) ?? [...counts];
      group.slots.set(step, joined);
    }
  }
  const groups = [...byKey.values()];
  if (limit === 0 || groups.length <= limit) return groups;
  groups.sort((a, b) =>
    a.sum === b.sum ? compareLabels(a.labels, b.labels) : a.sum < b.sum ? 1 : -1,
  );
  return groups.slice(0, limit);
}
