import { describe, expect, test } from '@jest/globals';
import { Code, ConnectError } from '@connectrpc/connect';
import { Caller, type Attempt, type CallOptions } from '../../src/client/caller.ts';

/** Runs a call that fails `failures` times, on a clock of its own; each try lasts 100 ms. */
async function run(
  options: CallOptions,
  failures: number,
  error = new ConnectError('away', Code.Unavailable),
): Promise<{ outcome: unknown; waits: number[]; deadlines: number[] }> {
  let nowMs = 0;
  const waits: number[] = [];
  const deadlines: number[] = [];
  const caller = new Caller(
    { timeoutMs: 60_000, retries: 8 },
    {
      clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
      timers: {
        after(delayMs, callback) {
          nowMs += delayMs;
          waits.push(delayMs);
          queueMicrotask(callback);
          return () => {};
        },
        yield: () => Promise.resolve(),
      },
      random: { u32: () => 2 ** 31, bytes: (size) => new Uint8Array(size) },
    },
  );
  const call = async ({ timeoutMs }: Attempt): Promise<string> => {
    deadlines.push(timeoutMs);
    nowMs += 100;
    if (deadlines.length <= failures) throw error;
    return 'done';
  };
  const outcome: unknown = await caller.run(options, true, call).catch((thrown: unknown) => thrown);
  return { outcome, waits, deadlines };
}

describe('a call', () => {
  test('waits longer before each try, up to a bound, and has one deadline for all', async () => {
    const { outcome, waits, deadlines } = await run({}, 7);
    expect(outcome).toBe('done');
    expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000]);
    expect(deadlines.slice(0, 3)).toEqual([60_000, 59_800, 59_500]);
  });

  test('waits as long as the server asks', async () => {
    const error = new ConnectError('full', Code.ResourceExhausted, { 'retry-after': '2' });
    expect((await run({}, 2, error)).waits).toEqual([2_100, 2_200]);
    expect((await run({ timeoutMs: 2_000 }, 2, error)).outcome).toMatchObject({
      code: 'resource_exhausted',
      retryAfterMs: 2_000,
    });
  });

  test('has no deadline if that is 0, and no try after one that has none left', async () => {
    expect((await run({ timeoutMs: 0 }, 8)).deadlines).toEqual(Array.from({ length: 9 }, () => 0));
    const { outcome, waits } = await run({ timeoutMs: 350 }, 8);
    expect([waits, outcome]).toEqual([[100], expect.objectContaining({ code: 'unavailable' })]);
  });
});
