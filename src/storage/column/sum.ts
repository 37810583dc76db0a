import { assert } from '../../base/assert.ts';
import type { EntriesHeader } from './decode.ts';
import { saturate, TOTAL_MAX, tickTotal, type TypeTicks } from './entries.ts';
import { scatterNarrow, scatterWide } from './kernel.ts';

/**
 * One sum per stack: `hi * 2^32 + lo`, both whole. Without `hi` every sum is below 2^53; with it
 * `0 <= lo < 2^32`. Both arrays have one row a stack.
 */
export interface Lanes {
  readonly lo: Float64Array;
  readonly hi: Float64Array | undefined;
}

const TWO_16 = 0x1_0000;
const TWO_32 = 0x1_0000_0000;
const TWO_53 = 1n << 53n;
/** Columns after which low lanes are carried: 2^20 ticks below 2^32 stay far below 2^53. */
const CARRY_EVERY = 1 << 20;

/**
 * Sums of ticks per stack, all of one grain and one dictionary. Exact: one Float64 lane as long as
 * the sum of the totals, which bounds every stack, is below 2^53; then two lanes.
 */
export class TickSums implements Lanes {
  #lo: Float64Array;
  #hi: Float64Array | undefined;
  #stackCount: number;
  #total = 0n;
  #untilCarry = CARRY_EVERY;

  /** Room for stack ids `[0, stackCount)`. */
  constructor(stackCount: number) {
    this.#stackCount = stackCount;
    this.#lo = new Float64Array(stackCount);
  }

