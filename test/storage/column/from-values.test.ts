import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { saturate, TOTAL_MAX } from '../../../src/storage/column/entries.ts';
import {
  type BuiltGroups,
  buildEntries,
  buildGroups,
  type ValueColumn,
} from '../../../src/storage/column/from-values.ts';
import { plain } from '../arbitraries.ts';

const MAX_63 = (1n << 63n) - 1n;

const value = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt(0n, 4n) },
  { weight: 2, arbitrary: fc.bigInt(0n, 1n << 53n) },
);
const wide = fc.oneof(value, fc.bigInt(0n, MAX_63));
const scale = fc.constantFrom(1n, 2n, 10n, 10_000_000n);

interface Push {
  readonly stacks: Uint32Array;
  readonly groups: Uint32Array[];
  readonly values: bigint[][];
  readonly periods: bigint[];
}

const push: fc.Arbitrary<Push> = fc
  .record({
    samples: fc.array(
      fc.tuple(fc.nat(12), fc.nat(2), fc.array(wide, { minLength: 3, maxLength: 3 })),
      { maxLength: 30 },
    ),
    scales: fc.tuple(scale, scale, scale),
    small: fc.boolean(),
    periods: fc.tuple(
      fc.constantFrom(0n, 1n, 2n, 10_000_000n),
      fc.constantFrom(0n, 3n),
      fc.constant(0n),
    ),
    copied: fc.boolean(),
  })
  .map(({ samples, scales, small, periods, copied }) => ({
    stacks: Uint32Array.from(samples, ([stack]) => stack),
    groups: [0, 1, 2].map((g) =>
      Uint32Array.from(samples.flatMap(([, of], i) => (of === g ? [i] : []))),
    ),
    values: scales.map((by, t) =>
      samples.map(([, , v]) => {
        // Proportional columns half of the time: they must come out as one.
        const own = v[copied ? 0 : t] as bigint;
        return small ? (own % 5n) * by : own;
      }),
    ),
    periods,
  }));

function column(values: readonly bigint[]): ValueColumn {
  return values.every((v) => v <= BigInt(Number.MAX_SAFE_INTEGER))
    ? Float64Array.from(values, Number)
    : BigInt64Array.from(values);
}

function build({ stacks, groups, values, periods }: Push): BuiltGroups {
  return buildGroups(stacks, groups, values.map(column), periods);
}

/** Sums by stack of one group, without stacks of which all types are 0. */
function naive({ stacks, values }: Push, group: Uint32Array): Map<number, bigint[]> {
  const rows = new Map<number, bigint[]>();
  for (const i of [...group].toSorted((a, b) => (stacks[a] as number) - (stacks[b] as number))) {
    const stack = stacks[i] as number;
    const row = rows.get(stack) ?? values.map(() => 0n);
    rows.set(
      stack,
      row.map((sum, t) => sum + (values[t]?.[i] as bigint)),
    );
  }
  for (const [stack, row] of rows) if (row.every((v) => v === 0n)) rows.delete(stack);
  return rows;
}

test('stacks keep the sums of their samples, group by group, and types their totals', () => {
  fc.assert(
    fc.property(push, (given) => {
      const { groups, types } = build(given);
      const totals = given.periods.map(() => 0n);
      for (const [g, entries] of groups.entries()) {
        const expected = naive(given, given.groups[g] as Uint32Array);
        const found = plain(entries);
        expect([...found.keys()]).toEqual([...expected.keys()]);
        for (const [stack, row] of expected) {
          for (const [t, sum] of row.entries()) {
            const { grain, column: c } = types[t] as { grain: bigint; column: number };
            const ticks = found.get(stack)?.[c] as bigint;
            // Beyond 2^64 a sum stands for anything as large.
            expect(saturate(ticks * grain)).toBe(saturate(sum));
            totals[t] = (totals[t] as bigint) + sum;
          }
        }
      }
      expect(types.map((type) => type.total)).toEqual(totals.map(saturate));
    }),
    { numRuns: 500 },
  );
});

test('the grain is the period where it divides every value, and columns are never stored twice', () => {
  fc.assert(
    fc.property(push, (given) => {
      const { groups, types } = build(given);
      const columns = new Set(types.map((type) => type.column));
      expect([...columns].toSorted((a, b) => a - b)).toEqual([...columns.keys()].map((_, i) => i));
      const texts = [...columns].map((c) =>
        groups.flatMap((entries) => Array.from(entries.ticks[c] ?? [], String)).join(),
      );
      expect(new Set(texts).size).toBe(columns.size);
      for (const [t, { grain, total, column: c }] of types.entries()) {
        if (total === 0n) expect(grain).toBe(1n);
        const shared = types.some((other, i) => i !== t && other.column === c);
        const period = given.periods[t] as bigint;
        if (shared || period === 0n || total === 0n || total === TOTAL_MAX) continue;
        const sums = given.groups.flatMap((group) => [...naive(given, group).values()]);
        if (sums.every((row) => (row[t] as bigint) % period === 0n)) expect(grain).toBe(period);
      }
    }),
    { numRuns: 300 },
  );
});

test('counts and times of one period share a column and keep the period as grain', () => {
  const { entries, types } = buildEntries(
    Uint32Array.of(5, 3, 5),
    Uint32Array.of(0, 1, 2),
    [Float64Array.of(2, 2, 4), Float64Array.of(2e7, 2e7, 4e7)],
    [0n, 10_000_000n],
  );
  expect(entries.ticks).toEqual([Float64Array.of(2, 6)]);
  expect(types).toEqual([
    { grain: 1n, total: 8n, column: 0 },
    { grain: 10_000_000n, total: 80_000_000n, column: 0 },
  ]);
});

test('proportional columns share their ticks although a period does not fit', () => {
  const { entries, types } = buildEntries(
    Uint32Array.of(0, 1),
    Uint32Array.of(0, 1),
    [Float64Array.of(3, 6), Float64Array.of(20, 40)],
    [0n, 10n],
  );
  expect(entries.ticks).toEqual([Float64Array.of(1, 2)]);
  expect(types.map((type) => type.grain)).toEqual([3n, 20n]);
});

test('a stack of which one type is zero stays, one of which all are zero goes', () => {
  const { entries, types } = buildEntries(
    Uint32Array.of(0, 1, 2),
    Uint32Array.of(2, 1, 0),
    [Float64Array.of(0, 0, 3), Float64Array.of(1, 0, 0), Float64Array.of(0, 0, 0)],
    [0n, 0n, 5n],
  );
  expect([...entries.stacks]).toEqual([0, 2]);
  expect(types[2]).toEqual({ grain: 1n, total: 0n, column: 2 });
});
