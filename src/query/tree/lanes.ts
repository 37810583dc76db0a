import { type Steps, sweep, sweepDown } from '../../base/steps.ts';
import type { Lanes } from '../../storage/column/sum.ts';

export type { Lanes };

/** Lanes that have both parts: value = hi * 2^32 + lo, 0 <= lo < 2^32. */
export interface WideLanes {
  readonly lo: Float64Array;
  readonly hi: Float64Array;
}

/** Values of nothing. */
export const NO_LANES: Lanes = { lo: new Float64Array(0), hi: undefined };

/** Weight of one in the high lane. */
export const TWO_32 = 0x1_0000_0000;

/** Zeros. */
export function createWide(count: number): WideLanes {
  return { lo: new Float64Array(count), hi: new Float64Array(count) };
}

/** Adds the value (hi, lo), lo < 2^32, to element `at`. */
export function addWide(lanes: WideLanes, at: number, hi: number, lo: number): void {
  const low = (lanes.lo[at] as number) + lo;
  const carry = low >= TWO_32 ? 1 : 0;
  lanes.lo[at] = low - carry * TWO_32;
  lanes.hi[at] = (lanes.hi[at] as number) + hi + carry;
}

/** A copy in two lanes. */
export function* toWide(lanes: Lanes): Steps<WideLanes> {
  if (lanes.hi !== undefined) return { lo: lanes.lo.slice(), hi: lanes.hi.slice() };
  const wide = createWide(lanes.lo.length);
  yield* sweep(0, lanes.lo.length, (from, to) => {
    for (let i = from; i < to; i++) {
      const value = lanes.lo[i] as number;
      const hi = Math.floor(value / TWO_32);
      wide.hi[i] = hi;
      wide.lo[i] = value - hi * TWO_32;
    }
  });
  return wide;
}

/** The high part of element `at`, as two lanes have it. */
export function highOf({ lo, hi }: Lanes, at: number): number {
  return hi === undefined ? Math.floor((lo[at] as number) / TWO_32) : (hi[at] as number);
}

/** The low part of element `at`. */
export function lowOf(lanes: Lanes, at: number): number {
  const low = lanes.lo[at] as number;
  return lanes.hi === undefined ? low - highOf(lanes, at) * TWO_32 : low;
}

/** Whether element `at` is not 0. */
export function isSet({ lo, hi }: Lanes, at: number): boolean {
  return lo[at] !== 0 || (hi !== undefined && hi[at] !== 0);
}

/** The value of element `at`, exactly. */
export function laneValue(lanes: Lanes, at: number): bigint {
  const hi = lanes.hi?.[at] ?? 0;
  const lo = BigInt(lanes.lo[at] ?? 0);
  return hi === 0 ? lo : (BigInt(hi) << 32n) + lo;
}

/** Lanes of whole non-negative values: one lane where their sum stays below 2^53. */
export function lanesOf(values: readonly bigint[]): Lanes {
  let sum = 0n;
  for (const value of values) sum += value;
  if (sum <= BigInt(Number.MAX_SAFE_INTEGER)) {
    return { lo: Float64Array.from(values, Number), hi: undefined };
  }
  return {
    lo: Float64Array.from(values, (value) => Number(value & 0xffff_ffffn)),
    hi: Float64Array.from(values, (value) => Number(value >> 32n)),
  };
}

/** Whether the exact sum of all values may pass 2^53 - 1, so that one lane is not enough. */
export function* needsWide(parts: readonly Lanes[]): Steps<boolean> {
  if (parts.some(({ hi }) => hi !== undefined)) return true;
  let sum = 0;
  for (const { lo } of parts) {
    yield* sweep(0, lo.length, (from, to) => {
      let part = 0;
      for (let i = from; i < to; i++) part += lo[i] as number;
      sum += part;
    });
  }
  // Rounding is monotone: a sum beyond the limit cannot round to below it.
  return sum > Number.MAX_SAFE_INTEGER;
}

/**
 * Totals of a tree whose children lie behind their parents (node 0 is the root): own values plus
 * those of everything below. One backward sweep.
 */
export function* totalsOf(parent: Int32Array, self: Lanes): Steps<Lanes> {
  if (self.hi === undefined) {
    const total = self.lo.slice();
    yield* sweepDown(1, total.length, (from, to) => {
      for (let i = to - 1; i >= from; i--) {
        const value = total[i] as number;
        if (value === 0) continue;
        const above = parent[i] as number;
        total[above] = (total[above] as number) + value;
      }
    });
    if ((total[0] ?? 0) <= Number.MAX_SAFE_INTEGER) return { lo: total, hi: undefined };
  }
  const total = yield* toWide(self);
  yield* sweepDown(1, total.lo.length, (from, to) => {
    for (let i = to - 1; i >= from; i--) {
      addWide(total, parent[i] as number, total.hi[i] as number, total.lo[i] as number);
    }
  });
  return total;
}

/** The double nearest to each value: exact for one lane; monotone, so it can rank. */
export function* approximate({ lo, hi }: Lanes): Steps<Float64Array> {
  if (hi === undefined) return lo;
  const doubles = new Float64Array(lo.length);
  yield* sweep(0, lo.length, (from, to) => {
    for (let i = from; i < to; i++) doubles[i] = (hi[i] as number) * TWO_32 + (lo[i] as number);
  });
  return doubles;
}
