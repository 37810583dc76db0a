import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  atOnce,
  drain,
  inSlices,
  sortSteps,
  type Steps,
  sweep,
  sweepDown,
} from '../../src/base/steps.ts';

function stepsIn(steps: Steps<unknown>): number {
  let count = 0;
  while (steps.next().done !== true) count++;
  return count;
}

describe('a sweep', () => {
  test('covers its range once, in order, a bounded number of rows at a time', () => {
    const up: [number, number][] = [];
    const down: [number, number][] = [];
    expect(stepsIn(sweep(3, 20_000, (from, to) => void up.push([from, to])))).toBe(up.length);
    expect(stepsIn(sweepDown(3, 20_000, (from, to) => void down.push([from, to])))).toBe(
      down.length,
    );
    for (const ranges of [up, down.toReversed()]) {
      expect(ranges[0]?.[0]).toBe(3);
      expect(ranges.at(-1)?.[1]).toBe(20_000);
      for (const [i, [from, to]] of ranges.entries()) {
        expect(to - from).toBeLessThanOrEqual(8_192);
        if (i > 0) expect(from).toBe(ranges[i - 1]?.[1]);
      }
    }
  });

  test('of nothing does nothing', () => {
    const never = (): void => expect(0).toBe(1);
    expect(stepsIn(sweep(5, 5, never))).toBe(0);
    expect(stepsIn(sweepDown(1, 0, never))).toBe(0);
  });
});

test('draining repeats until nothing is left', () => {
  let left = 10;
  atOnce(drain((rows) => (left -= rows) > 0, 3));
  expect(left).toBe(-2);
});

test('sorting in steps sorts as sorting at once, equal ones in their order', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 1, max: 50 }), (n, of) => {
      const items = Array.from({ length: n }, (_, i) => ({ key: (i * 7_919) % of, i }));
      const compare = (a: { key: number }, b: { key: number }): number => a.key - b.key;
      expect(atOnce(sortSteps(items, compare))).toEqual(items.toSorted(compare));
    }),
    { numRuns: 30 },
  );
});

test('work in slices breathes where its pause says so, and ends with what that throws', async () => {
  let steps = 0;
  function* work(): Steps<string> {
    for (; steps < 10; steps++) yield;
    return 'done';
  }
  let asked = 0;
  expect(
    await inSlices(work(), { here: () => (++asked % 3 === 0 ? Promise.resolve() : undefined) }),
  ).toBe('done');
  expect(asked).toBe(10);
  steps = 0;
  const stop = { here: () => (steps === 4 ? Promise.reject(new RangeError('enough')) : undefined) };
  await expect(inSlices(work(), stop)).rejects.toThrow('enough');
  expect(steps).toBe(4);
});
