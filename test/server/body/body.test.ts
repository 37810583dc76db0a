import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { systemTimers } from '../../../src/base/clock.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import { AddressCredits } from '../../../src/server/body/address-credits.ts';
import { readBody, type BodyRules } from '../../../src/server/body/body.ts';
import { Credits } from '../../../src/server/body/credits.ts';

const LIMIT = 1_000_000;
const limits = { limitBytes: LIMIT, waitMs: 10, timers: systemTimers };

function rulesOf(requestTimeoutMs: number): { rules: BodyRules; total: Credits } {
  const total = new Credits(limits);
  const credits = new AddressCredits(total, () => new Credits(limits));
  return { rules: { bodyBytesMax: LIMIT, credits, timers: systemTimers, requestTimeoutMs }, total };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a body of single bytes is refused at the piece that is too much, not when all of a read are made', async () => {
  const { rules, total } = rulesOf(10_000);
  const request = new IncomingMessage(new Socket());
  const reading = readBody(request, rules);
  reading.catch(() => {});
  await turn();
  // As the parser does it: all pieces of a read in one go.
  let pieces = 0;
  while (!request.destroyed && pieces < 10_000) {
    request.push(Buffer.from('a'));
    pieces++;
  }
  expect(pieces).toBe(LIMITS.tinyPiecesMax + 1);
  await expect(reading).rejects.toMatchObject({ reason: 'tiny_pieces' });
  expect(total.heldBytes).toBe(0);
});

test('a body in pieces is joined in their order', async () => {
  const { rules } = rulesOf(10_000);
  const request = new IncomingMessage(new Socket());
  const reading = readBody(request, rules);
  await turn();
  const sent = Buffer.from(Array.from({ length: 9_000 }, (_, i) => i % 251));
  for (const [from, to] of [
    [0, 10],
    [10, 5_000],
    [5_000, 5_001],
    [5_001, 9_000],
  ]) {
    request.push(sent.subarray(from, to));
  }
  request.push(null);
  const { bytes, hold } = await reading;
  expect(Buffer.from(bytes).equals(sent)).toBe(true);
  hold.release();
});

test.each([
  ['too large', LIMIT + 1, 10_000, 'body_size_limit'],
  ['late', 10, 20, 'request_timeout'],
])('a body that is %s is left unread from then on', async (_, size, timeoutMs, reason) => {
  const { rules, total } = rulesOf(timeoutMs);
  const request = new IncomingMessage(new Socket());
  const reading = readBody(request, rules);
  await turn();
  request.push(Buffer.alloc(size));
  await expect(reading).rejects.toMatchObject({ reason });
  expect(total.heldBytes).toBe(0);
  expect([request.isPaused(), request.listenerCount('data')]).toEqual([true, 0]);
});

test('a client that leaves in the middle is told apart from an error of ours', async () => {
  const { rules } = rulesOf(10_000);
  const request = new IncomingMessage(new Socket());
  const reading = readBody(request, rules);
  await turn();
  request.push(Buffer.from('half'));
  request.destroy();
  await expect(reading).rejects.toMatchObject({ reason: 'canceled' });
});
