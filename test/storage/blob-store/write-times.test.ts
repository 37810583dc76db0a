import { expect, test } from '@jest/globals';
import { WriteTimes } from '../../../src/storage/blob-store/level/write-times.ts';

test('the slowest of a hundred writes is told, those under way too, the old ones no more', async () => {
  let nowMs = 0;
  const times = new WriteTimes({ nowMs: () => nowMs, monotonicMs: () => nowMs });
  expect(times.p99Ms()).toBe(0);
  const take = (tookMs: number): Promise<void> =>
    times.measure(async () => {
      nowMs += tookMs;
    });
  for (let i = 0; i < 98; i++) await take(1);
  await take(2_000);
  expect(times.p99Ms()).toBe(1);
  await take(3_000);
  expect(times.p99Ms()).toBe(2_000);
  nowMs += 8_000;
  expect(times.p99Ms()).toBe(3_000);
  nowMs += 2_001;
  expect(times.p99Ms()).toBe(0);
  void times.measure(() => new Promise(() => {}));
  nowMs += 700;
  expect(times.p99Ms()).toBe(700);
  await expect(times.measure(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
});
