/**
 * Rows 1 to 15 and 46 to 51 of the catalogue of bad inputs, where what is bad is the request: by every
 * way on which that input exists, into both services that push. What encodings do to `/ingest` is at the end.
 */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import { heapBytesOf } from '../../support/heap-bytes.ts';
import { bomb, cut } from './gzip.ts';
import { MESSAGE_ROWS, type MessageRow } from './message-rows.ts';
import {
  BOMB_HEAP_BYTES,
  FEW_CALLS,
  GOOD,
  httpOf,
  PUSH_CALLS,
  PUSH_METHODS,
  PushBench,
  pushMessage,
  PushOutcome,
  resultsOf,
  SMALL_TOTAL,
  type PushCall,
} from './push-bench.ts';
import type { RawAnswer } from './raw-ways.ts';

let bench: PushBench;
beforeAll(async () => {
  bench = await PushBench.start();
});
afterAll(() => bench.stop());

function callsOf({ on }: MessageRow): readonly PushCall[] {
  if (on === 'few') return FEW_CALLS;
  return PUSH_CALLS.filter(({ way: { protocol, codec, http } }) => {
    if (on === 'framed') return protocol !== 'connect';
    if (on === 'web') return protocol === 'grpc-web' || (protocol === 'grpc' && http === '1.1');
    return on === 'all' || codec === on;
  });
}

test.each(
  MESSAGE_ROWS.map(
    (one, i) => [one.row, one.what, one.on, one.refused?.[0] ?? 'stored', `m${i}`, one] as const,
  ),
)('row %s: %s (%s) is %s', async (_row, _what, _on, _outcome, entry, row) => {
  const calls = callsOf(row);
  const heapBytes = await heapBytesOf(row.bomb === true, async () => {
    const push = async (call: PushCall): Promise<void> => {
      const good = pushMessage(entry, call, [GOOD]);
      const bytes = row.bytes(good, call, entry);
      const extra = row.extra?.(good) ?? {};
      const answer = await bench.client.call(call.way, PUSH_METHODS[call.service], bytes, extra);
      expectAnswer(row, call, answer);
    };
    // Those that are few are large: together they would be more than may be in flight.
    if (row.on === 'few') for (const call of calls) await push(call);
    else await Promise.all(calls.map(push));
  });
  expect(heapBytes).toBeLessThan(BOMB_HEAP_BYTES);
  // Nobody can tell which part of what does not decode was meant: all of it is refused.
  const stored = row.refused === undefined ? SMALL_TOTAL * BigInt(calls.length) : 0n;
  expect(await bench.total(entry, 'good')).toBe(stored);
  if (stored === 0n) expect(await bench.series(entry, 'good')).toBe(0);
});

function expectAnswer(row: MessageRow, call: PushCall, answer: RawAnswer): void {
  const { name, service, way } = call;
  if (row.refused === undefined) {
    expect([name, answer.code, answer.message.replace('OK', '')]).toEqual([name, 0, '']);
    if (service === 'tephra') {
      expect(resultsOf(call, answer)).toMatchObject([{ outcome: PushOutcome.STORED }]);
    }
    return;
  }
  const [reason, says] = row.refused;
  const code = row.code ?? Code.InvalidArgument;
  if (row.orCodes?.includes(answer.code) === true) return;
  const http = way.protocol === 'connect' ? row.http : undefined;
  expect([name, answer.code, answer.http, answer.message]).toEqual([
    name,
    code,
    http ?? httpOf(way, code),
    expect.stringMatching(new RegExp(`^${reason}: .*${says.source}`)),
  ]);
  expect(answer.message.length).toBeLessThan(400);
  if (code === Code.Unimplemented && way.protocol !== 'connect') {
    expect([name, answer.headers['grpc-accept-encoding']]).toEqual([
      name,
      expect.stringContaining('gzip'),
    ]);
  }
}

describe('encodings of a body to /ingest', () => {
  const profile = GOOD.payload;
  const gz = new Uint8Array(gzipSync(profile));
  const wrong = gz.slice();
  wrong[wrong.length - 8] = (wrong[wrong.length - 8] as number) ^ 1;
  test.each<[string, Uint8Array, string, number, RegExp]>([
    ['row 46: 128 MiB of zeros', bomb(128), 'gzip', 413, /^body_size_limit: .*67108864/],
    ['row 48: gzip in gzip', new Uint8Array(gzipSync(gz)), 'gzip', 200, /^$/],
    ['row 49: gzip that is cut', cut(gz, 9), 'gzip', 422, /^malformed_gzip: truncated/],
    ['row 49: gzip with a wrong checksum', wrong, 'gzip', 422, /^malformed_gzip: .*check/],
    [
      'row 49: garbage behind gzip',
      Buffer.concat([gz, Buffer.from('garbage')]),
      'gzip',
      422,
      /^malformed_gzip: incorrect header check/,
    ],
    ['row 49: nothing that says gzip', new Uint8Array(), 'gzip', 422, /^malformed_gzip: truncated/],
    ['row 50: an encoding that is not known', profile, 'br', 415, /^unsupported_encoding: .*gzip/],
    ['row 51: no gzip, but says so', profile, 'gzip', 422, /^malformed_gzip: incorrect header/],
  ])('%s', async (what, payload, encoding, status, says) => {
    const entry = what.replaceAll(/\W/g, '');
    for (const http of ['1.1', '2'] as const) {
      const headers = { 'content-encoding': encoding };
      const way = { http, form: false };
      const answer = await bench.ingest(entry, { payload, role: 'good' }, way, headers);
      const { message = '' } = (answer.text === '' ? {} : JSON.parse(answer.text)) as {
        message?: string;
      };
      expect([http, answer.status, message]).toEqual([http, status, expect.stringMatching(says)]);
    }
    expect(await bench.total(entry, 'good')).toBe(status === 200 ? 2n * SMALL_TOTAL : 0n);
  });
});
