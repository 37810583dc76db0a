import { expect, test } from '@jest/globals';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { createRequire } from 'node:module';
import { systemTimers } from '../../src/base/clock.ts';
import { Admission } from '../../src/server/port/admission.ts';
import { AddressCredits } from '../../src/server/body/address-credits.ts';
import { AnswerBudget } from '../../src/server/answer/budget.ts';
import { areTooTiny } from '../../src/server/body/body.ts';
import { Credits } from '../../src/server/body/credits.ts';
import { patchGrpc } from '../../src/server/grpc/patch.ts';

class FakeSocket extends EventEmitter {
  readonly remoteAddress: string;
  destroyed = false;
  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }
  destroy(): void {
    this.destroyed = true;
  }
}

test('sockets are bounded in all, by address, and by how fast an address brings them', () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const limits = { connectionsMax: 5, connectionsPerAddressMax: 3, connectionRateMax: 2 };
  const admission = new Admission(limits, clock);
  const come = (address: string): FakeSocket => {
    const socket = new FakeSocket(address);
    admission.admit(socket as unknown as Socket);
    return socket;
  };
  const a = Array.from({ length: 4 }, () => come('a'));
  expect(a.map(({ destroyed }) => destroyed)).toEqual([false, false, false, true]);
  const b = Array.from({ length: 3 }, () => come('b'));
  expect(b.map(({ destroyed }) => destroyed)).toEqual([false, false, true]);
  for (const socket of a.slice(0, 3)) socket.emit('close');
  expect(admission.open).toBe(2);
  // One more of the four at the first; then two a second.
  const later = [come('a'), come('a')];
  expect(later.map(({ destroyed }) => destroyed)).toEqual([false, true]);
  nowMs += 500;
  expect([come('a').destroyed, come('a').destroyed]).toEqual([false, true]);
});

test('an address that holds its share of credits leaves the rest to others', async () => {
  const options = { waitMs: 20, timers: systemTimers };
  const total = new Credits({ limitBytes: 100, ...options });
  const credits = new AddressCredits(total, () => new Credits({ limitBytes: 75, ...options }));
  const slow = await credits.of('a').acquire(70);
  await expect(credits.of('a').acquire(20)).rejects.toMatchObject({ reason: 'overloaded' });
  const good = await credits.of('b').acquire(25);
  good.release();
  slow.release();
  slow.release();
  expect(total.heldBytes).toBe(0);
  (await credits.of('a').acquire(75)).release();
  expect(total.heldBytes).toBe(0);
});

test('an address that does not read its answers keeps only itself from asking', async () => {
  const total = new Credits({ limitBytes: 100, waitMs: 20, timers: systemTimers });
  const answers = new AnswerBudget(total, {
    bytesMax: 50,
    callsMax: 3,
    runningMax: 3,
    waitMs: 20,
    timers: systemTimers,
    unsizedBytes: 1,
  });
  const unread = await answers.acquire('a');
  unread.resize(60);
  await expect(answers.acquire('a')).rejects.toMatchObject({ reason: 'too_many_queries' });
  const good = await answers.acquire('b');
  good.resize(45);
  await expect(answers.acquire('c')).rejects.toMatchObject({ reason: 'overloaded' });
  unread.release();
  const calls = [
    await answers.acquire('a'),
    await answers.acquire('a'),
    await answers.acquire('a'),
  ];
  await expect(answers.acquire('a')).rejects.toMatchObject({ reason: 'too_many_queries' });
  for (const hold of [good, ...calls]) hold.release();
  expect(total.heldBytes).toBe(0);
});

test('queries of an address wait for each other, and for none of another address', async () => {
  const total = new Credits({ limitBytes: 100, waitMs: 20, timers: systemTimers });
  const answers = new AnswerBudget(total, {
    bytesMax: 50,
    callsMax: 4,
    runningMax: 1,
    waitMs: 50,
    timers: systemTimers,
    unsizedBytes: 1,
  });
  const first = await answers.acquire('a');
  const started: string[] = [];
  const second = answers.acquire('a').then((hold) => {
    started.push('second');
    return hold;
  });
  const third = answers.acquire('a').then((hold) => {
    started.push('third');
    return hold;
  });
  (await answers.acquire('b')).release();
  expect(started).toEqual([]);
  // Its answer is there, and waits to be read: it runs no more.
  first.fit(30);
  const late = await second;
  expect(started).toEqual(['second']);
  expect(() => late.fit(21)).toThrow('of this address');
  late.release();
  (await third).release();
  first.release();
  const alone = await answers.acquire('a');
  await expect(answers.acquire('a')).rejects.toMatchObject({ reason: 'too_many_queries' });
  alone.fit(1_000);
  alone.release();
  expect(total.heldBytes).toBe(0);
});

test('pieces are too tiny when there are many and they hold little', () => {
  expect(areTooTiny(4_096, 4_096)).toBe(false);
  expect(areTooTiny(4_097, 4_097)).toBe(true);
  expect(areTooTiny(10_000, 640_000)).toBe(false);
});

test('the repaired decoder of grpc-js keeps 2 bytes or less for each byte of a message in bits', () => {
  expect(patchGrpc()).toBe(true);
  const require = createRequire(import.meta.url);
  const { StreamDecoder } = require('@grpc/grpc-js/build/src/stream-decoder.js') as {
    StreamDecoder: new (max: number) => {
      write(data: Buffer): Buffer[];
      collected?: { bytes: Buffer };
    };
  };
  const decoder = new StreamDecoder(1_000_000);
  const size = 20_000;
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(size, 1);
  expect(decoder.write(prefix)).toEqual([]);
  let out: Buffer[] = [];
  for (let sent = 0; sent < size; sent++) {
    out = decoder.write(Buffer.from([sent & 0xff]));
    if (sent === size - 2) expect(decoder.collected?.bytes.length).toBeLessThanOrEqual(2 * size);
  }
  expect(out[0]?.length).toBe(size + 5);
  expect(out[0]?.[5 + 1_000]).toBe(1_000 & 0xff);
});