  /** Low lane, one row a stack; below 2^32 where there is a high one. */
  get lo(): Float64Array {
    if (this.#hi !== undefined) this.#carry(this.#hi);
    return this.#lo.subarray(0, this.#stackCount);
  }

  /** High lane, or undefined while one is enough. */
  get hi(): Float64Array | undefined {
    if (this.#hi !== undefined) this.#carry(this.#hi);
    return this.#hi?.subarray(0, this.#stackCount);
  }

  /** Sum of all ticks, saturated. */
  get total(): bigint {
    return saturate(this.#total);
  }

  /** Makes room for stack ids up to `stackCount`: dictionaries grow while a query runs. */
  grow(stackCount: number): void {
    if (stackCount <= this.#stackCount) return;
    this.#stackCount = stackCount;
    if (stackCount <= this.#lo.length) return;
    const capacity = Math.ceil(stackCount * 1.25);
    this.#lo = enlarge(this.#lo, capacity);
    if (this.#hi !== undefined) this.#hi = enlarge(this.#hi, capacity);
  }

  /**
   * Adds one column; `total` is the sum of its ticks. Throws `corrupt_block` for a stack id that the
   * dictionary does not have and for a damaged column; the sums are worthless then.
   */
  add(bytes: Uint8Array, header: EntriesHeader, column: number, total: bigint): void {
    this.#total += total;
    if (this.#hi === undefined && this.#total >= TWO_53) {
      this.#hi = new Float64Array(this.#lo.length);
      // A single lane may be full to just below 2^53.
      this.#carry(this.#hi);
    }
    if (header.columnWide[column] !== true) {
      scatterNarrow(bytes, header, column, this.#lo, this.#stackCount);
    } else if (this.#hi !== undefined) {
      scatterWide(bytes, header, column, this.#lo, this.#hi, this.#stackCount);
    } else {
      const hi = new Float64Array(this.#lo.length);
      scatterWide(bytes, header, column, this.#lo, hi, this.#stackCount);
      // The total said that a lane is enough, and a lane is exact up to there.
      for (let i = 0; i < hi.length; i++) {
        this.#lo[i] = (this.#lo[i] as number) + (hi[i] as number) * TWO_32;
      }
    }
    if (this.#hi !== undefined && --this.#untilCarry === 0) this.#carry(this.#hi);
  }

  #carry(hi: Float64Array): void {
    const lo = this.#lo;
    for (let i = 0; i < lo.length; i++) {
      const low = lo[i] as number;
      if (low < TWO_32) continue;
      const carried = Math.floor(low / TWO_32);
      hi[i] = (hi[i] as number) + carried;
      lo[i] = low - carried * TWO_32;
    }
    this.#untilCarry = CARRY_EVERY;
  }
}

/** Grains that have an array of their own at one time. */
const GRAINS_AT_ONCE = 16;

/**
 * Sums of values per stack over columns of any grain, of one dictionary. The kernels run per grain
 * on ticks, and each grain is scaled once at the end. Exact up to 2^64; {@link ValueSums.total} tells
 * whether that was passed.
 */
export class ValueSums {
  readonly #stackCount: () => number;
  readonly #byGrain = new Map<bigint, TickSums>();
  /** What was scaled already. */
  #values: Lanes | undefined;
  #total = 0n;
  #finished = false;
  #last: { readonly grain: bigint; readonly sums: TickSums } | undefined;

  /** `stackCount` is asked at each column: how many stacks the dictionary has by now. */
  constructor(stackCount: () => number) {
    this.#stackCount = stackCount;
  }

  /** Sum of the totals of all columns, not saturated. */
  get total(): bigint {
    return this.#total;
  }

  /** Bytes of the accumulators, for the query's budget. */
  get byteLength(): number {
    return (this.#byGrain.size + 1) * this.#stackCount() * 16;
  }

  /**
   * Adds one column of `bytes`. Of several groups that share a type's total only the first is added
   * with `isCounted`, so that the total is counted once. Throws as {@link TickSums.add}.
   */
  add(bytes: Uint8Array, header: EntriesHeader, type: TypeTicks, isCounted = true): void {
    if (type.total === 0n) return;
    assert(!this.#finished, 'nothing is added after the end');
    assert(type.grain > 0n, 'a grain is at least 1');
    let last = this.#last;
    if (last === undefined || last.grain !== type.grain) {
      let sums = this.#byGrain.get(type.grain);
      if (sums === undefined) {
        // Some agents change their period with every flush: arrays for each would fill the memory.
        if (this.#byGrain.size === GRAINS_AT_ONCE) this.#scale(this.#stackCount());
        sums = new TickSums(this.#stackCount());
        this.#byGrain.set(type.grain, sums);
      }
      last = { grain: type.grain, sums };
      this.#last = last;
    }
    last.sums.grow(this.#stackCount());
    last.sums.add(bytes, header, type.column, isCounted ? tickTotal(type) : 0n);
    if (isCounted) this.#total += type.total;
  }

  /** The sums, in arrays of the caller's own; called once, nothing can be added after it. */
  finish(): Lanes {
    assert(!this.#finished, 'sums are finished once');
    this.#finished = true;
    const stackCount = this.#stackCount();
    const [only] = this.#byGrain;
    if (
      this.#values === undefined &&
      only !== undefined &&
      this.#byGrain.size === 1 &&
      this.#total < TWO_53
    ) {
      // The usual case, in place: another array would cost as much as summing a few columns.
      const [grain, sums] = only;
      sums.grow(stackCount);
      const { lo } = sums;
      const scale = Number(grain);
      if (scale !== 1) for (let i = 0; i < lo.length; i++) lo[i] = (lo[i] as number) * scale;
      return { lo, hi: undefined };
    }
    return this.#scale(stackCount);
  }

  /** Scales all grains into the values, and forgets them. */
  #scale(stackCount: number): Lanes {
    const before = this.#values;
    const lo = enlarge(before?.lo ?? NOTHING, stackCount);
    let hi = before?.hi === undefined ? undefined : enlarge(before.hi, stackCount);
    if (this.#total < TWO_53) {
      // Every product and every sum is at most the total: exact in one lane.
      for (const [grain, { lo: ticks }] of this.#byGrain) {
        const scale = Number(grain);
        for (let i = 0; i < ticks.length; i++) {
          lo[i] = (lo[i] as number) + (ticks[i] as number) * scale;
        }
      }
    } else {
      hi ??= new Float64Array(stackCount);
      carry(lo, hi);
      for (const [grain, ticks] of this.#byGrain) {
        addScaled(ticks, grain, lo, hi);
        carry(lo, hi);
      }
    }
    this.#byGrain.clear();
    this.#last = undefined;
    this.#values = { lo, hi };
    return this.#values;
  }
}

const NOTHING = new Float64Array(0);

/** Adds `ticks * grain` to two lanes, exactly up to 2^64. */
function addScaled(ticks: Lanes, grain: bigint, lo: Float64Array, hi: Float64Array): void {
  const { lo: low, hi: high } = ticks;
  if (grain >= BigInt(TWO_32)) {
    for (let i = 0; i < low.length; i++) {
      if (low[i] === 0 && (high === undefined || high[i] === 0)) continue;
      const tick = BigInt(low[i] as number) + (BigInt(high?.[i] ?? 0) << 32n);
      const value = saturate(tick * grain);
      lo[i] = (lo[i] as number) + Number(value & 0xffff_ffffn);
      hi[i] = (hi[i] as number) + Number(value >> 32n);
    }
    return;
  }
  const scale = Number(grain);
  for (let i = 0; i < low.length; i++) {
    const tick = low[i] as number;
    const rest = Math.floor(tick / TWO_32);
    const tick32 = tick - rest * TWO_32;
    // 16-bit halves: half * grain < 2^48, so that nothing is rounded.
    const upper = Math.floor(tick32 / TWO_16);
    const upperValue = upper * scale;
    const upperHigh = Math.floor(upperValue / TWO_16);
    lo[i] =
      (lo[i] as number) +
      (tick32 - upper * TWO_16) * scale +
      (upperValue - upperHigh * TWO_16) * TWO_16;
    hi[i] = (hi[i] as number) + upperHigh + (rest + (high?.[i] ?? 0)) * scale;
  }
}

function carry(lo: Float64Array, hi: Float64Array): void {
  for (let i = 0; i < lo.length; i++) {
    const carried = Math.floor((lo[i] as number) / TWO_32);
    hi[i] = (hi[i] as number) + carried;
    lo[i] = (lo[i] as number) - carried * TWO_32;
  }
}

function enlarge(lane: Float64Array, capacity: number): Float64Array {
  const grown = new Float64Array(capacity);
  grown.set(lane);
  return grown;
}

assert(TOTAL_MAX > TWO_53, 'saturated totals take two lanes');
