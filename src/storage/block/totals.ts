import { MINUTE_MS } from '../../base/time.ts';
import { type BlockSectionView, type FamilyView, readMinute, readMinutePushes } from './decode.ts';

/** Whole numbers of pushes, up to 2^64 - 1: doubles where all are exact. */
export type Totals = Float64Array | BigUint64Array;

/** When each push of a family began, and its total by type: all that a timeline asks, without columns. */
export interface FamilyTotals {
  readonly series: readonly number[];
  /** Ms of the day, ascending. */
  readonly times: Uint32Array;
  /** By type of the family; parallel to `times`. */
  readonly totals: readonly Totals[];
}

/** The totals of a section. */
export interface SectionTotals {
  readonly families: readonly FamilyTotals[];
  /** Bytes that they take, about. */
  readonly byteLength: number;
}

/** What an object of the totals takes beside its arrays. */
const OBJECT_BYTES = 400;

/** Reads the lists of pushes of a section. Throws `corrupt_block`. */
export function totalsOfSection(section: BlockSectionView): SectionTotals {
  const families = section.families.map((family) => totalsOfFamily(section, family));
  let byteLength = OBJECT_BYTES;
  for (const { series, times, totals } of families) {
    byteLength += OBJECT_BYTES + series.length * 8 + times.byteLength;
    for (const column of totals) byteLength += column.byteLength;
  }
  return { families, byteLength };
}

function totalsOfFamily(section: BlockSectionView, family: FamilyView): FamilyTotals {
  const { series, minutes } = family;
  const times: number[] = [];
  const totals: bigint[][] = series.map(() => []);
  for (let i = 0; i < minutes.length; i++) {
    const minute = readMinute(section, family, i);
    const minuteMs = minute.minute * MINUTE_MS;
    for (const push of readMinutePushes(section, minute)) {
      times.push(minuteMs + push.offsetMs);
      for (const [t, column] of totals.entries()) column.push(push.totals[t] ?? 0n);
    }
  }
  return { series, times: Uint32Array.from(times), totals: totals.map(pack) };
}

function pack(values: readonly bigint[]): Totals {
  const isExact = values.every((value) => value <= BigInt(Number.MAX_SAFE_INTEGER));
  return isExact ? Float64Array.from(values, Number) : BigUint64Array.from(values);
}

/** Index of the first time at or after `timeMs` of the day. */
export function seekTime(times: Uint32Array, timeMs: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] as number) < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
