import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';

/** The points of a timeline: k in [0, count) lies at startMs + k * stepMs. */
export interface Steps {
  readonly startMs: number;
  /** Whole milliseconds. */
  readonly stepMs: number;
  readonly count: number;
}

/**
 * The points of a range, both ends inclusive; a step is rounded to whole milliseconds. Throws
 * `invalid_step` below 1 ms, `invalid_time_range`, `too_many_points`.
 */
export function stepsOf(range: {
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
}): Steps {
  const { startMs, endMs } = range;
  if (!(range.stepMs >= 1 && range.stepMs <= Number.MAX_SAFE_INTEGER)) {
    throw new TephraError('invalid_step', `expected at least 1 ms, found ${range.stepMs} ms`);
  }
  if (!(startMs <= endMs)) {
    throw new TephraError('invalid_time_range', `query start ${startMs} is after end ${endMs}`);
  }
  const stepMs = Math.round(range.stepMs);
  const count = Math.floor((endMs - startMs) / stepMs) + 1;
  if (count > LIMITS.pointsPerSeriesMax) {
    throw new TephraError(
      'too_many_points',
      `expected at most ${LIMITS.pointsPerSeriesMax} points, found ${count}: take a longer step`,
    );
  }
  return { startMs, stepMs, count };
}

/** The step that a profile belongs to: the first at or after it, within (t - step, t]; -1 = none. */
export function stepAt(steps: Steps, timestampMs: number): number {
  const index = Math.ceil((timestampMs - steps.startMs) / steps.stepMs);
  // -0 for times in the first step before the start.
  return index >= 0 && index < steps.count ? index + 0 : -1;
}
