import { expect, test } from '@jest/globals';
import { mapAtOnce } from '../../src/base/at-once.ts';

test('results are in the order of the items, and no more are under way than may be', async () => {
  let underWay = 0;
  let most = 0;
  const results = await mapAtOnce([5, 1, 4, 2, 3], 2, async (item) => {
    most = Math.max(most, ++underWay);
    for (let i = 0; i < item; i++) await Promise.resolve();
    underWay--;
    return item * 2;
  });
  expect(results).toEqual([10, 2, 8, 4, 6]);
  expect(most).toBe(2);
  expect(await mapAtOnce([], 2, (item) => Promise.resolve(item))).toEqual([]);
});

test('after a failure nothing more begins', async () => {
  const begun: number[] = [];
  const failing = mapAtOnce([1, 2, 3, 4], 1, async (item) => {
    begun.push(item);
    if (item === 2) throw new RangeError('two');
  });
  await expect(failing).rejects.toThrow('two');
  expect(begun).toEqual([1, 2]);
});
