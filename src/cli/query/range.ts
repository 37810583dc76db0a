import { TephraError } from '../../base/errors.ts';
import { parseTime } from '../../base/parse-time.ts';
import { CliError, EXIT, type CliIo } from '../io.ts';

/** Unix ms, whole; both ends inclusive. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Parses both ends; `names` are what messages call them. */
export function timeRange(
  from: string,
  to: string,
  names: readonly [string, string],
  io: CliIo,
): Range {
  const time = (text: string, name: string): number => {
    try {
      return Math.floor(parseTime(text, io.clock.nowMs()));
    } catch (error) {
      throw new CliError(`${name}: ${TephraError.from(error).detail}`, EXIT.usage);
    }
  };
  const range = { from: time(from, names[0]), to: time(to, names[1]) };
  if (range.from > range.to) throw new CliError(`${names[0]} is after ${names[1]}`, EXIT.usage);
  return range;
}

/** As long as `range`, just before it: ranges include both ends. */
export function rangeBefore({ from, to }: Range): Range {
  return { from: from - (to - from) - 1, to: from - 1 };
}

/** The shortest range that holds both. */
export function union(a: Range, b: Range): Range {
  return { from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) };
}

/** `2026-08-01T12:00:00Z`. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.000Z$/, 'Z');
}

/** `selector` with the service as a further condition. Throws a usage error for another form. */
export function selectorOf(selector: string | undefined, service: string | undefined): string {
  const given = selector?.trim() ?? '{}';
  if (service === undefined) return given;
  const match = /^\{(.*)\}$/s.exec(given);
  if (match === null) {
    throw new CliError('--selector: expected {...} when --service is given too', EXIT.usage);
  }
  const rest = match[1]?.trim() ?? '';
  const condition = `service_name=${JSON.stringify(service)}`;
  return rest === '' ? `{${condition}}` : `{${condition},${rest}}`;
}
