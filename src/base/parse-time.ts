import { TephraError } from './errors.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './time.ts';

const OFFSET_UNITS: Readonly<Record<string, number>> = {
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
  w: 7 * DAY_MS,
};

/**
 * A time as people and agents write it, in Unix ms: `now`, `now-3h`, `now+90s`; a date
 * `YYYYMMDD`; Unix time whose unit follows from its digits (10 s, 13 ms, 16 us, 19 ns); ISO 8601
 * (UTC where no zone is given). Throws `invalid_time`.
 */
export function parseTime(text: string, nowMs: number): number {
  const time = relative(text, nowMs) ?? digits(text) ?? iso(text);
  if (time === undefined || !(Math.abs(time) <= 8.64e15)) {
    throw new TephraError(
      'invalid_time',
      'expected now-1h, 2026-08-01T12:00:00Z, YYYYMMDD or Unix time in s, ms, us or ns, found ' +
        JSON.stringify(text.slice(0, 40)),
    );
  }
  return time;
}

function relative(text: string, nowMs: number): number | undefined {
  const match = /^now(?:([+-])(\d{1,9})([smhdw]))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign, amount, unit] = match;
  if (unit === undefined) return nowMs;
  return nowMs + (sign === '-' ? -1 : 1) * Number(amount) * (OFFSET_UNITS[unit] as number);
}

function digits(text: string): number | undefined {
  if (!/^\d{8,20}$/.test(text)) return undefined;
  if (text.length === 8) {
    return iso(`${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}`);
  }
  const value = BigInt(text);
  if (text.length <= 11) return Number(value * 1_000n);
  if (text.length <= 14) return Number(value);
  if (text.length <= 17) return Number(value / 1_000n);
  return Number(value / 1_000_000n);
}

function iso(text: string): number | undefined {
  const match = /^\d{4}-\d\d-\d\d(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(
    text,
  );
  if (match === null) return undefined;
  const [, clock, zone] = match;
  const zoned = clock === undefined || zone !== undefined ? text : `${text}Z`;
  const time = Date.parse(zoned.replace(' ', 'T'));
  return Number.isNaN(time) ? undefined : time;
}
