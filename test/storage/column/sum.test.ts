import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeEntries, readEntriesHeader } from '../../../src/storage/column/decode.ts';
import type { Entries } from '../../../src/storage/column/entries.ts';
import { saturate, TOTAL_MAX } from '../../../src/storage/column/entries.ts';
import { type Lanes, TickSums, ValueSums } from '../../../src/storage/column/sum.ts';
import { entries, plain } from '../arbitraries.ts';
import { encoded, entriesOf } from '../fixtures.ts';

const STACKS = 64;

function header(bytes: Uint8Array): ReturnType<typeof readEntriesHeader> {
  return readEntriesHeader(bytes, 0, bytes.byteLength);
}

function sumOf(given: Entries, column: number): bigint {
  let sum = 0n;
  for (const row of plain(given).values()) sum += row[column] as bigint;
  return sum;
}

/** Lanes as bigints; checks their invariants. */
function valuesOf({ lo, hi }: Lanes): bigint[] {
  return Array.from(lo, (low, i) => {
    const high = hi?.[i] ?? 0;
    expect(Number.isInteger(low) && Number.isInteger(high)).toBe(true);
    expect(low >= 0 && (hi === undefined ? low <= Number.MAX_SAFE_INTEGER : low < 2 ** 32)).toBe(
      true,
    );
    return BigInt(low) + (BigInt(high) << 32n);
  });
}

/** What the kernel must give, by bigints. */
function naive(columns: readonly { entries: Entries; column: number; grain: bigint }[]): bigint[] {
  const sums = Array.from({ length: STACKS }, () => 0n);
  for (const { entries: given, column, grain } of columns) {
    for (const [stack, row] of plain(given)) {
      sums[stack] = (sums[stack] as bigint) + (row[column] as bigint) * grain;
    }
  }
  return sums;
}

const small = fc.bigInt(0n, (1n << 40n) - 1n);

test('ticks are summed exactly in one lane or two', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.oneof(entries(STACKS, 2), entries(STACKS, 2, small)), fc.nat(1))),
      (columns) => {
        const sums = new TickSums(STACKS);
        for (const [given, column] of columns) {
          const bytes = encoded(given);
          sums.add(bytes, header(bytes), column, sumOf(given, column));
        }
        const expected = naive(columns.map(([e, column]) => ({ entries: e, column, grain: 1n })));
        expect(valuesOf(sums)).toEqual(expected);
        const total = expected.reduce((a, b) => a + b, 0n);
        expect(sums.hi === undefined).toBe(total < 1n << 53n);
        expect(sums.total).toBe(saturate(total));
      },
    ),
  );
});

test('values of several grains are summed exactly up to 2^64', () => {
  const grain = fc.oneof(
    fc.constantFrom(1n, 10_000_000n, 1n << 20n, (1n << 32n) - 1n, 1n << 32n, 1n << 40n),
    fc.bigInt(1n, 1n << 36n),
  );
  const ticks = fc.oneof(fc.bigInt(0n, 1000n), fc.bigInt(0n, 1n << 20n));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(entries(STACKS, 1, fc.oneof(ticks, small)), grain), { maxLength: 12 }),
      (columns) => {
        const expected = naive(columns.map(([e, g]) => ({ entries: e, column: 0, grain: g })));
        fc.pre(expected.every((value) => value <= TOTAL_MAX));
        const sums = new ValueSums(() => STACKS);
        for (const [given, g] of columns) {
          const bytes = encoded(given);
          const total = saturate(sumOf(given, 0) * g);
          sums.add(bytes, header(bytes), { grain: g, total, column: 0 });
        }
        const lanes = sums.finish();
        expect(valuesOf(lanes)).toEqual(expected);
        expect(lanes.hi === undefined).toBe(sums.total < 1n << 53n);
      },
    ),
  );
});

