/**
 * From the samples of a profile to entries: samples of one stack are summed, all-zero stacks left
 * out, values divided into ticks, equal tick columns stored once.
 *
 * The grain of a type is its period where that divides every value, else the greatest common
 * divisor. Types whose values are proportional share one column: the grain of the first that has a
 * period decides, if the others can follow, else the divisors.
 */
import { assert } from '../../base/assert.ts';
import { type Entries, saturate, type Ticks, TOTAL_MAX, type TypeTicks } from './entries.ts';
import { gcdOf } from './gcd.ts';

/** Values of one type by sample, none negative; BigInt64Array where some pass 2^53. */
export type ValueColumn = Float64Array | BigInt64Array;

/** Entries of several groups that read their values by the same types. */
export interface BuiltGroups {
  /** One a group, in order; a group may come out empty. */
  readonly groups: readonly Entries[];
  /** One a value column, in order; totals over all groups. */
  readonly types: readonly TypeTicks[];
}

/** Entries of one group. */
export interface BuiltEntries {
  readonly entries: Entries;
  readonly types: readonly TypeTicks[];
}

/**
 * Entries of the samples `samples` (indices into `stackOfSample` and each of `values`). `periods`
 * has one row a type: the period if the type has its unit, else 0n.
 */
export function buildEntries(
  stackOfSample: Uint32Array,
  samples: Uint32Array,
  values: readonly ValueColumn[],
  periods: readonly bigint[],
): BuiltEntries {
  const { groups, types } = buildGroups(stackOfSample, [samples], values, periods);
  return { entries: groups[0] as Entries, types };
}

/** {@link buildEntries} for groups of samples (by span and trace) that share their types. */
export function buildGroups(
  stackOfSample: Uint32Array,
  groups: readonly Uint32Array[],
  values: readonly ValueColumn[],
  periods: readonly bigint[],
): BuiltGroups {
  assert(values.length === periods.length, 'one period a type');
  const rows = sortRows(stackOfSample, groups);
  const summed = values.map((column) => sumRows(rows, column));
  const kept = keptRows(rows.count, summed);
  const { types, columns } = chooseColumns(
    summed.map(({ sums, total }, t) => ({
      values: kept === undefined ? sums : pick(sums, kept),
      total,
      period: periods[t] as bigint,
    })),
  );

  const stacks = kept === undefined ? rows.stacks : pick(rows.stacks, kept);
  const entries: Entries[] = [];
  let from = 0;
  for (const end of rows.groupEnd) {
    const to = kept === undefined ? end : seekGe(kept, end);
    entries.push({
      stacks: stacks.subarray(from, to),
      ticks: columns.map((column) => column.subarray(from, to)),
    });
    from = to;
  }
  return { groups: entries, types };
}

/** Distinct stacks, group by group, ascending within each. */
interface Rows {
  readonly count: number;
  readonly stacks: Uint32Array;
  /** Sample indices in the order of the rows, and the row of each: scratch. */
  readonly samples: Uint32Array;
  readonly rowOf: Uint32Array;
  /** End row of each group. */
  readonly groupEnd: readonly number[];
}

/**
 * Columns that last for one call, used again by the next: each push would leave a dozen behind, and the
 * collector looks at all there is when it has seen enough of them.
 */
class Scratch {
  samples = new Uint32Array(0);
  rowOf = new Uint32Array(0);
  order = new Uint32Array(0);
  keys = new Float64Array(0);

  /** Makes room for `size` samples; what one huge profile needed is let go by the next small one. */
  fit(size: number): void {
    const rows = this.keys.length;
    if (size <= rows && (rows <= SCRATCH_ROWS_KEPT || size * 16 > rows)) return;
    const wanted = Math.max(size, Math.min(rows * 2, SCRATCH_ROWS_KEPT));
    this.samples = new Uint32Array(wanted);
    this.rowOf = new Uint32Array(wanted);
    this.order = new Uint32Array(wanted);
    this.keys = new Float64Array(wanted);
  }
}

/** Rows of scratch that are kept however few are used. */
const SCRATCH_ROWS_KEPT = 1 << 16;

/** Of the thread: one profile is built at a time. */
const scratch = new Scratch();

