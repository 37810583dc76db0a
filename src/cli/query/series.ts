import { LIMITS } from '../../base/limits.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../base/time.ts';
import { connect } from '../connection.ts';
import { seriesTable } from '../forms/series-table.ts';
import { unitOf } from '../forms/units.ts';
import { CliError, EXIT, type CliIo } from '../io.ts';
import { jsonText } from '../json.ts';
import { deliver, formOf, type OutputFlags } from '../output.ts';
import { chooseType } from './choose-type.ts';
import { textStyle, type SelectFlags } from './flags.ts';
import { exactnessOf, noData, tellLosses } from './merge.ts';
import { selectorOf, timeRange } from './range.ts';
import { querySide } from './side.ts';

/** Flags of `tephra query series`. */
export interface SeriesFlags extends SelectFlags, OutputFlags {
  readonly type?: string;
  readonly groupBy: readonly string[];
  readonly step?: string;
  readonly limit: number;
}

const STEPS_WANTED = 60;
/** Steps that people count in, ms. */
const STEPS = [
  15 * SECOND_MS,
  30 * SECOND_MS,
  MINUTE_MS,
  5 * MINUTE_MS,
  10 * MINUTE_MS,
  15 * MINUTE_MS,
  30 * MINUTE_MS,
  HOUR_MS,
  6 * HOUR_MS,
  DAY_MS,
];

/** `tephra query series`. */
export async function runSeries(flags: SeriesFlags, io: CliIo): Promise<void> {
  const form = formOf(flags);
  const remote = connect(flags, io);
  const range = timeRange(flags.from, flags.to, ['--from', '--to'], io);
  const lengthMs = range.to - range.from;
  const stepMs = stepOf(flags.step, lengthMs);
  const selector = selectorOf(flags.selector, flags.service);
  const type = await chooseType(remote, flags.type, selector, range, io);
  const selection = { profileType: type, selector, ...range };
  const { groupBy, limit } = flags;
  const answer = await remote.ask(({ querier }) =>
    querier.series(selection, { stepMs, groupBy, limit }),
  );
  const { source, text } = querySide(remote, selection);
  if (answer.lines.every(({ points }) => points.length === 0)) throw noData(text, type);
  tellLosses([answer], io);
  const unit = unitOf(type);
  if (form === 'json') {
    const lines = answer.lines.map(({ labels, points }) => ({
      labels,
      points: points.map(({ timeMs, value }) => [timeMs, value]),
    }));
    const head = { kind: 'series', type, unit, ...exactnessOf([answer]), source, stepMs };
    await deliver(jsonText({ ...head, lines }), flags, io);
    return;
  }
  const times = { startMs: range.from, endMs: range.to, stepMs };
  const style = textStyle({ ...flags, rows: Infinity }, type, io);
  await deliver([seriesTable(answer.lines, times, style)], flags, io);
}

function stepOf(text: string | undefined, lengthMs: number): number {
  if (text === undefined) {
    return STEPS.find((step) => lengthMs / step <= STEPS_WANTED) ?? DAY_MS;
  }
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const unit = { s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS }[match?.[2] ?? ''];
  const stepMs = Number(match?.[1]) * (unit ?? 0);
  if (!(stepMs > 0)) {
    throw new CliError(
      `--step: expected 15s, 1m, 1h or 1d, found ${JSON.stringify(text)}`,
      EXIT.usage,
    );
  }
  if (lengthMs / stepMs > LIMITS.pointsPerSeriesMax) {
    throw new CliError(
      `--step: ${text} gives more than ${LIMITS.pointsPerSeriesMax} points: use a larger one`,
      EXIT.usage,
    );
  }
  return stepMs;
}