test('one entry of the highest value is exact, and a sum past int64 is seen in the total', () => {
  const bytes = encoded({ stacks: Uint32Array.of(3), ticks: [BigUint64Array.of(TOTAL_MAX)] });
  let sums = new ValueSums(() => STACKS);
  sums.add(bytes, header(bytes), { grain: 1n, total: TOTAL_MAX, column: 0 });
  expect(valuesOf(sums.finish())[3]).toBe(TOTAL_MAX);
  sums = new ValueSums(() => STACKS);
  sums.add(bytes, header(bytes), { grain: 1n, total: TOTAL_MAX, column: 0 });
  sums.add(bytes, header(bytes), { grain: 1n, total: TOTAL_MAX, column: 0 });
  expect(sums.total).toBe(2n * TOTAL_MAX);
});

test('the total of a push with several groups is counted once', () => {
  const sums = new ValueSums(() => STACKS);
  for (const [g, tick] of [3, 4].entries()) {
    const bytes = encoded(entriesOf([g], [tick]));
    sums.add(bytes, header(bytes), { grain: 2n, total: 14n, column: 0 }, g === 0);
  }
  expect(sums.total).toBe(14n);
  expect(valuesOf(sums.finish()).slice(0, 2)).toEqual([6n, 8n]);
  expect(() => sums.finish()).toThrow(/once/);
});

test('any number of grains keeps few arrays and stays exact, also past 2^53', () => {
  for (const factor of [1n, 2n ** 40n]) {
    const sums = new ValueSums(() => STACKS);
    const expected = Array.from({ length: STACKS }, () => 0n);
    for (let i = 0; i < 200; i++) {
      const bytes = encoded(entriesOf([i % 7, 7 + (i % 5)], [i + 1, i + 2]));
      const grain = BigInt(2 * i + 1) * factor;
      const rows = plain(decodeEntries(bytes, 0, bytes.byteLength));
      let total = 0n;
      for (const [stack, [tick]] of rows) {
        expected[stack] = (expected[stack] as bigint) + (tick as bigint) * grain;
        total += (tick as bigint) * grain;
      }
      sums.add(bytes, header(bytes), { grain, total, column: 0 });
      expect(sums.byteLength).toBeLessThanOrEqual(17 * STACKS * 16);
    }
    expect(valuesOf(sums.finish())).toEqual(expected);
  }
});

test('low lanes are carried before they pass 2^53', () => {
  const bytes = encoded(entriesOf([1], [2 ** 32 - 1]));
  const sums = new TickSums(2);
  const times = 2 ** 21 + 5;
  const at = header(bytes);
  for (let i = 0; i < times; i++) sums.add(bytes, at, 0, 2n ** 32n - 1n);
  expect(valuesOf(sums)).toEqual([0n, BigInt(times) * (2n ** 32n - 1n)]);
});

test('a dictionary that grows while it is summed has room for its new stacks', () => {
  let stacks = 1;
  const sums = new ValueSums(() => stacks);
  for (let i = 0; i < 10; i++) {
    stacks = i + 1;
    const bytes = encoded(entriesOf([i], [i + 1]));
    sums.add(bytes, header(bytes), { grain: 2n, total: BigInt(2 * (i + 1)), column: 0 });
  }
  expect(valuesOf(sums.finish())).toEqual(
    Array.from({ length: 10 }, (_, i) => BigInt(2 * (i + 1))),
  );
});

test('a stack id beyond the dictionary is damage, narrow and wide', () => {
  for (const tick of [1, 2 ** 40]) {
    for (const id of [STACKS, 2 ** 28 + 5, 2 ** 32 - 1]) {
      const bytes = encoded(entriesOf([id], [tick]));
      const sums = new TickSums(STACKS);
      expect(() => sums.add(bytes, header(bytes), 0, BigInt(tick))).toThrow(/^corrupt_block/);
    }
  }
});

test('damaged columns throw a coded error or add whole numbers', () => {
  fc.assert(
    fc.property(
      entries(STACKS, 1),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (e, place, flip) => {
        const bytes = encoded(e);
        const at = place % bytes.byteLength;
        bytes[at] = (bytes[at] as number) ^ flip;
        const sums = new TickSums(STACKS);
        try {
          sums.add(bytes, header(bytes), 0, TOTAL_MAX);
        } catch (thrown) {
          expect(String(thrown)).toMatch(/corrupt_block|unknown_format_version/);
          return;
        }
        valuesOf(sums);
      },
    ),
    { numRuns: 500 },
  );
});
