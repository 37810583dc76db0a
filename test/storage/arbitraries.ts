import fc from 'fast-check';
import { expect } from '@jest/globals';
import { TephraError } from '../../src/base/errors.ts';
import type { Entries, Ticks } from '../../src/storage/column/entries.ts';

/** Small numbers mostly, and those around each limit of the formats. */
const tick: fc.Arbitrary<bigint> = fc.oneof(
  { weight: 6, arbitrary: fc.bigInt(0n, 300n) },
  { weight: 1, arbitrary: fc.bigInt(0n, (1n << 64n) - 1n) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[7, 14, 21, 28, 32, 53, 56, 63].flatMap((bits) => [
        (1n << BigInt(bits)) - 1n,
        1n << BigInt(bits),
      ]),
      (1n << 64n) - 1n,
    ),
  },
);

/** Ticks in the form that the engine uses: numbers where all are below 2^53. */
function asTicks(ticks: readonly bigint[]): Ticks {
  return ticks.every((t) => t < 1n << 53n)
    ? Float64Array.from(ticks, Number)
    : BigUint64Array.from(ticks);
}

/** Stack ids below `stacksMax`, ascending. */
function stackIds(stacksMax: number, length: number): fc.Arbitrary<number[]> {
  return fc
    .uniqueArray(fc.nat(stacksMax - 1), { maxLength: length })
    .map((ids) => ids.toSorted((a, b) => a - b));
}

/** Entries with `columns` columns. */
export function entries(
  stacksMax: number,
  columns: number,
  value: fc.Arbitrary<bigint> = tick,
): fc.Arbitrary<Entries> {
  return stackIds(stacksMax, 40).chain((ids) =>
    fc
      .array(fc.array(value, { minLength: ids.length, maxLength: ids.length }), {
        minLength: columns,
        maxLength: columns,
      })
      .map((ticks) => ({ stacks: Uint32Array.from(ids), ticks: ticks.map(asTicks) })),
  );
}

/** Entries as a map from stack to ticks, for comparison. */
export function plain({ stacks, ticks }: Entries): Map<number, bigint[]> {
  const rows = new Map<number, bigint[]>();
  for (const [i, stack] of stacks.entries()) {
    rows.set(
      stack,
      ticks.map((column) => BigInt(column[i] as number | bigint)),
    );
  }
  return rows;
}

/** Asserts that `work` throws a TephraError of damage. */
function expectDamage(work: () => unknown, where: string): void {
  let result: unknown;
  try {
    result = work();
  } catch (thrown) {
    if (!(thrown instanceof TephraError)) throw thrown;
    expect(['corrupt_block', 'unknown_format_version']).toContain(thrown.reason);
    return;
  }
  throw new Error(`${where}: decoded to ${String(result)} without an error`);
}

/** Runs `decode` on every proper prefix and on every single flipped bit: each must throw damage. */
export function attack(bytes: Uint8Array, decode: (damaged: Uint8Array) => unknown): void {
  for (let size = 0; size < bytes.byteLength; size++) {
    expectDamage(() => decode(bytes.slice(0, size)), `cut to ${size} bytes`);
  }
  for (let bit = 0; bit < bytes.byteLength * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
    expectDamage(() => decode(damaged), `bit ${bit & 7} of byte ${bit >> 3} flipped`);
  }
}
