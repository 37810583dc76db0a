import { drain, sortSteps, type Steps, sweep } from '../../base/steps.ts';
import { approximate, type Lanes, TWO_32 } from './lanes.ts';

/** A value of two lanes, 0 <= lo < 2^32. */
export interface WideValue {
  readonly hi: number;
  readonly lo: number;
}

/** Which 32-bit half of a double holds its exponent on this machine. */
const HIGH_WORD = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0;

/**
 * The `rank`-th largest of the values from index 1 on (0 is the root, which has no part in the
 * budget), at least 1; 1 if there are not as many. Exact also where doubles are not.
 */
export function* rankedValue(values: Lanes, rank: number): Steps<WideValue> {
  const ONE = { hi: 0, lo: 1 };
  if (values.lo.length - 1 <= rank) return ONE;
  const doubles = yield* approximate(values);
  const { value, above } = yield* rankedDouble(doubles, rank);
  if (value < 1) return ONE;
  if (values.hi === undefined) {
    const hi = Math.floor(value / TWO_32);
    return { hi, lo: value - hi * TWO_32 };
  }
  // Several values may round to the same double: order these exactly.
  const { lo, hi } = values;
  const ties: WideValue[] = [];
  yield* sweep(1, doubles.length, (from, to) => {
    for (let i = from; i < to; i++) {
      if (doubles[i] === value) ties.push({ hi: hi[i] as number, lo: lo[i] as number });
    }
  });
  const sorted = yield* sortSteps(ties, (a, b) => b.hi - a.hi || b.lo - a.lo);
  return sorted[rank - above - 1] ?? ONE;
}

/** The `rank`-th largest double from index 1 on, and how many are larger. */
function* rankedDouble(
  values: Float64Array,
  rank: number,
): Steps<{ readonly value: number; readonly above: number }> {
  // The upper 16 bits of a positive double order it: sign, exponent, 4 bits of mantissa.
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const histogram = new Uint32Array(0x8000);
  yield* sweep(1, values.length, (from, to) => {
    for (let i = from; i < to; i++) {
      const bucket = (words[i * 2 + HIGH_WORD] as number) >>> 16;
      histogram[bucket] = (histogram[bucket] as number) + 1;
    }
  });
  let bucket = histogram.length - 1;
  let above = 0;
  for (; bucket > 0; bucket--) {
    const inBucket = histogram[bucket] as number;
    if (above + inBucket >= rank) break;
    above += inBucket;
  }
  const chosen = bucket;
  const candidates = new Float64Array(histogram[chosen] as number);
  let count = 0;
  yield* sweep(1, values.length, (from, to) => {
    let next = count;
    for (let i = from; i < to; i++) {
      if ((words[i * 2 + HIGH_WORD] as number) >>> 16 === chosen) {
        candidates[next++] = values[i] as number;
      }
    }
    count = next;
  });
  const value = yield* select(candidates, rank - above - 1);
  yield* sweep(0, candidates.length, (from, to) => {
    let larger = 0;
    for (let i = from; i < to; i++) if ((candidates[i] as number) > value) larger++;
    above += larger;
  });
  return { value, above };
}

/** The element that would be at `index` if the array fell; quickselect in place. */
function* select(values: Float64Array, index: number): Steps<number> {
  let left = 0;
  let right = values.length - 1;
  while (left < right) {
    const { i, j } = yield* partition(values, left, right);
    if (index <= j) right = j;
    else if (index >= i) left = i;
    else break;
  }
  return values[index] ?? 0;
}

/** Moves what is larger than the value in the middle before what is smaller. */
function* partition(
  values: Float64Array,
  left: number,
  right: number,
): Steps<{ readonly i: number; readonly j: number }> {
  const pivot = values[(left + right) >>> 1] as number;
  let i = left;
  let j = right;
  yield* drain((rows) => {
    let low = i;
    let high = j;
    for (let swaps = 0; low <= high && swaps < rows; swaps++) {
      while ((values[low] as number) > pivot) low++;
      while ((values[high] as number) < pivot) high--;
      if (low > high) break;
      const swapped = values[low] as number;
      values[low++] = values[high] as number;
      values[high--] = swapped;
    }
    i = low;
    j = high;
    return low <= high;
  });
  return { i, j };
}
