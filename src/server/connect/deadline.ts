const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** The longest time that a timer of Node can count; it takes longer ones for a millisecond. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/**
 * Takes a deadline out of the headers that lies so far ahead that no timer can count to it: weeks, so it
 * is none. What is no deadline at all is left for the library to refuse.
 */
export function dropEndlessDeadline(header: Headers): void {
  const [, count = '', unit = ''] =
    /^(\d+)([HMSmun])$/.exec(header.get('grpc-timeout') ?? '') ?? [];
  if (Number(count) * (UNIT_MS[unit] ?? 0) > TIMER_MAX_MS) header.delete('grpc-timeout');
  if (Number(header.get('connect-timeout-ms')) > TIMER_MAX_MS) header.delete('connect-timeout-ms');
}
