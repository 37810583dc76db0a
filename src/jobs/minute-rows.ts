import { growU32 } from '../storage/dictionary/grow.ts';
import type { MinuteColumn } from '../storage/block/encode.ts';
import type { PushEntry, PushList, PushRef } from '../storage/block/pushes.ts';
import type { TypeTicks } from '../storage/column/entries.ts';
import { saturate, seriesColumn } from '../storage/column/entries.ts';
import { mergeEntries } from '../storage/column/merge.ts';
import type { MergedEntries, MergeInput } from '../storage/column/merge.ts';
import { AlikeMerge } from '../storage/column/merge-alike.ts';
import { valueTotal } from '../storage/column/types.ts';

/** How the types of a family read their ticks: few for thousands of pushes. */
export interface Layout {
  /** By type. */
  readonly types: readonly { readonly grain: bigint; readonly column: number }[];
  /** Columns that they read. */
  readonly columns: number;
}

/** Where entries lie, and how their ids are translated. */
export interface RowSource {
  readonly bytes: Uint8Array;
  readonly toStack: MergeInput['toStack'];
}

/** What the rows of all minutes of a table refer to by number. */
export interface RowTables {
  readonly sources: RowSource[];
  /** Refs of pushes, whose `index` is in the row. */
  readonly refs: Omit<PushRef, 'index'>[];
  readonly layouts: Layout[];
}

/** Numbers of an input: source, start, end, layout, its first tick. */
const INPUT = 5;
/** Numbers of a push: offset in the minute, ref, index, layout, its first tick. */
const PUSH = 5;
const TWO_32 = 0x1_0000_0000;

/** Scratch of the thread. */
const ALIKE = new AlikeMerge();

/**
 * What becomes one minute column: rows of numbers, which refer to bytes that somebody else holds. Absorb
 * has thousands of pushes in hand at once; as objects they would be the larger part of what the garbage
 * collector has to follow.
 */
export class MinuteRows {
  readonly #tables: RowTables;
  #inputs: Uint32Array = new Uint32Array(INPUT);
  #inputCount = 0;
  #pushes: Uint32Array = new Uint32Array(PUSH);
  #pushCount = 0;
  /** Sums of ticks by column, low and high 32 bits in turn. */
  #ticks: Uint32Array = new Uint32Array(2);
  #ticksEnd = 0;

  constructor(tables: RowTables) {
    this.#tables = tables;
  }

  /** Keeps sums of ticks, low and high 32 bits of each; returns where. */
  addTicks(ticks: readonly number[]): number {
    const at = this.#ticksEnd;
    this.#ticks = growU32(this.#ticks, at + ticks.length);
    for (let i = 0; i < ticks.length; i++) this.#ticks[at + i] = ticks[i] as number;
    this.#ticksEnd = at + ticks.length;
    return at;
  }

  /** Adds entries `[at, end)` of a source; their ticks sum to no more than those at `ticksAt`. */
  addInput(source: number, at: number, end: number, layout: number, ticksAt: number): void {
    const row = INPUT * this.#inputCount++;
    this.#inputs = growU32(this.#inputs, row + INPUT);
    this.#inputs[row] = source;
    this.#inputs[row + 1] = at;
    this.#inputs[row + 2] = end;
    this.#inputs[row + 3] = layout;
    this.#inputs[row + 4] = ticksAt;
  }

  /** Adds a push, whose ticks sum to those at `ticksAt`. */
  addPush(offsetMs: number, ref: number, index: number, layout: number, ticksAt: number): void {
    const row = PUSH * this.#pushCount++;
    this.#pushes = growU32(this.#pushes, row + PUSH);
    this.#pushes[row] = offsetMs;
    this.#pushes[row + 1] = ref;
    this.#pushes[row + 2] = index;
    this.#pushes[row + 3] = layout;
    this.#pushes[row + 4] = ticksAt;
  }

  /** The column, in whose `pushes` the rows are read again: nothing may be added any more. */
  merge(minute: number, series: readonly number[]): MinuteColumn {
    const { types, entries } = this.#mergeAlike() ?? mergeEntries(this.#mergeInputs());
    return {
      minute,
      types: types.map((type, t) => seriesColumn(series[t] as number, type)),
      pushes: this.#list(),
      entries,
    };
  }

