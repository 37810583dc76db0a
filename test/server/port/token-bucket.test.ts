import { expect, test } from '@jest/globals';
import { TokenBucket } from '../../../src/server/port/token-bucket.ts';

test('events use up the room, and time brings it back up to the burst', () => {
  const bucket = new TokenBucket(3, 2, 1_000);
  expect([1, 2, 3, 4].map(() => bucket.take(1_000))).toEqual([true, true, true, false]);
  expect(bucket.take(1_400)).toBe(false);
  expect(bucket.take(1_500)).toBe(true);
  expect(bucket.isFull(2_000)).toBe(false);
  expect(bucket.left(60_000)).toBe(3);
  expect(bucket.isFull(60_000)).toBe(true);
});

test('a clock that goes back takes nothing away', () => {
  const bucket = new TokenBucket(2, 1, 5_000);
  expect(bucket.take(5_000)).toBe(true);
  expect(bucket.left(1_000)).toBe(1);
});

test('no limit is no limit', () => {
  const bucket = new TokenBucket(Infinity, Infinity, 0);
  for (const nowMs of [0, 0, 1, 1, 5]) expect(bucket.take(nowMs)).toBe(true);
  expect(bucket.isFull(5)).toBe(true);
});
