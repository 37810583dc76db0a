import { expect, test } from '@jest/globals';
import { KeptByUse } from '../../src/base/kept-by-use.ts';

test('the least recently used values go first, and what is left is counted', () => {
  const kept = new KeptByUse<number>();
  for (let i = 0; i < 4; i++) kept.set(`v${i}`, i, 10);
  expect(kept.get('v0')).toBe(0);
  kept.set('v1', 11, 5);
  expect(kept.cost).toBe(35);
  kept.shrink(20);
  expect([...kept.names()]).toEqual(['v0', 'v1']);
  expect(kept.get('v1')).toBe(11);
  expect(kept.get('v2')).toBeUndefined();
  kept.delete('v0');
  kept.delete('v0');
  expect(kept.cost).toBe(5);
  kept.shrink(-1);
  expect(kept.cost).toBe(0);
});
