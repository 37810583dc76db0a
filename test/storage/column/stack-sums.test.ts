import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { StackSums } from '../../../src/storage/column/stack-sums.ts';

/** Below and above the number of stacks from which a second level of bits is kept. */
const ids = fc.oneof(fc.nat(90), fc.nat(8_000), fc.nat(40_000));
const rows = fc.array(fc.tuple(ids, fc.nat(3), fc.nat(3)), { maxLength: 60 });

test('what is added in any order, growing as it comes, is told in order and once', () => {
  fc.assert(
    fc.property(fc.array(rows, { maxLength: 8 }), fc.boolean(), (parts, keepsZeros) => {
      const sums = new StackSums();
      for (const times of [1, 2]) {
        const expected = new Map<number, [number, number]>();
        for (const part of parts) {
          const stacks = Uint32Array.from(part, ([id]) => id);
          const ticks = Float64Array.from([
            ...part.map(([, first]) => first * times),
            ...part.map(([, , second]) => second),
          ]);
          const idEnd = stacks.reduce((end, id) => Math.max(end, id + 1), 0);
          sums.add(stacks, 0, stacks.length, idEnd, ticks, stacks.length, 2);
          for (const [id, first, second] of part) {
            const [one, two] = expected.get(id) ?? [0, 0];
            expected.set(id, [one + first * times, two + second]);
          }
        }
        const count = sums.take(2, keepsZeros ? 'kept' : 'dropped');
        const { stacks, ticks } = sums.entries(count, 2);
        const found = Array.from(stacks, (id, i) => [id, [ticks[0]?.[i], ticks[1]?.[i]]]);
        const rest = [...expected].filter(([, [one, two]]) => keepsZeros || one + two > 0);
        expect(found).toEqual(rest.toSorted(([a], [b]) => a - b));
      }
    }),
    { numRuns: 200 },
  );
});
