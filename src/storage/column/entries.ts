/**
 * What a profile comes down to once its stacks have ids: columns of (stack id, ticks).
 *
 * - One *family* is the series that one profile makes, one per sample type, with the same labels.
 *   They share the stack column, and types with equal ticks share the tick column too.
 * - `value = ticks * grain`, exactly. Nothing is ever rounded.
 * - Values are never negative. Totals and ticks that would pass 2^64 - 1 stop there: every answer
 *   that such a number takes part in lies beyond int64 and saturates anyway.
 */

/** Ticks of one column: whole numbers; Float64Array when all are below 2^53, else BigUint64Array. */
export type Ticks = Float64Array | BigUint64Array;

/** Entries: strictly ascending stack ids, and tick columns parallel to them (0 is allowed). */
export interface Entries {
  readonly stacks: Uint32Array;
  readonly ticks: readonly Ticks[];
}

/** How the values of one sample type are read: `value = ticks[column] * grain`. */
export interface TypeTicks {
  /** At least 1. */
  readonly grain: bigint;
  /** Sum of the values (not of the ticks), at most {@link TOTAL_MAX}. */
  readonly total: bigint;
  /** Index of the tick column. */
  readonly column: number;
}

/** How one series of the family reads its values. */
export interface TypeColumn extends TypeTicks {
  /** Series id in the dictionary of the scope. */
  readonly series: number;
}

/**
 * The column of a series. Written out: `{...type, series}` makes 140 bytes of shapes in V8's old space, each
 * time, and takes forty times as long.
 */
export function seriesColumn(series: number, { grain, total, column }: TypeTicks): TypeColumn {
  return { series, grain, total, column };
}

/** Largest total and largest tick that is stored; it also stands for everything beyond it. */
export const TOTAL_MAX = (1n << 64n) - 1n;

/** `value`, or {@link TOTAL_MAX} if it lies beyond. */
export function saturate(value: bigint): bigint {
  return value > TOTAL_MAX ? TOTAL_MAX : value;
}

/** Sum of the ticks of a type's column; a saturated total gives {@link TOTAL_MAX}. */
export function tickTotal(type: { readonly grain: bigint; readonly total: bigint }): bigint {
  if (type.grain === 1n || type.total === TOTAL_MAX) return type.total;
  return type.total / type.grain;
}
