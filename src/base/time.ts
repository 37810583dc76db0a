/** Periods in milliseconds; all times of the engine are Unix milliseconds in UTC. */
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
/** Arrival span of one raw volume. */
export const RAW_VOLUME_MS = 6 * HOUR_MS;
/** Nanoseconds in a millisecond. */
export const NANOS_PER_MS = 1_000_000n;

/** Start of the period of `sizeMs` that holds `timeMs`. */
export function floorTo(timeMs: number, sizeMs: number): number {
  return Math.floor(timeMs / sizeMs) * sizeMs;
}

/** `YYYYMMDD` (UTC) of the day that holds `timeMs`. */
export function dayName(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10).replaceAll('-', '');
}

/** `YYYYMMDD-HH` (UTC) of the hour that holds `timeMs`. */
export function hourName(timeMs: number): string {
  return `${dayName(timeMs)}-${new Date(timeMs).toISOString().slice(11, 13)}`;
}

/** Start in Unix ms of a period named by {@link dayName} or {@link hourName}; NaN if it is none. */
export function parsePeriodName(name: string): number {
  const match = /^(\d{4})(\d{2})(\d{2})(?:-(\d{2}))?$/.exec(name);
  if (match === null) return Number.NaN;
  const [, year, month, day, hour] = match;
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour ?? 0));
}
