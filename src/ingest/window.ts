import { TephraError } from '../base/errors.ts';

/** How old and how far in the future a profile may begin, from its arrival; ms. */
export interface WindowRules {
  readonly pastMs: number;
  readonly futureMs: number;
}

/** Whether a start lies within the window; Unix ms. */
export function isInWindow(
  { pastMs, futureMs }: WindowRules,
  startMs: number,
  arrivalMs: number,
): boolean {
  return startMs >= arrivalMs - pastMs && startMs <= arrivalMs + futureMs && startMs > 0;
}

/** Throws `not_in_ingestion_window` unless a start lies within the window; Unix ms. */
export function checkWindow(
  { pastMs, futureMs }: WindowRules,
  startMs: number,
  arrivalMs: number,
): void {
  if (isInWindow({ pastMs, futureMs }, startMs, arrivalMs)) return;
  const oldestMs = arrivalMs - pastMs;
  const newestMs = arrivalMs + futureMs;
  throw new TephraError(
    'not_in_ingestion_window',
    `the profile begins at ${isoTime(startMs)}; accepted is ${isoTime(oldestMs)} to ${isoTime(newestMs)}`,
  );
}

/** ISO text, also of times that a Date cannot hold. */
function isoTime(timeMs: number): string {
  const date = new Date(timeMs);
  return Number.isNaN(date.getTime()) ? `${timeMs} ms` : date.toISOString();
}
