import type { Label } from '../../profile/labels.ts';
import { labelsKey } from '../labels/label-sets.ts';
import type { SeriesAnswer, SeriesRequest } from '../request.ts';
import { finishSeries } from './finish.ts';
import type { SeriesPart } from './part.ts';
import { stepAt, type Steps, stepsOf } from './steps.ts';

interface Group {
  readonly labels: readonly Label[];
  readonly sums: Map<number, bigint>;
  readonly counts: Map<number, number>;
}

/**
 * Adds up the totals of profiles by group and step. Exact: values become doubles once, at the end.
 * The constructor throws `invalid_step`, `invalid_time_range`, `too_many_points`.
 */
export class SeriesBuckets {
  readonly #request: SeriesRequest;
  readonly #steps: Steps;
  readonly #groups = new Map<string, Group>();
  /** Callers add with the same label array again and again: its key is made once. */
  readonly #known = new WeakMap<readonly Label[], Group>();

  constructor(request: SeriesRequest) {
    this.#request = request;
    this.#steps = stepsOf(request);
  }

  /** Profiles from this time (exclusive) ... */
  get afterMs(): number {
    return this.#steps.startMs - this.#steps.stepMs;
  }

  /** ... to this time (inclusive) are in the answer; `add` ignores others. */
  get untilMs(): number {
    return this.#steps.startMs + (this.#steps.count - 1) * this.#steps.stepMs;
  }

  /**
   * Adds `count` profiles that began at `timestampMs` with `total` in all. `labels` are the grouped
   * ones only, sorted by name (`projectRow`): the array must not change afterwards.
   */
  add(labels: readonly Label[], timestampMs: number, total: bigint, count = 1): void {
    const step = stepAt(this.#steps, timestampMs);
    if (step >= 0) addTo(this.#group(labels), step, total, count);
  }

  /** Adds what another thread has for the same request. */
  merge(part: SeriesPart): void {
    for (const { labels, steps, sums, counts } of part.groups) {
      const group = this.#group(labels);
      for (const [i, step] of steps.entries()) addTo(group, step, sums[i] ?? 0n, counts[i] ?? 0);
    }
  }

  /** What was added so far, for another thread. */
  part(): SeriesPart {
    return {
      groups: [...this.#groups.values()].map(({ labels, sums, counts }) => ({
        labels,
        steps: [...sums.keys()],
        sums: [...sums.values()],
        counts: [...counts.values()],
      })),
    };
  }

  /** The answer, if there is no other part. */
  finish(): SeriesAnswer[] {
    return finishSeries([this.part()], this.#request);
  }

  #group(labels: readonly Label[]): Group {
    const known = this.#known.get(labels);
    if (known !== undefined) return known;
    const key = labelsKey(labels);
    const group = this.#groups.get(key) ?? { labels, sums: new Map(), counts: new Map() };
    this.#groups.set(key, group);
    this.#known.set(labels, group);
    return group;
  }
}

function addTo(group: Group, step: number, total: bigint, count: number): void {
  group.sums.set(step, (group.sums.get(step) ?? 0n) + total);
  group.counts.set(step, (group.counts.get(step) ?? 0) + count);
}
