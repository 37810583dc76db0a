import { TIMER_MAX_MS } from '../../base/clock.ts';
import { TephraError } from '../../base/errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Takes a deadline out of the headers that lies so far ahead that no timer can count to it: weeks, so it
 * is none. Throws `invalid_argument` for what is no deadline at all.
 */
export function dropEndlessDeadline(header: Headers): void {
  const grpc = header.get('grpc-timeout') ?? '';
  const connect = header.get('connect-timeout-ms') ?? '';
  const [, count, unit = ''] = /^(\d+)([HMSmun])$/.exec(grpc) ?? [];
  if (grpc !== '' && count === undefined) refuse('grpc-timeout: expected such as 5S', grpc);
  if (!/^\d*$/.test(connect)) refuse('connect-timeout-ms: expected milliseconds', connect);
  if (Number(count) * (UNIT_MS[unit] ?? 0) > TIMER_MAX_MS) header.delete('grpc-timeout');
  if (Number(connect) > TIMER_MAX_MS) header.delete('connect-timeout-ms');
}

function refuse(expected: string, found: string): never {
  const shown = JSON.stringify(found.slice(0, 64));
  throw new TephraError('invalid_argument', `${expected}, found ${shown}`);
}
