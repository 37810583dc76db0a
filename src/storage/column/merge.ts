/**
 * Several entries of one family become one: the union of their stacks, ticks added. The grain of a
 * type is the greatest common divisor of the grains that come in, so that every tick is rescaled by
 * a whole factor and nothing is rounded. Types that share their column in every input, by the same
 * factors, share it in the result.
 */
import { assert } from '../../base/assert.ts';
import { ByteWriter } from '../../base/bytes.ts';
import {
  decodeStacks,
  decodeTicks,
  type EntriesHeader,
  failColumn,
  readEntriesHeader,
} from './decode.ts';
import { encodeEntries } from './encode.ts';
import { saturate, type Ticks, TOTAL_MAX, tickTotal, type TypeTicks } from './entries.ts';
import { narrow } from './from-values.ts';
import { gcdBig } from './gcd.ts';

/** Encoded entries of one push, group or minute. */
export interface MergeInput {
  /** The entries are `[at, end)`. */
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  /**
   * In the order of the family's series. Totals may be those of the whole push when the entries are
   * one of several groups: they only bound the sums.
   */
  readonly types: readonly TypeTicks[];
  /** Translates stack ids; undefined = they stay. Different ids may become one. */
  readonly toStack: ((stack: number) => number) | undefined;
}

/** Entries of a family, encoded. */
export interface MergedEntries {
  /** In the order of the inputs' types; totals are the sums of what is in `entries`. */
  readonly types: readonly TypeTicks[];
  readonly entries: Uint8Array;
}

/**
 * Merges at least one input of the same family. Throws `corrupt_block` for damaged entries. A single
 * input whose ids stay is copied without decoding, and its totals are taken as they are.
 */
export function mergeEntries(inputs: readonly MergeInput[]): MergedEntries {
  const [first] = inputs;
  assert(first !== undefined, 'nothing to merge');
  if (inputs.length === 1 && first.toStack === undefined) {
    return {
      types: first.types.map(({ grain, total, column }) => ({ grain, total, column })),
      entries: first.bytes.slice(first.at, first.end),
    };
  }

  const sources = readSources(inputs);
  const lists = sources.map((source) => source.stacks);
  const stacks = unite(lists);
  // The lists are rows of the union now.
  const rowOf = lists;

  const types: TypeTicks[] = [];
  const ticks: Ticks[] = [];
  const columns = new Map<string, { readonly column: number; readonly total: bigint }>();
  for (const t of first.types.keys()) {
    const plan = planType(sources, t);
    let column = columns.get(plan.key);
    if (column === undefined) {
      const summed = sumType(sources, rowOf, stacks.length, plan);
      column = { column: ticks.length, total: summed.total };
      columns.set(plan.key, column);
      ticks.push(summed.ticks);
    }
    const total = saturate(column.total * plan.grain);
    types.push({ grain: plan.grain, total, column: column.column });
  }
  const writer = new ByteWriter(stacks.length * 3 + 32);
  encodeEntries(writer, { stacks, ticks });
  return { types, entries: writer.finish() };
}

interface Source {
  readonly bytes: Uint8Array;
  readonly types: readonly TypeTicks[];
  readonly header: EntriesHeader;
  /** Translated; not ascending where a translation reordered them. */
  readonly stacks: Uint32Array;
}

function readSources(inputs: readonly MergeInput[]): Source[] {
  const headers = inputs.map(({ bytes, at, end }) => readEntriesHeader(bytes, at, end));
  let size = 0;
  for (const { count } of headers) size += count;
  // One array for all: a minute may have thousands of pushes.
  const all = new Uint32Array(size);
  let from = 0;
  return inputs.map(({ bytes, types, toStack }, i) => {
    const header = headers[i] as EntriesHeader;
    const stacks = all.subarray(from, from + header.count);
    from += header.count;
    decodeStacks(bytes, header, stacks);
    if (toStack !== undefined) {
      for (let row = 0; row < stacks.length; row++) stacks[row] = toStack(stacks[row] as number);
    }
    return { bytes, types, header, stacks };
  });
}

/** Entries per row of a table of all stack ids up to the highest, from which the table is worth it. */
const TABLE_SHARE = 1 / 32;

/** The union of the lists, ascending; each list then has the rows of its stacks in it. */
function unite(lists: readonly Uint32Array[]): Uint32Array {
  let size = 0;
  let max = -1;
  for (const list of lists) {
    size += list.length;
    for (let i = 0; i < list.length; i++) {
      const stack = list[i] as number;
      if (stack > max) max = stack;
    }
  }
  return size >= (max + 1) * TABLE_SHARE ? uniteByTable(lists, max) : uniteBySort(lists, size);
}

function uniteByTable(lists: readonly Uint32Array[], max: number): Uint32Array {
  const rows = new Uint32Array(max + 1);
  for (const list of lists) for (let i = 0; i < list.length; i++) rows[list[i] as number] = 1;
  let count = 0;
  for (let stack = 0; stack <= max; stack++) if (rows[stack] === 1) count++;
  const stacks = new Uint32Array(count);
  let row = 0;
  for (let stack = 0; stack <= max; stack++) {
    if (rows[stack] !== 1) continue;
    stacks[row] = stack;
    rows[stack] = row++;
  }
  for (const list of lists) {
    for (let i = 0; i < list.length; i++) list[i] = rows[list[i] as number] as number;
  }
  return stacks;
}

