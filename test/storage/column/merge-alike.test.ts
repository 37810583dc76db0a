import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Entries } from '../../../src/storage/column/entries.ts';
import { mergeEntries } from '../../../src/storage/column/merge.ts';
import { AlikeMerge } from '../../../src/storage/column/merge-alike.ts';
import { entries, plain } from '../arbitraries.ts';
import { encoded } from '../fixtures.ts';

/** One for all tests: what a refusal leaves behind must not count in the next merge. */
const MERGE = new AlikeMerge();

interface Given {
  readonly entries: Entries;
  readonly toStack: ((stack: number) => number) | undefined;
}

function alike(list: readonly Given[], columns: number): ReturnType<AlikeMerge['finish']> | false {
  MERGE.begin(columns);
  for (const { entries: one, toStack } of list) {
    const bytes = encoded(one);
    if (!MERGE.add(bytes, 0, bytes.byteLength, toStack)) return false;
  }
  return MERGE.finish();
}

const given = (columns: number, tick: fc.Arbitrary<bigint>): fc.Arbitrary<Given> =>
  fc.record({
    entries: fc.oneof(entries(96, columns, tick), entries(60_000, columns, tick)),
    toStack: fc.constantFrom(undefined, (stack: number) => (stack * 5) % 97),
  });

test.each([1, 2])('%i columns add up to what a merge of any entries gives', (columns) => {
  const tick = fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(0n, (1n << 32n) - 1n));
  fc.assert(
    fc.property(fc.array(given(columns, tick), { minLength: 2, maxLength: 6 }), (list) => {
      const inputs = list.map(({ entries: one, toStack }) => {
        const bytes = encoded(one);
        const types = Array.from({ length: columns }, (_, column) => {
          let total = 0n;
          for (const row of plain(one).values()) total += row[column] as bigint;
          return { grain: 1n, total, column };
        });
        return { bytes, at: 0, end: bytes.byteLength, types, toStack };
      });
      const merged = mergeEntries(inputs);
      // Columns that are equal in every input become one there.
      fc.pre(merged.types.every(({ column }, t) => column === t));
      const found = alike(list, columns);
      expect(found).not.toBe(false);
      if (found === false) return;
      expect(found.totals.map(BigInt)).toEqual(merged.types.map(({ total }) => total));
      expect(Buffer.compare(found.entries, merged.entries)).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test('it says no to ticks of 2^32, to other columns and to damage, and goes on with the next', () => {
  const one: Entries = { stacks: Uint32Array.of(3, 7), ticks: [Float64Array.of(1, 300)] };
  const wide: Entries = { ...one, ticks: [Float64Array.of(1, 2 ** 32)] };
  const plainOne = { entries: one, toStack: undefined };
  const sum = { totals: [602], entries: encoded({ ...one, ticks: [Float64Array.of(2, 600)] }) };
  expect(alike([plainOne, { entries: wide, toStack: undefined }], 1)).toBe(false);
  expect(alike([plainOne, plainOne], 1)).toEqual(sum);
  expect(alike([plainOne], 2)).toBe(false);
  const bytes = encoded(one);
  for (let size = 0; size < bytes.byteLength; size++) {
    MERGE.begin(1);
    expect(MERGE.add(bytes, 0, size, undefined)).toBe(false);
  }
  for (let bit = 0; bit < bytes.byteLength * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
    MERGE.begin(1);
    MERGE.add(damaged, 0, damaged.byteLength, undefined);
  }
  expect(alike([plainOne, plainOne], 1)).toEqual(sum);
});
