import { TephraError } from '../../base/errors.ts';
import { parseTime } from '../../base/parse-time.ts';
import type { Range } from '../client.ts';
import { CliError, EXIT, type CliIo } from '../io.ts';

/** Parses both ends; `names` are what messages call them. */
export function timeRange(
  from: string,
  to: string,
  names: readonly [string, string],
  io: CliIo,
): Range {
  const time = (text: string, name: string): number => {
    try {
      return parseTime(text, io.clock.nowMs());
    } catch (error) {
      throw new CliError(`${name}: ${TephraError.from(error).detail}`, EXIT.usage);
    }
  };
  const start = time(from, names[0]);
  const end = time(to, names[1]);
  if (start > end) throw new CliError(`${names[0]} is after ${names[1]}`, EXIT.usage);
  return { start: BigInt(Math.floor(start)), end: BigInt(Math.floor(end)) };
}

/** As long as `range`, just before it: ranges include both ends. */
export function rangeBefore({ start, end }: Range): Range {
  return { start: start - (end - start) - 1n, end: start - 1n };
}

/** The shortest range that holds both. */
export function union(a: Range, b: Range): Range {
  return { start: a.start < b.start ? a.start : b.start, end: a.end > b.end ? a.end : b.end };
}

/** `2026-08-01T12:00:00Z`. */
export function isoTime(ms: bigint | number): string {
  return new Date(Number(ms)).toISOString().replace(/\.000Z$/, 'Z');
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
