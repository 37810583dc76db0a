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

/** Candidates that are looked at one by one; of more of them, further digits are counted first. */
const CANDIDATES_MOST = 65_536;

/** Bits that the digits before each one have, in the upper and in the lower half of a double. */
const UPPER_BITS = [0, 0xffff_0000, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff] as const;
const LOWER_BITS = [0, 0, 0, 0xffff_0000, 0xffff_ffff] as const;

/**
 * The `rank`-th largest double from index 1 on, and how many are larger. The bits of a positive double
 * order it, so it is found digit by digit, 16 bits each, until few have the same ones.
 */
function* rankedDouble(
  values: Float64Array,
  rank: number,
): Steps<{ readonly value: number; readonly above: number }> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const histogram = new Uint32Array(0x1_0000);
  const found = new Uint32Array(2);
  const [LOW, HIGH] = [1 - HIGH_WORD, HIGH_WORD];
  let above = 0;
  let digit = 0;
  let candidateCount = Infinity;
  for (; digit < 4 && candidateCount > CANDIDATES_MOST; digit++) {
    const word = digit < 2 ? HIGH : LOW;
    const shift = digit % 2 === 0 ? 16 : 0;
    const upper = UPPER_BITS[digit] as number;
    const lower = LOWER_BITS[digit] as number;
    const foundHigh = (found[HIGH] as number) | 0;
    const foundLow = (found[LOW] as number) | 0;
    histogram.fill(0);
    yield* sweep(1, values.length, (from, to) => {
      for (let i = from; i < to; i++) {
        if (((words[i * 2 + HIGH] as number) & upper) !== foundHigh) continue;
        if (((words[i * 2 + LOW] as number) & lower) !== foundLow) continue;
        const bucket = ((words[i * 2 + word] as number) >>> shift) & 0xffff;
        histogram[bucket] = (histogram[bucket] as number) + 1;
      }
    });
    let bucket = histogram.length - 1;
    for (; bucket > 0; bucket--) {
      const inBucket = histogram[bucket] as number;
      if (above + inBucket >= rank) break;
      above += inBucket;
    }
    candidateCount = histogram[bucket] as number;
    found[word] = ((found[word] as number) | (bucket << shift)) >>> 0;
  }
  // All digits: as many as there are have this value.
  if (candidateCount > CANDIDATES_MOST) {
    return { value: new Float64Array(found.buffer)[0] as number, above };
  }
  const upper = UPPER_BITS[digit] as number;
  const lower = LOWER_BITS[digit] as number;
  const foundHigh = (found[HIGH] as number) | 0;
  const foundLow = (found[LOW] as number) | 0;
  const candidates = new Float64Array(candidateCount);
  let count = 0;
  yield* sweep(1, values.length, (from, to) => {
    let next = count;
    for (let i = from; i < to; i++) {
      if (((words[i * 2 + HIGH] as number) & upper) !== foundHigh) continue;
      if (((words[i * 2 + LOW] as number) & lower) !== foundLow) continue;
      candidates[next++] = values[i] as number;
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