  /** Undefined where ticks mean different things, are too large, or there is nothing to add. */
  #mergeAlike(): MergedEntries | undefined {
    const inputs = this.#inputs;
    const first = inputs[3] as number;
    const layout = this.#layout(first);
    if (this.#inputCount === 1) return undefined;
    const most: number[] = Array.from({ length: layout.columns }, () => 0);
    for (let row = 0; row < INPUT * this.#inputCount; row += INPUT) {
      if (inputs[row + 3] !== first) return undefined;
      const ticksAt = inputs[row + 4] as number;
      for (let column = 0; column < layout.columns; column++) {
        (most[column] as number) += this.#tickNumber(ticksAt, column);
      }
    }
    if (!most.every((total) => total <= Number.MAX_SAFE_INTEGER)) return undefined;
    ALIKE.begin(layout.columns);
    for (let row = 0; row < INPUT * this.#inputCount; row += INPUT) {
      const { bytes, toStack } = this.#source(inputs[row] as number);
      const [at, end] = [inputs[row + 1] as number, inputs[row + 2] as number];
      if (!ALIKE.add(bytes, at, end, toStack)) return undefined;
    }
    const { totals, entries } = ALIKE.finish();
    const types = layout.types.map(({ grain, column }) => ({
      grain,
      column,
      total: saturate(BigInt(totals[column] as number) * grain),
    }));
    return { types, entries };
  }

  #mergeInputs(): MergeInput[] {
    const inputs: MergeInput[] = [];
    for (let row = 0; row < INPUT * this.#inputCount; row += INPUT) {
      const [source, at, end, layout, ticksAt] = this.#inputs.subarray(row, row + INPUT);
      const types = this.#types(layout as number, ticksAt as number);
      const { bytes, toStack } = this.#source(source as number);
      inputs.push({ bytes, at: at as number, end: end as number, types, toStack });
    }
    return inputs;
  }

  /** The pushes by offset, each made when it is asked for. */
  #list(): PushList {
    const pushes = this.#pushes;
    // What was added first comes first where offsets are equal.
    const order = new Float64Array(this.#pushCount);
    for (let i = 0; i < order.length; i++) order[i] = (pushes[PUSH * i] as number) * TWO_32 + i;
    order.sort();
    const push = (row: number): PushEntry => {
      const types = this.#types(pushes[row + 3] as number, pushes[row + 4] as number);
      const ref = this.#tables.refs[pushes[row + 1] as number] as RowTables['refs'][number];
      const { arrivalHourMs, incarnation, seq, canonical } = ref;
      const index = pushes[row + 2] as number;
      return {
        offsetMs: pushes[row] as number,
        totals: types.map(({ total }) => total),
        ref: { arrivalHourMs, incarnation, seq, index, canonical },
      };
    };
    return {
      length: order.length,
      *[Symbol.iterator]() {
        for (const key of order) yield push(PUSH * (key % TWO_32));
      },
    };
  }

  #types(layout: number, ticksAt: number): TypeTicks[] {
    return this.#layout(layout).types.map(({ grain, column }) => ({
      grain,
      column,
      total: valueTotal(this.#tick(ticksAt, column), grain),
    }));
  }

  #tick(ticksAt: number, column: number): bigint {
    const number = this.#tickNumber(ticksAt, column);
    if (number <= Number.MAX_SAFE_INTEGER) return BigInt(number);
    const low = this.#ticks[ticksAt + 2 * column] as number;
    return (BigInt(this.#ticks[ticksAt + 2 * column + 1] as number) << 32n) | BigInt(low);
  }

  /** Exact up to 2^53. */
  #tickNumber(ticksAt: number, column: number): number {
    const at = ticksAt + 2 * column;
    return (this.#ticks[at + 1] as number) * TWO_32 + (this.#ticks[at] as number);
  }

  #layout(index: number): Layout {
    return this.#tables.layouts[index] as Layout;
  }

  #source(index: number): RowSource {
    return this.#tables.sources[index] as RowSource;
  }
}
