import { expect, test } from '@jest/globals';
import { defaultWorkers, usableCores } from '../../src/config/cores.ts';

test.each([
  [8, undefined, 8],
  [8, 'max 100000', 8],
  [8, '150000 100000\n', 1],
  [8, '400000 100000\n', 4],
  [2, '400000 100000', 2],
  [4, '50000 100000', 1],
  [4, 'nonsense', 4],
])('of %i cores under the quota %j, %i may be used', (machine, quota, cores) => {
  expect(usableCores(machine, quota)).toBe(cores);
});

test('one core is left to sockets and the store', () => {
  expect([1, 2, 8].map(defaultWorkers)).toEqual([1, 1, 7]);
});
