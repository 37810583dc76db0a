import { type Steps, sweep } from '../../base/steps.ts';
import type { Lanes } from './lanes.ts';

/** A column of nodes. */
export type Column = Float64Array | Uint32Array | Int32Array;

/**
 * Moves the elements `kept`, which ascends, to the front of the column: none is overwritten before it was
 * read. Of a large tree there are so never two.
 */
export function* pack(column: Column, kept: Uint32Array): Steps<void> {
  yield* sweep(0, kept.length, (from, to) => {
    for (let id = from; id < to; id++) column[id] = column[kept[id] as number] as number;
  });
}

/** The first elements: in place, or copied where what comes behind them would be most of what is held. */
export function firstOf<T extends Column>(column: T, count: number): T {
  return (count < column.length / 2 ? column.slice(0, count) : column.subarray(0, count)) as T;
}

/** The same of values. */
export function firstLanes({ lo, hi }: Lanes, count: number): Lanes {
  return { lo: firstOf(lo, count), hi: hi === undefined ? undefined : firstOf(hi, count) };
}
