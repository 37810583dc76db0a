import { assert } from '../../base/assert.ts';
import type { PartitionRoot } from './encode.ts';

/** Sequences `[from, to]`, both inclusive. */
export type Interval = readonly [from: number, to: number];

/** Disjoint intervals, ascending, never adjacent. */
export type Intervals = readonly Interval[];

/** Sequences by incarnation. */
export type Absorbed = ReadonlyMap<number, Intervals>;

/** Whether the root counts fragment `seq` of `incarnation` as absorbed. */
export function isAbsorbed(
  root: Pick<PartitionRoot, 'absorbed'>,
  incarnation: number,
  seq: number,
): boolean {
  return containsSeq(root.absorbed.get(incarnation) ?? [], seq);
}

/** Whether `seq` lies in one of the intervals. */
export function containsSeq(intervals: Intervals, seq: number): boolean {
  let low = 0;
  let high = intervals.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const [from, to] = intervals[middle] as Interval;
    if (seq > to) low = middle + 1;
    else if (seq < from) high = middle;
    else return true;
  }
  return false;
}

/** A new map in which `incarnation` also holds `added` (any order, overlaps allowed); `absorbed` is left as it is. */
export function addAbsorbed(
  absorbed: Absorbed,
  incarnation: number,
  added: Iterable<Interval>,
): Absorbed {
  const sorted = [...(absorbed.get(incarnation) ?? []), ...added].toSorted((a, b) => a[0] - b[0]);
  if (sorted.length === 0) return absorbed;
  const merged: [number, number][] = [];
  for (const [from, to] of sorted) {
    assert(from >= 0 && from <= to, `interval [${from}, ${to}]`);
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return new Map(absorbed).set(incarnation, merged);
}

/** {@link addAbsorbed} for single sequences. */
export function addAbsorbedSeqs(
  absorbed: Absorbed,
  incarnation: number,
  seqs: Iterable<number>,
): Absorbed {
  return addAbsorbed(
    absorbed,
    incarnation,
    Array.from(seqs, (seq) => [seq, seq] as const),
  );
}