/** Sort keys are stack * 2^21 + position: whole numbers below 2^53, sorted natively. */
const POSITION_BITS = 2 ** 21;

function sortRows(stackOfSample: Uint32Array, groups: readonly Uint32Array[]): Rows {
  let size = 0;
  for (const group of groups) size += group.length;
  const stacks = new Uint32Array(size);
  scratch.fit(size);
  const samples = scratch.samples.subarray(0, size);
  const { rowOf } = scratch;
  const groupEnd: number[] = [];
  let count = 0;
  let at = 0;
  for (const group of groups) {
    const order = sortGroup(stackOfSample, group);
    let previous = -1;
    for (let i = 0; i < order.length; i++) {
      const sample = order[i] as number;
      const stack = stackOfSample[sample] as number;
      if (stack !== previous) stacks[count++] = stack;
      previous = stack;
      samples[at] = sample;
      rowOf[at] = count - 1;
      at++;
    }
    groupEnd.push(count);
  }
  return { count, stacks: stacks.subarray(0, count), samples, rowOf, groupEnd };
}

/** The group's samples by stack, in scratch; the group itself where it is sorted already. */
function sortGroup(stackOfSample: Uint32Array, group: Uint32Array): Uint32Array {
  assert(group.length <= POSITION_BITS, 'too many samples in a group');
  const keys = scratch.keys.subarray(0, group.length);
  let sorted = true;
  let previous = -1;
  for (let i = 0; i < group.length; i++) {
    const stack = stackOfSample[group[i] as number];
    assert(stack !== undefined, 'a sample without a stack');
    keys[i] = stack * POSITION_BITS + i;
    if (stack < previous) sorted = false;
    previous = stack;
  }
  if (sorted) return group;
  keys.sort();
  const order = scratch.order.subarray(0, group.length);
  for (let i = 0; i < order.length; i++) {
    order[i] = group[(keys[i] as number) % POSITION_BITS] as number;
  }
  return order;
}

interface Summed {
  /** By row. */
  readonly sums: Ticks;
  readonly total: bigint;
}

function sumRows(rows: Rows, values: ValueColumn): Summed {
  const { samples, rowOf } = rows;
  if (values instanceof Float64Array) {
    const sums = new Float64Array(rows.count);
    let total = 0;
    for (let i = 0; i < samples.length; i++) {
      const value = values[samples[i] as number] as number;
      assert(value >= 0, 'a value is negative');
      total += value;
      const row = rowOf[i] as number;
      sums[row] = (sums[row] as number) + value;
    }
    // Whole numbers: exact as long as no partial sum passed 2^53, and the total bounds them all.
    if (total <= Number.MAX_SAFE_INTEGER) return { sums, total: BigInt(total) };
  }
  const sums = new BigUint64Array(rows.count);
  let total = 0n;
  for (let i = 0; i < samples.length; i++) {
    const value = BigInt(values[samples[i] as number] as number | bigint);
    assert(value >= 0n, 'a value is negative');
    total += value;
    const row = rowOf[i] as number;
    sums[row] = saturate((sums[row] as bigint) + value);
  }
  return { sums, total: saturate(total) };
}

/** Rows in which some type is not 0; undefined = all. */
function keptRows(count: number, summed: readonly Summed[]): Uint32Array | undefined {
  let kept: Uint32Array | undefined;
  let size = 0;
  for (let row = 0; row < count; row++) {
    if (hasValue(summed, row)) {
      if (kept !== undefined) kept[size] = row;
      size++;
    } else if (kept === undefined) {
      kept = new Uint32Array(count);
      for (let before = 0; before < row; before++) kept[before] = before;
    }
  }
  return kept?.subarray(0, size);
}

/** A loop, not a closure a row. */
function hasValue(summed: readonly Summed[], row: number): boolean {
  for (const { sums } of summed) {
    // A column holds numbers or bigints.
    if (sums instanceof Float64Array ? sums[row] !== 0 : sums[row] !== 0n) return true;
  }
  return false;
}

/** A type before its ticks are chosen. */
interface TypeValues {
  readonly values: Ticks;
  readonly total: bigint;
  readonly period: bigint;
}

/** Types with proportional values. */
interface Class {
  readonly types: { readonly type: number; readonly divisor: bigint }[];
  /** The values divided by their greatest common divisor. */
  readonly primitive: Ticks;
}

