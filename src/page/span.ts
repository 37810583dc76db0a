/** A part of the time: behind `fromMs`, up to and with `toMs`, Unix ms. So is a point of a timeline. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The ranges that can be chosen by name, with their lengths in ms. */
export const RANGES: Readonly<Record<string, number>> = {
  '15m': 900_000,
  '1h': 3_600_000,
  '6h': 21_600_000,
  '24h': 86_400_000,
};

const STEPS_S = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400];
const POINTS_MAX = 130;

/** Milliseconds between the points of a timeline over `lengthMs`: at most 130 of them. */
export function stepFor(lengthMs: number): number {
  const step = STEPS_S.find((seconds) => lengthMs / (seconds * 1000) <= POINTS_MAX);
  return 1000 * (step ?? 86_400 * Math.ceil(lengthMs / (86_400_000 * POINTS_MAX)));
}

/** The span moved to end with a step, and widened to whole steps: at least one. */
export function aligned({ fromMs, toMs }: Span, stepMs: number): Span {
  const end = Math.ceil(toMs / stepMs) * stepMs;
  const steps = Math.max(1, Math.ceil((toMs - fromMs) / stepMs));
  return { fromMs: end - steps * stepMs, toMs: end };
}

/** The part of `span` within `whole`, undefined where there is none. */
export function within(span: Span | undefined, whole: Span): Span | undefined {
  if (span === undefined) return undefined;
  const fromMs = Math.max(span.fromMs, whole.fromMs);
  const toMs = Math.min(span.toMs, whole.toMs);
  return fromMs < toMs ? { fromMs, toMs } : undefined;
}

/** The first and the second half, cut at a whole step. */
export function halves(whole: Span, stepMs: number): [Span, Span] {
  const steps = Math.round((whole.toMs - whole.fromMs) / stepMs);
  const middle = whole.fromMs + Math.max(1, Math.floor(steps / 2)) * stepMs;
  return [
    { fromMs: whole.fromMs, toMs: middle },
    { fromMs: Math.min(middle, whole.toMs - stepMs), toMs: whole.toMs },
  ];
}

/** Whole hours, minutes or days to label a time axis with: at most `count`. */
export function axisMarks({ fromMs, toMs }: Span, count: number): number[] {
  const sizes = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
  const length = toMs - fromMs;
  const seconds = sizes.find((size) => length / (size * 1000) <= count);
  const stepMs = 1000 * (seconds ?? 86_400 * Math.ceil(length / (86_400_000 * count)));
  // Marks stand on round times of the reader's clock, not of UTC's.
  const shiftMs = new Date(fromMs).getTimezoneOffset() * 60_000;
  const marks: number[] = [];
  for (
    let at = Math.ceil((fromMs - shiftMs) / stepMs) * stepMs + shiftMs;
    at <= toMs;
    at += stepMs
  ) {
    marks.push(at);
  }
  return marks;
}
