import { compareLabels, labelsKey } from '../labels/label-sets.ts';
import type { Exemplar, SeriesAnswer, SeriesRequest } from '../request.ts';
import { isBetter } from './exemplar-order.ts';
import type { SeriesGroup, SeriesPart } from './part.ts';
import { type Steps, stepsOf } from './steps.ts';

/**
 * Joins the parts of all hosts into the answer: sums or averages as doubles, the `limit` groups with
 * the largest sums, sorted by labels; steps without a profile are left out.
 */
export function finishSeries(parts: readonly SeriesPart[], request: SeriesRequest): SeriesAnswer[] {
  const steps = stepsOf(request);
  const byKey = new Map<string, SeriesGroup[]>();
  for (const group of parts.flatMap(({ groups }) => groups)) {
    const key = labelsKey(group.labels);
    const same = byKey.get(key);
    if (same === undefined) byKey.set(key, [group]);
    else same.push(group);
  }
  const exemplars = bestExemplars(parts);
  const answers = [...byKey].map(([key, groups]) =>
    answerOf(groups, steps, request.aggregation, (step) => exemplars.get(`${step}/${key}`)),
  );
  const limit = request.limit ?? 0;
  if (limit > 0 && limit < answers.length) {
    answers.sort((a, b) => compareSums(b, a) || compareLabels(a.answer.labels, b.answer.labels));
    answers.length = limit;
  }
  return answers.map(({ answer }) => answer).sort((a, b) => compareLabels(a.labels, b.labels));
}

interface Summed {
  readonly answer: SeriesAnswer;
  readonly sum: bigint;
}

function answerOf(
  groups: readonly SeriesGroup[],
  steps: Steps,
  aggregation: SeriesRequest['aggregation'],
  exemplarAt: (step: number) => Exemplar | undefined,
): Summed {
  const sums = new Map<number, bigint>();
  const counts = new Map<number, number>();
  let sum = 0n;
  for (const group of groups) {
    for (const [i, step] of group.steps.entries()) {
      const value = group.sums[i] ?? 0n;
      sum += value;
      sums.set(step, (sums.get(step) ?? 0n) + value);
      counts.set(step, (counts.get(step) ?? 0) + (group.counts[i] ?? 0));
    }
  }
  const points = [...sums]
    .sort(([a], [b]) => a - b)
    .map(([step, value]) => {
      const profiles = counts.get(step) ?? 1;
      return {
        timestampMs: steps.startMs + step * steps.stepMs,
        value: Number(value) / (aggregation === 'average' ? profiles : 1),
        sum: value,
        profiles,
        exemplar: exemplarAt(step),
      };
    });
  return { answer: { labels: groups[0]?.labels ?? [], points }, sum };
}

/** The profile with the largest value by `step/key of the line`, in a heat map `step/bucket/key`. */
export function bestExemplars(parts: readonly SeriesPart[]): ReadonlyMap<string, Exemplar> {
  const best = new Map<string, Exemplar>();
  for (const one of parts.flatMap(({ exemplars }) => exemplars ?? [])) {
    const { group, step, bucket, exemplar } = one;
    const key = `${step}/${bucket === undefined ? '' : `${bucket}/`}${labelsKey(group)}`;
    const other = best.get(key);
    if (other === undefined || isBetter(exemplar, other)) best.set(key, exemplar);
  }
  return best;
}

function compareSums(a: Summed, b: Summed): number {
  return a.sum < b.sum ? -1 : a.sum > b.sum ? 1 : 0;
}
