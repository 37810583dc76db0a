/**
 * Rows 1 to 51 of the catalogue of bad inputs, where what is bad is a profile: by every way into both
 * services that push, in a batch with a good one, and to `/ingest`.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import { heapBytesOf } from '../../support/heap-bytes.ts';
import { PROFILE_ROWS, type ProfileRow } from './profile-rows.ts';
import {
  BOMB_HEAP_BYTES,
  FEW_CALLS,
  GOOD,
  httpOf,
  INGEST_WAYS,
  PUSH_CALLS,
  PUSH_METHODS,
  PushBench,
  pushMessage,
  PushOutcome,
  resultsOf,
  SMALL_TOTAL,
  type PushCall,
  type Sent,
} from './push-bench.ts';
import type { RawAnswer } from './raw-ways.ts';

/** What is left of its bytes in buffers beyond what the clients sent. */
const RSS_BYTES = 512 << 20;

let bench: PushBench;
beforeAll(async () => {
  bench = await PushBench.start();
});
afterAll(() => bench.stop());

test.each(
  PROFILE_ROWS.map(
    (one, i) => [one.row, one.what, one.refused?.[0] ?? 'stored', `e${i}`, one] as const,
  ),
)('row %s: %s is %s', async (_row, _what, _outcome, entry, row) => {
  const calls = row.few === true ? FEW_CALLS : PUSH_CALLS;
  const ingests = row.few === true ? INGEST_WAYS.slice(0, 1) : INGEST_WAYS;
  const payload = row.payload();
  const bad: Sent = { role: 'bad', payload };
  const rssBefore = process.resourceUsage().maxRSS;
  const heapBytes = await heapBytesOf(row.bomb === true, async () => {
    const push = async (call: PushCall): Promise<void> => {
      const message = pushMessage(entry, call, [bad, GOOD]);
      const { service, way } = call;
      expectPushed(row, call, await bench.client.call(way, PUSH_METHODS[service], message));
    };
    const ingest = async (by: (typeof INGEST_WAYS)[number]): Promise<void> =>
      expectIngested(row, by, await bench.ingest(entry, bad, by));
    await Promise.all([...calls.map(push), ...ingests.map(ingest)]);
  });
  if (row.bomb === true) {
    expect(heapBytes).toBeLessThan(BOMB_HEAP_BYTES);
    expect((process.resourceUsage().maxRSS - rssBefore) * 1_024).toBeLessThan(RSS_BYTES);
  }
  expect(await bench.total(entry, 'good')).toBe(SMALL_TOTAL * BigInt(calls.length));
  if (row.stored === undefined) {
    expect(await bench.series(entry, 'bad')).toBe(0);
  } else {
    const times = BigInt(calls.length + ingests.length);
    const INT64_MAX = 2n ** 63n - 1n;
    const expected = row.stored * times > INT64_MAX ? INT64_MAX : row.stored * times;
    expect(await bench.total(entry, 'bad', row.type)).toBe(expected);
    expect(await bench.isSaturated(entry)).toBe(expected === INT64_MAX);
    if (row.names !== undefined) {
      expect(await bench.names(entry, row.type)).toEqual(expect.arrayContaining([...row.names]));
    }
  }
});

function expectPushed(row: ProfileRow, call: PushCall, answer: RawAnswer): void {
  const { name, service, way } = call;
  if (row.refused === undefined) {
    expect([name, answer.code, answer.http]).toEqual([name, 0, 200]);
    if (service === 'tephra') {
      expect([name, ...resultsOf(call, answer).map(({ outcome }) => outcome)]).toEqual([
        name,
        PushOutcome.STORED,
        PushOutcome.STORED,
      ]);
    }
    return;
  }
  const [reason, says] = row.refused;
  if (service === 'push') {
    expect([name, answer.code, answer.http, answer.message]).toEqual([
      name,
      Code.InvalidArgument,
      httpOf(way, Code.InvalidArgument),
      expect.stringContaining(
        `${reason}: 1 of 2 profiles were refused (1 x ${reason}), the others are stored; number 1: `,
      ),
    ]);
    expectHelpful(answer.message, says);
    return;
  }
  expect([name, answer.code, answer.http]).toEqual([name, 0, 200]);
  const [bad, good] = resultsOf(call, answer);
  expect([name, good?.outcome]).toEqual([name, PushOutcome.STORED]);
  if (reason === 'empty_profile') {
    expect([name, bad?.outcome]).toEqual([name, PushOutcome.EMPTY]);
    return;
  }
  expect([name, bad?.outcome, bad?.reason, bad?.retryable]).toEqual([
    name,
    PushOutcome.REFUSED,
    reason,
    false,
  ]);
  expectHelpful(bad?.message ?? '', says);
}

function expectIngested(
  row: ProfileRow,
  by: object,
  { status, text }: { status: number; text: string },
): void {
  const way = JSON.stringify(by);
  if (row.refused === undefined) {
    expect([way, status, text]).toEqual([way, 200, '']);
    return;
  }
  const [reason, says] = row.refused;
  expect([way, status]).toEqual([way, row.big === true ? 413 : 422]);
  const body = JSON.parse(text) as { code: string; message: string };
  expect([way, body.code]).toEqual([way, 'invalid_argument']);
  expect(body.message.startsWith(`${reason}: `)).toBe(true);
  expectHelpful(body.message, says);
}

/** Says what was found, in few words: never much of the input. */
function expectHelpful(message: string, says: RegExp): void {
  expect(message).toMatch(says);
  expect(message.length).toBeLessThan(400);
  expect(message).not.toContain('internal');
}
