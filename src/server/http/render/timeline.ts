import { SECOND_MS } from '../../../base/time.ts';
import type { Label } from '../../../profile/labels.ts';
import type {
  MergeRequest,
  SeriesAnswer,
  SeriesPoint,
  SeriesRequest,
} from '../../../query/request.ts';
import type { Rest } from './flamebearer.ts';

/** A timeline has about so many steps, none shorter than this. */
const STEPS = 1_500;
const STEP_MS_MIN = 15 * SECOND_MS;

/** Bytes of a point, and of a step without one, about. */
const POINT_BYTES = 64;
const STEP_BYTES = 2;

/** The timeline beside a merge: steps of whole seconds. */
export function timelineRequest(
  merge: MergeRequest,
  shape: Pick<SeriesRequest, 'groupBy' | 'aggregation'>,
): SeriesRequest {
  const { tenant, selector, startMs, endMs, profileType, signal } = merge;
  const stepMs = Math.round((endMs - startMs) / STEPS / SECOND_MS) * SECOND_MS;
  const selection = { tenant, selector, startMs, endMs, profileType, signal };
  return { ...selection, ...shape, stepMs: Math.max(STEP_MS_MIN, stepMs) };
}

/**
 * The members `timeline`, of all groups together, and `groups`, one each, if there is anything to group by.
 * Sample i is the point at start + i * step, as SelectSeries has it; 0 where that has none.
 */
export function timelineMembers(answers: readonly SeriesAnswer[], request: SeriesRequest): Rest {
  const points = answers.reduce((sum, { points: own }) => sum + own.length, 0);
  const lines = answers.length + 1;
  return {
    pieces: members(answers, request),
    byteLength: points * POINT_BYTES + lines * stepsOf(request) * STEP_BYTES,
  };
}

function* members(answers: readonly SeriesAnswer[], request: SeriesRequest): Generator<string> {
  const { groupBy } = request;
  yield `,"timeline":${timeline(together(answers, request), request)}`;
  if (groupBy.length === 0) return;
  yield ',"groups":{';
  for (const [index, { labels, points }] of answers.entries()) {
    const key = JSON.stringify(groupKey(labels, groupBy));
    yield `${index === 0 ? '' : ','}${key}:${timeline(points, request)}`;
  }
  yield '}';
}

/** The value of the label, '' for a group without it; of several labels `{a="x",b="y"}`. */
function groupKey(labels: readonly Label[], groupBy: readonly string[]): string {
  if (new Set(groupBy).size === 1) return labels[0]?.[1] ?? '';
  return `{${labels.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}}`;
}

function stepsOf({ startMs, endMs, stepMs }: SeriesRequest): number {
  return Math.floor((endMs - startMs) / stepMs) + 1;
}

function timeline(points: Iterable<SeriesPoint>, request: SeriesRequest): string {
  const { startMs, stepMs, aggregation } = request;
  const samples = Array.from({ length: stepsOf(request) }, () => '0');
  for (const { timestampMs, value, sum } of points) {
    const exact = aggregation === 'sum' ? sum : undefined;
    const at = Math.round((timestampMs - startMs) / stepMs);
    if (at in samples) samples[at] = String(exact ?? value);
  }
  return (
    `{"startTime":${Math.floor(startMs / SECOND_MS)},"samples":[${samples.join(',')}],` +
    `"durationDelta":${stepMs / SECOND_MS},"watermarks":{}}`
  );
}

/** The points of all groups, added up; a mean is that of all profiles. */
function together(
  answers: readonly SeriesAnswer[],
  { aggregation }: SeriesRequest,
): Iterable<SeriesPoint> {
  if (answers.length <= 1) return answers[0]?.points ?? [];
  const sums = new Map<number, { sum: bigint; profiles: number }>();
  for (const { points } of answers) {
    for (const { timestampMs, sum = 0n, profiles = 0 } of points) {
      const before = sums.get(timestampMs) ?? { sum: 0n, profiles: 0 };
      sums.set(timestampMs, { sum: before.sum + sum, profiles: before.profiles + profiles });
    }
  }
  return Array.from(sums, ([timestampMs, { sum, profiles }]) => ({
    timestampMs,
    value: Number(sum) / (aggregation === 'average' ? Math.max(1, profiles) : 1),
    sum,
  }));
}
