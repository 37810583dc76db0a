import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeEntries } from '../../../src/storage/column/decode.ts';
import { type Entries, saturate, type TypeTicks } from '../../../src/storage/column/entries.ts';
import { type MergeInput, mergeEntries } from '../../../src/storage/column/merge.ts';
import { entries, plain } from '../arbitraries.ts';
import { encoded, entriesOf } from '../fixtures.ts';

/** An input with what it was made of. */
interface Given {
  readonly entries: Entries;
  readonly input: MergeInput;
}

function sumOf(given: Entries, column: number): bigint {
  let sum = 0n;
  for (const row of plain(given).values()) sum += row[column] as bigint;
  return sum;
}

function inputOf(
  given: Entries,
  grains: readonly (readonly [grain: bigint, column: number])[],
  shift = 0,
): Given {
  const bytes = encoded(given);
  const types: TypeTicks[] = grains.map(([grain, column]) => ({
    grain,
    total: saturate(sumOf(given, column) * grain),
    column,
  }));
  const toStack = shift === 0 ? undefined : (stack: number): number => (stack * shift) % 97;
  return { entries: given, input: { bytes, at: 0, end: bytes.byteLength, types, toStack } };
}

const small = fc.bigInt(0n, 50n);
const large = fc.bigInt(0n, 1n << 50n);

const given: fc.Arbitrary<Given> = fc
  .tuple(
    fc.oneof(
      { weight: 4, arbitrary: entries(96, 2, small) },
      { weight: 1, arbitrary: entries(96, 2, large) },
      { weight: 1, arbitrary: entries(60_000, 2, small) },
    ),
    fc.array(fc.tuple(fc.constantFrom(1n, 2n, 6n, 9n, 10_000_000n), fc.nat(1)), {
      minLength: 3,
      maxLength: 3,
    }),
    fc.constantFrom(0, 0, 1, 5),
  )
  .map(([e, grains, shift]) => inputOf(e, grains, shift));

/** Values by stack and type. */
function valuesOf(list: readonly Given[], types: number): Map<number, bigint[]> {
  const sums = new Map<number, bigint[]>();
  for (const { entries: e, input } of list) {
    for (const [id, row] of plain(e)) {
      const stack = input.toStack?.(id) ?? id;
      const sum = sums.get(stack) ?? Array.from({ length: types }, () => 0n);
      sums.set(
        stack,
        sum.map((s, t) => {
          const { grain, column } = input.types[t] as TypeTicks;
          return s + (row[column] as bigint) * grain;
        }),
      );
    }
  }
  return sums;
}

test('a merge holds the sum of every stack and type, with grains that divide those that came in', () => {
  fc.assert(
    fc.property(fc.array(given, { minLength: 1, maxLength: 6 }), (list) => {
      const merged = mergeEntries(list.map(({ input }) => input));
      const back = decodeEntries(merged.entries, 0, merged.entries.byteLength);
      const expected = valuesOf(list, 3);
      expect([...back.stacks]).toEqual([...expected.keys()].toSorted((a, b) => a - b));
      for (const [stack, ticks] of plain(back)) {
        const row = merged.types.map(({ grain, column }) =>
          saturate((ticks[column] as bigint) * grain),
        );
        expect(row).toEqual(expected.get(stack)?.map(saturate));
      }
      for (const [t, { grain, total }] of merged.types.entries()) {
        let sum = 0n;
        for (const row of expected.values()) sum += row[t] as bigint;
        expect(total).toBe(saturate(sum));
        for (const { input } of list) {
          const type = input.types[t] as TypeTicks;
          if (type.total > 0n) expect(type.grain % grain).toBe(0n);
        }
      }
    }),
    { numRuns: 400 },
  );
});

test('one input whose ids stay is copied byte by byte', () => {
  const { input } = inputOf(entriesOf([1, 2], [3, 4]), [[5n, 0]]);
  const bytes = new Uint8Array([9, 9, ...input.bytes, 9]);
  const merged = mergeEntries([{ ...input, bytes, at: 2, end: bytes.byteLength - 1 }]);
  expect(merged).toEqual({ types: input.types, entries: input.bytes });
});

test('types that share a column in all inputs share it in the result', () => {
  const merged = mergeEntries([
    inputOf(entriesOf([1], [3]), [
      [2n, 0],
      [20n, 0],
    ]).input,
    inputOf(entriesOf([1, 2], [4, 5]), [
      [1n, 0],
      [10n, 0],
    ]).input,
  ]);
  expect(merged.types).toEqual([
    { grain: 1n, total: 15n, column: 0 },
    { grain: 10n, total: 150n, column: 0 },
  ]);
});

test('a type that is zero in an input does not touch the grain', () => {
  const merged = mergeEntries([
    inputOf(entriesOf([1], [0], [1]), [
      [1n, 0],
      [1n, 1],
    ]).input,
    inputOf(entriesOf([1], [2], [1]), [
      [6n, 0],
      [1n, 1],
    ]).input,
  ]);
  expect(merged.types[0]).toEqual({ grain: 6n, total: 12n, column: 0 });
});

test('totals of a whole push on each of its groups are not counted twice', () => {
  const types: TypeTicks[] = [{ grain: 2n, total: 14n, column: 0 }];
  const groups = [entriesOf([1], [3]), entriesOf([1, 5], [3, 1])].map((e) => {
    const bytes = encoded(e);
    return { bytes, at: 0, end: bytes.byteLength, types, toStack: undefined };
  });
  expect(mergeEntries(groups).types).toEqual([{ grain: 2n, total: 14n, column: 0 }]);
});

test('sums past 2^64 stop there', () => {
  const top = (1n << 64n) - 1n;
  const one = { stacks: Uint32Array.of(1), ticks: [BigUint64Array.of(top)] };
  const merged = mergeEntries([inputOf(one, [[1n, 0]]).input, inputOf(one, [[1n, 0]]).input]);
  const back = decodeEntries(merged.entries, 0, merged.entries.byteLength);
  expect(back).toEqual(one);
  expect(merged.types).toEqual([{ grain: 1n, total: top, column: 0 }]);
});
