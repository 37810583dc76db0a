import type { StreamRows } from '../../gen/tephra/v1/stream_pb.ts';
import type { SampleTables } from './tables.ts';

/** Rows that were sent in an epoch, by table. */
export type Rows = Pick<StreamRows, 'strings' | 'frames' | 'stacks' | 'series'>;

/**
 * Which rows of the client's tables were sent in an epoch, and under which ids: dense from 1 in the order
 * in which they were first needed.
 */
export class Epoch {
  readonly number: number;
  readonly tables: SampleTables;
  readonly strings = new SentRows();
  readonly frames = new SentRows();
  readonly stacks = new SentRows();
  readonly series = new SentRows();
  readonly #path: number[] = [];

  constructor(number: number, tables: SampleTables) {
    this.number = number;
    this.tables = tables;
  }

  /** How many rows have ids. */
  get rows(): Rows {
    return {
      strings: this.strings.count,
      frames: this.frames.count,
      stacks: this.stacks.count,
      series: this.series.count,
    };
  }

  /** Whether it has more rows than `limits` allow. */
  exceeds(limits: Rows): boolean {
    const { strings, frames, stacks, series } = this.rows;
    return (
      strings > limits.strings ||
      frames > limits.frames ||
      stacks > limits.stacks ||
      series > limits.series
    );
  }

  /** Forgets rows that the server does not have. */
  keepOnly(rows: Rows): void {
    this.strings.cut(rows.strings);
    this.frames.cut(rows.frames);
    this.stacks.cut(rows.stacks);
    this.series.cut(rows.series);
  }

  /** Id of a text. */
  text(number: number): number {
    return number === 0 ? 0 : this.strings.id(number);
  }

  /** Id of a stack; its parents and their frames come before it. */
  stack(number: number): number {
    if (number === 0) return 0;
    const known = this.stacks.known(number);
    if (known !== 0) return known;
    const { stackParent, stackFrame, frameFunction, frameFile } = this.tables;
    const path = this.#path;
    let at = number;
    while (at !== 0 && this.stacks.known(at) === 0) {
      path.push(at);
      at = stackParent[at] as number;
    }
    let id = 0;
    for (let next = path.pop(); next !== undefined; next = path.pop()) {
      const frame = stackFrame[next] as number;
      if (this.frames.known(frame) === 0) {
        this.text(frameFunction[frame] as number);
        this.text(frameFile[frame] as number);
        this.frames.id(frame);
      }
      id = this.stacks.id(next);
    }
    return id;
  }
}

/** Rows of one table: number of the client to id of the epoch, and back. */
class SentRows {
  /** By id - 1, the client's number. */
  readonly order: number[] = [];
  #ids = new Uint32Array(256);

  get count(): number {
    return this.order.length;
  }

  /** 0 = not sent. */
  known(number: number): number {
    return this.#ids[number] ?? 0;
  }

  /** The id; the next one if it has none yet. */
  id(number: number): number {
    const known = this.known(number);
    if (known !== 0) return known;
    this.order.push(number);
    if (number >= this.#ids.length) {
      const grown = new Uint32Array(Math.max(number + 1, this.#ids.length * 2));
      grown.set(this.#ids);
      this.#ids = grown;
    }
    this.#ids[number] = this.order.length;
    return this.order.length;
  }

  cut(count: number): void {
    while (this.order.length > count) this.#ids[this.order.pop() as number] = 0;
  }
}
