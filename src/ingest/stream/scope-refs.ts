import { assert } from '../../base/assert.ts';
import { LIMITS } from '../../base/limits.ts';
import type { LabelSet } from '../../profile/labels.ts';
import { ADDRESS } from '../../profile/stream/additions.ts';
import { NO_STACK_TEXT, TRUNCATED_TEXT } from '../../profile/synthetic.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import { growI32 } from '../../storage/dictionary/grow.ts';
import { FRAME_INLINED, NO_FUNCTION } from '../../storage/dictionary/rows.ts';
import { ADDRESS_HIGH, FRAME_STRIDE, type StreamTables } from './tables.ts';

const UNKNOWN = -1;

/** One stack, filled from its end; one place is for the frame `(truncated)`. Scratch of the thread. */
const CHAIN = new Uint32Array(LIMITS.stackDepthKept + 1);

/**
 * What the dictionary of one live scope calls the rows of a stream: filled as they are needed. It holds
 * no reference to the dictionary, which may be evicted beside it.
 */
export class ScopeRefs {
  /** Stack id in the scope by stack of the stream, or -1. */
  stacks: Int32Array = new Int32Array(16).fill(UNKNOWN);
  #frames: Int32Array = new Int32Array(16).fill(UNKNOWN);
  /** Series ids by family. */
  readonly #series: (readonly number[] | undefined)[] = [];
  /** Series ids by family and sample labels. */
  readonly #labelled = new Map<string, readonly number[]>();

  /** Bytes of memory, about. */
  get bytesInMemory(): number {
    const series = this.#series.length * 64 + this.#labelled.size * 256;
    return this.stacks.byteLength + this.#frames.byteLength + series;
  }

  /** Makes room for all stacks that the tables have. */
  reserve(tables: StreamTables): void {
    this.stacks = grown(this.stacks, tables.stacks + 1);
    this.#frames = grown(this.#frames, tables.rows.frames + 1);
  }

  /** Finds or adds stack `id` of the stream; it must be there, and {@link reserve} was called. */
  addStack(id: number, tables: StreamTables, dictionary: Dictionary): number {
    let at = CHAIN.length;
    for (let stack = id; stack !== 0; stack = tables.stackParent[stack] as number) {
      if (at === 1) {
        CHAIN[--at] = synthetic(dictionary, TRUNCATED_TEXT);
        break;
      }
      CHAIN[--at] = this.#frame(tables.stackFrame[stack] as number, tables, dictionary);
    }
    if (at === CHAIN.length) CHAIN[--at] = synthetic(dictionary, NO_STACK_TEXT);
    const found = dictionary.internStack(CHAIN, at, CHAIN.length);
    this.stacks[id] = found;
    return found;
  }

  /** Series ids of a family, with `labels` in place of its own where samples have some. */
  series(family: number, tables: StreamTables, dictionary: Dictionary): readonly number[] {
    const known = this.#series[family];
    if (known !== undefined) return known;
    const row = tables.families[family];
    assert(row !== undefined, 'a family that is there');
    const ids = row.types.map((type) => dictionary.internSeries(row.labels, type));
    this.#series[family] = ids;
    return ids;
  }

  /** The same for samples with labels of their own; `labelsOf` is called for those not seen before. */
  labelledSeries(
    key: string,
    family: number,
    tables: StreamTables,
    dictionary: Dictionary,
    labelsOf: () => LabelSet,
  ): readonly number[] {
    let ids = this.#labelled.get(key);
    if (ids !== undefined) return ids;
    const row = tables.families[family];
    assert(row !== undefined, 'a family that is there');
    const labels = labelsOf();
    ids = row.types.map((type) => dictionary.internSeries(labels, type));
    // Ids of requests and the like never come again: keeping them all would cost more than they save.
    if (this.#labelled.size >= LABELLED_MAX) this.#labelled.clear();
    this.#labelled.set(key, ids);
    return ids;
  }

  #frame(id: number, tables: StreamTables, dictionary: Dictionary): number {
    const known = this.#frames[id] as number;
    if (known !== UNKNOWN) return known;
    const { frame } = tables;
    const at = id * FRAME_STRIDE;
    const column = (index: number): number => frame[at + index] as number;
    const string = (index: number): number => {
      const text = column(index);
      if (text === 0) return 0;
      return dictionary.internBytes(tables.texts, tables.textStart(text), tables.textEnd(text));
    };
    const mappingFile = string(6);
    const buildId = string(7);
    const bare =
      column(0) === 0 && mappingFile + buildId + column(ADDRESS) + column(ADDRESS_HIGH) !== 0;
    const fn = bare
      ? NO_FUNCTION
      : dictionary.internFunction(string(0), string(3), string(1), column(4));
    const found = dictionary.internFrame(
      fn,
      column(2),
      column(5),
      mappingFile,
      buildId,
      column(ADDRESS),
      column(ADDRESS_HIGH),
      column(9) === 0 ? 0 : FRAME_INLINED,
    );
    dictionary.closeInput();
    this.#frames[id] = found;
    return found;
  }
}

/** Sets of sample labels whose series are remembered. */
const LABELLED_MAX = 1_024;

function synthetic(dictionary: Dictionary, name: string): number {
  const fn = dictionary.internFunction(dictionary.internText(name), 0, 0, 0);
  return dictionary.internFrame(fn, 0, 0, 0, 0, 0, 0, 0);
}

/** A column that reaches to `needed`; new rows are unknown. */
function grown(column: Int32Array, needed: number): Int32Array {
  const larger = growI32(column, needed);
  if (larger !== column) larger.fill(UNKNOWN, column.length);
  return larger;
}
