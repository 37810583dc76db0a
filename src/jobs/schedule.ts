import { floorTo, HOUR_MS } from '../base/time.ts';

/** When a partition is absorbed; see LIMITS for units and reasons. */
export interface AbsorbRules {
  readonly absorbBytes: number;
  readonly absorbFragments: number;
  readonly hourCloseDelayMs: number;
  readonly lateIntervalMs: number;
}

/** What waits in the head for a partition. */
export interface Waiting {
  readonly bytes: number;
  readonly fragments: number;
  /** Start of the earliest push that waits, Unix ms. */
  readonly earliestMs: number;
  /** When the partition was absorbed last, Unix ms; undefined = never by this process. */
  readonly absorbedMs: number | undefined;
}

/**
 * Whether a partition is due: much waits, or something waits for an hour that closed. What comes late
 * into closed hours is absorbed at most once an interval.
 */
export function isAbsorbDue(waiting: Waiting, rules: AbsorbRules, nowMs: number): boolean {
  if (waiting.fragments === 0) return false;
  if (waiting.bytes >= rules.absorbBytes) return true;
  if (waiting.fragments >= rules.absorbFragments) return true;
  if (!isHourClosed(waiting.earliestMs, rules, nowMs)) return false;
  return waiting.absorbedMs === undefined || nowMs - waiting.absorbedMs >= rules.lateIntervalMs;
}

/** Whether the hour that holds `timeMs` closed long enough ago to be absorbed and rolled. */
export function isHourClosed(
  timeMs: number,
  rules: Pick<AbsorbRules, 'hourCloseDelayMs'>,
  nowMs: number,
): boolean {
  return floorTo(timeMs, HOUR_MS) + HOUR_MS + rules.hourCloseDelayMs <= nowMs;
}