function uniteBySort(lists: readonly Uint32Array[], size: number): Uint32Array {
  const all = new Uint32Array(size);
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  all.sort();
  let count = 0;
  for (let i = 0; i < size; i++) {
    if (i === 0 || all[i] !== all[i - 1]) all[count++] = all[i] as number;
  }
  const stacks = all.slice(0, count);
  const rows = new Map<number, number>();
  for (let row = 0; row < count; row++) rows.set(stacks[row] as number, row);
  for (const list of lists) {
    for (let i = 0; i < list.length; i++) list[i] = rows.get(list[i] as number) as number;
  }
  return stacks;
}

/** How a type's columns add up. */
interface TypePlan {
  readonly grain: bigint;
  /** By source: its column and by what its ticks are multiplied; undefined where all are 0. */
  readonly parts: readonly ({ readonly column: number; readonly factor: bigint } | undefined)[];
  /** No tick of the result is larger. */
  readonly ticksMax: bigint;
  /** Types with equal keys have equal ticks. */
  readonly key: string;
}

function planType(sources: readonly Source[], t: number): TypePlan {
  let grain = 0n;
  for (const { types } of sources) {
    const type = types[t];
    assert(type !== undefined, 'inputs of different families');
    if (type.total > 0n) grain = gcdBig(type.grain, grain);
  }
  if (grain === 0n) grain = 1n;
  let ticksMax = 0n;
  const parts = sources.map(({ types }) => {
    const type = types[t] as TypeTicks;
    if (type.total === 0n) return undefined;
    const factor = type.grain / grain;
    ticksMax += tickTotal(type) * factor;
    return { column: type.column, factor };
  });
  const key = parts.map((part) => (part ? `${part.column}*${part.factor}` : '')).join();
  return { grain, parts, ticksMax, key };
}

function sumType(
  sources: readonly Source[],
  rowOf: readonly Uint32Array[],
  rows: number,
  { parts, ticksMax }: TypePlan,
): { readonly ticks: Ticks; readonly total: bigint } {
  const exact = ticksMax <= BigInt(Number.MAX_SAFE_INTEGER);
  const sums = exact ? new Float64Array(rows) : new BigUint64Array(rows);
  let total = 0n;
  for (let s = 0; s < parts.length; s++) {
    const part = parts[s];
    if (part === undefined) continue;
    const { bytes, header } = sources[s] as Source;
    if (sums instanceof Float64Array && header.columnWide[part.column] !== true) {
      const to = rowOf[s] as Uint32Array;
      total += BigInt(addNarrow(bytes, header, part.column, Number(part.factor), to, sums));
      continue;
    }
    const ticks = decodeTicks(bytes, header, part.column);
    const to = rowOf[s] as Uint32Array;
    total +=
      sums instanceof Float64Array
        ? addNumbers(ticks, Number(part.factor), to, sums)
        : addBigints(ticks, part.factor, to, sums);
  }
  return {
    ticks: sums instanceof Float64Array ? sums : narrow(sums),
    total: total > TOTAL_MAX ? TOTAL_MAX : total,
  };
}

/** {@link addNumbers} from the bytes of a column that is not wide. */
function addNarrow(
  bytes: Uint8Array,
  header: EntriesHeader,
  column: number,
  factor: number,
  to: Uint32Array,
  sums: Float64Array,
): number {
  const end = header.columnAt[column + 1] as number;
  let at = header.columnAt[column] as number;
  let total = 0;
  for (let i = 0; i < to.length; i++) {
    let tick = at < end ? (bytes[at++] as number) : failColumn('ticks', at);
    if (tick >= 0x80) {
      tick &= 0x7f;
      let scale = 128;
      for (;;) {
        if (at >= end || scale > 0x1000_0000) failColumn('ticks', at);
        const byte = bytes[at++] as number;
        tick += (byte & 0x7f) * scale;
        if (byte < 0x80) break;
        scale *= 128;
      }
      if (tick > 0xffff_ffff) failColumn('ticks', at);
    }
    const row = to[i] as number;
    tick *= factor;
    total += tick;
    sums[row] = (sums[row] as number) + tick;
  }
  if (at !== end) failColumn('ticks', at);
  return total;
}

/** Exact: the caller knows that the sum of all products is below 2^53. */
function addNumbers(ticks: Ticks, factor: number, to: Uint32Array, sums: Float64Array): bigint {
  let total = 0;
  for (let i = 0; i < ticks.length; i++) {
    const tick = Number(ticks[i]) * factor;
    const row = to[i] as number;
    total += tick;
    sums[row] = (sums[row] as number) + tick;
  }
  return BigInt(total);
}

function addBigints(ticks: Ticks, factor: bigint, to: Uint32Array, sums: BigUint64Array): bigint {
  let total = 0n;
  for (let i = 0; i < ticks.length; i++) {
    const tick = BigInt(ticks[i] as number | bigint) * factor;
    const row = to[i] as number;
    total += tick;
    sums[row] = saturate((sums[row] as bigint) + tick);
  }
  return total;
}