function chooseColumns(input: readonly TypeValues[]): { types: TypeTicks[]; columns: Ticks[] } {
  const classes = classify(input);
  const types: TypeTicks[] = [];
  const columns: Ticks[] = [];
  for (const [column, { types: members, primitive }] of classes.entries()) {
    const factor = classFactor(members, input);
    columns.push(multiply(primitive, factor));
    for (const { type, divisor } of members) {
      const { total } = input[type] as TypeValues;
      types[type] = { grain: divisor / factor, total, column };
    }
  }
  return { types, columns };
}

function classify(input: readonly TypeValues[]): Class[] {
  const classes: Class[] = [];
  const byHash = new Map<number, Class[]>();
  for (const [type, { values }] of input.entries()) {
    const found = gcdOf(values);
    const divisor = found === 0n ? 1n : found;
    const primitive = divided(values, divisor);
    const hash = hashTicks(primitive);
    const candidates = byHash.get(hash) ?? [];
    const same = candidates.find((candidate) => equalTicks(candidate.primitive, primitive));
    if (same !== undefined) {
      same.types.push({ type, divisor });
      continue;
    }
    const made = { types: [{ type, divisor }], primitive };
    classes.push(made);
    byHash.set(hash, [...candidates, made]);
  }
  return classes;
}

/** By how much the primitive ticks are multiplied: so that a period is a grain, if all can follow. */
function classFactor(members: Class['types'], input: readonly TypeValues[]): bigint {
  for (const { type, divisor } of members) {
    const { period, total } = input[type] as TypeValues;
    if (period <= 0n || total === 0n || divisor % period !== 0n) continue;
    const factor = divisor / period;
    return members.every((member) => member.divisor % factor === 0n) ? factor : 1n;
  }
  return 1n;
}

/** The values divided by what divides them all, in their place. */
function divided(values: Ticks, divisor: bigint): Ticks {
  if (values instanceof Float64Array) {
    const by = Number(divisor);
    // Exact: the quotient of a multiple is whole and below 2^53.
    if (by !== 1) for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) / by;
    return values;
  }
  return narrow(values.map((value) => value / divisor));
}

function multiply(ticks: Ticks, factor: bigint): Ticks {
  if (factor === 1n) return ticks;
  if (ticks instanceof Float64Array) {
    const by = Number(factor);
    const product = new Float64Array(ticks.length);
    let most = 0;
    for (let i = 0; i < ticks.length; i++) {
      const tick = (ticks[i] as number) * by;
      product[i] = tick;
      if (tick > most) most = tick;
    }
    if (most <= Number.MAX_SAFE_INTEGER) return product;
  }
  const product = new BigUint64Array(ticks.length);
  for (let i = 0; i < ticks.length; i++) {
    product[i] = saturate(BigInt(ticks[i] as number | bigint) * factor);
  }
  return narrow(product);
}

/** Numbers where all are below 2^53. */
export function narrow(ticks: BigUint64Array): Ticks {
  const max = BigInt(Number.MAX_SAFE_INTEGER);
  return ticks.every((tick) => tick <= max) ? Float64Array.from(ticks, Number) : ticks;
}

function hashTicks(ticks: Ticks): number {
  let hash = 0;
  for (let i = 0; i < ticks.length; i++) hash = Math.imul(hash ^ Number(ticks[i]), 0x01000193);
  return hash;
}

function equalTicks(a: Ticks, b: Ticks): boolean {
  // Both are narrowed: numbers and bigints never hold the same ticks.
  if (a instanceof Float64Array !== b instanceof Float64Array) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function pick<T extends Ticks | Uint32Array>(from: T, rows: Uint32Array): T {
  const picked = from.slice(0, rows.length) as T;
  for (let i = 0; i < rows.length; i++) {
    (picked as Float64Array)[i] = (from as Float64Array)[rows[i] as number] as number;
  }
  return picked;
}

/** Index of the first kept row >= `row`. */
function seekGe(kept: Uint32Array, row: number): number {
  let low = 0;
  let high = kept.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((kept[middle] as number) < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

assert(TOTAL_MAX > BigInt(Number.MAX_SAFE_INTEGER), 'saturated totals are bigints');
