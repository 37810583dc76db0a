import { z } from 'zod';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/time.ts';

/**
 * The kinds of value that configuration knows. Each is a zod schema that reads what a flag or a
 * variable holds (always text) and what a JSON file holds (text, number, boolean).
 */

/** A host and a port to listen on. */
export interface ListenAddress {
  /** Name or address without brackets: `127.0.0.1`, `::1`. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

const UNLIMITED = 'unlimited';

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
};

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** `HOST:PORT`; an IPv6 host stands in brackets. */
export function listenAddress(): z.ZodType<ListenAddress, unknown> {
  return parsed('HOST:PORT, for example 127.0.0.1:4040 or [::1]:4040', (raw) => {
    const match = typeof raw === 'string' ? /^(\[[^\]]+\]|[^:\s]+):(\d{1,5})$/.exec(raw) : null;
    const host = match?.[1]?.replace(/^\[|\]$/g, '');
    const port = Number(match?.[2]);
    return host === undefined || !(port <= 65_535) ? undefined : { host, port };
  });
}

/** A duration in milliseconds, at least `minMs`; `unlimited` is +Infinity. */
export function duration(minMs: number): z.ZodType<number, unknown> {
  return parsed(
    `a duration of at least ${formatDuration(minMs)}, for example 90s, 24h, 31d or ${UNLIMITED}`,
    (raw) => {
      if (raw === UNLIMITED) return Number.POSITIVE_INFINITY;
      const ms = withUnit(raw, DURATION_UNITS);
      return ms !== undefined && ms >= minMs ? ms : undefined;
    },
  );
}

/** A duration in milliseconds from `minMs` to `maxMs`: what a timer waits for. */
export function timeLimit(minMs: number, maxMs: number): z.ZodType<number, unknown> {
  const range = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return parsed(`a duration ${range}, for example 90s`, (raw) => {
    const ms = withUnit(raw, DURATION_UNITS);
    return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : undefined;
  });
}

/** A size in bytes from `min` to `max`. */
export function byteSize(min: number, max: number): z.ZodType<number, unknown> {
  return parsed(
    `a size from ${formatBytes(min)} to ${formatBytes(max)}, for example 16MiB`,
    (raw) => {
      // Nothing is nothing in every unit.
      const bytes = raw === 0 || raw === '0' ? 0 : withUnit(raw, SIZE_UNITS);
      return bytes !== undefined && bytes >= min && bytes <= max ? bytes : undefined;
    },
  );
}

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): z.ZodType<number, unknown> {
  return parsed(`a whole number from ${min} to ${max}`, (raw) => {
    const text = typeof raw === 'number' ? String(raw) : raw;
    if (typeof text !== 'string' || !/^\d{1,15}$/.test(text)) return undefined;
    const value = Number(text);
    return value >= min && value <= max ? value : undefined;
  });
}

/** A whole number from 1, or `unlimited`. */
export function count(): z.ZodType<number, unknown> {
  return parsed(`a whole number from 1, or ${UNLIMITED}`, (raw) => {
    if (raw === UNLIMITED) return Number.POSITIVE_INFINITY;
    const text = typeof raw === 'number' ? String(raw) : raw;
    return typeof text === 'string' && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
  });
}

/** A path in a URL, with or without slashes at its ends; read as `/a/b`, or '' for the root. */
export function urlPrefix(): z.ZodType<string, unknown> {
  return parsed('a path such as /tephra', (raw) => {
    const inner = typeof raw === 'string' ? raw.replaceAll(/^\/|\/$/g, '') : undefined;
    if (inner === '') return '';
    return inner !== undefined && /^[\w.~-]+(\/[\w.~-]+)*$/.test(inner) ? `/${inner}` : undefined;
  });
}

/** Origins of web pages, separated by commas; `*` = any, `none` = none. */
export function origins(): z.ZodType<readonly string[], unknown> {
  return parsed('origins such as https://grafana.example, * or none', (raw) => {
    if (raw === 'none' || raw === '') return [];
    if (typeof raw !== 'string') return undefined;
    const list = raw.split(',').map((origin) => origin.trim());
    return list.every((origin) => origin === '*' || /^https?:\/\/[\w.:[\]-]+$/.test(origin))
      ? list
      : undefined;
  });
}

/** Names of attributes, separated by commas; `none` = none. */
export function attributeNames(): z.ZodType<readonly string[], unknown> {
  return parsed('names such as process.pid, separated by commas, or none', (raw) => {
    if (raw === 'none' || raw === '') return [];
    if (typeof raw !== 'string') return undefined;
    const names = raw.split(',').map((name) => name.trim());
    return names.includes('') ? undefined : names;
  });
}

/** True or false. */
export function truth(): z.ZodType<boolean, unknown> {
  return parsed('true or false', (raw) => {
    if (raw === true || raw === 'true' || raw === '1') return true;
    if (raw === false || raw === 'false' || raw === '0') return false;
    return undefined;
  });
}

/** One of a few words. */
export function choice<T extends string>(words: readonly T[]): z.ZodType<T, unknown> {
  return parsed(`one of ${words.join(', ')}`, (raw) => words.find((word) => word === raw));
}

/** A path that is not empty and holds no NUL. */
export function path(): z.ZodType<string, unknown> {
  return parsed('a path', (raw) =>
    typeof raw === 'string' && raw !== '' && !raw.includes('\0') ? raw : undefined,
  );
}

/** `90s`, `24h`, `31d`: the largest unit that divides `ms`. */
export function formatDuration(ms: number): string {
  if (ms === Number.POSITIVE_INFINITY) return UNLIMITED;
  return formatWith(ms, DURATION_UNITS, 'ms');
}

/** `64MiB`, `512B`: the largest unit that divides `bytes`. */
export function formatBytes(bytes: number): string {
  return formatWith(bytes, SIZE_UNITS, 'B');
}

/** `127.0.0.1:4040`, `[::1]:4040`. */
export function formatAddress(address: ListenAddress): string {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

function parsed<T>(
  expected: string,
  parse: (raw: unknown) => T | undefined,
): z.ZodType<T, unknown> {
  return z.unknown().transform((raw, context) => {
    const value = parse(raw);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `expected ${expected}` });
    return z.NEVER;
  });
}

function withUnit(raw: unknown, units: Readonly<Record<string, number>>): number | undefined {
  const match = typeof raw === 'string' ? /^(\d{1,12})([A-Za-z]{1,3})$/.exec(raw) : null;
  const unit = match?.[2];
  if (unit === undefined || !Object.hasOwn(units, unit)) return undefined;
  return Number(match?.[1]) * (units[unit] as number);
}

function formatWith(amount: number, units: Readonly<Record<string, number>>, base: string): string {
  let best = `${amount}${base}`;
  for (const [unit, size] of Object.entries(units)) {
    if (amount >= size && amount % size === 0) best = `${amount / size}${unit}`;
  }
  return best;
}
