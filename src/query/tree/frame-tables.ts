import {
  DAMAGED_NAME,
  FRAME_DAMAGED,
  FRAME_INLINED,
  type FrameColumns,
  type FrameRow,
  type FunctionColumns,
  type FunctionRow,
  NO_FUNCTION,
} from '../../storage/dictionary/rows.ts';

/** Where rows come from: a dictionary, or the tables of another tree. */
export interface FrameTablesSource {
  frameRow(id: number): FrameRow;
  functionRow(id: number): FunctionRow;
  text(id: number): string;
}

/** Tables of strings, functions and frames by content; rows of several sources become one. */
export class FrameTables {
  readonly strings: string[] = [''];
  readonly #stringIndex = new Map<string, number>([['', 0]]);
  readonly #functions: FunctionRow[] = [];
  readonly #functionIndex = new Map<string, number>();
  readonly #frames: FrameRow[] = [];
  readonly #frameIndex = new Map<string, number>();

  /** A function from frame ids of `source` to frame indices of these tables; remembers its answers. */
  from(source: FrameTablesSource): (frame: number) => number {
    const texts = new Map<number, number>();
    const text = (id: number): number => remembered(texts, id, () => this.#string(source.text(id)));
    const functions = new Map<number, number>();
    const fn = (id: number): number =>
      remembered(functions, id, () => {
        const row = source.functionRow(id);
        return this.#function({
          name: text(row.name),
          systemName: text(row.systemName),
          file: text(row.file),
          startLine: row.startLine,
        });
      });
    const frames = new Map<number, number>();
    return (id) =>
      remembered(frames, id, () => {
        const row = source.frameRow(id);
        if ((row.flags & FRAME_DAMAGED) !== 0) return this.#damagedFrame();
        return this.#frame({
          ...row,
          fn: row.fn === NO_FUNCTION ? NO_FUNCTION : fn(row.fn),
          mappingFile: text(row.mappingFile),
          buildId: text(row.buildId),
          flags: row.flags & FRAME_INLINED,
        });
      });
  }

  /** Columns of the functions. */
  functionColumns(): FunctionColumns {
    const rows = this.#functions;
    return {
      name: Uint32Array.from(rows, ({ name }) => name),
      systemName: Uint32Array.from(rows, ({ systemName }) => systemName),
      file: Uint32Array.from(rows, ({ file }) => file),
      startLine: Uint32Array.from(rows, ({ startLine }) => startLine),
    };
  }

  /** Columns of the frames. */
  frameColumns(): FrameColumns {
    const rows = this.#frames;
    return {
      fn: Uint32Array.from(rows, ({ fn }) => fn),
      line: Uint32Array.from(rows, ({ line }) => line),
      column: Uint32Array.from(rows, ({ column }) => column),
      mappingFile: Uint32Array.from(rows, ({ mappingFile }) => mappingFile),
      buildId: Uint32Array.from(rows, ({ buildId }) => buildId),
      addressLow: Uint32Array.from(rows, ({ addressLow }) => addressLow),
      addressHigh: Uint32Array.from(rows, ({ addressHigh }) => addressHigh),
      flags: Uint8Array.from(rows, ({ flags }) => flags),
    };
  }

  #string(text: string): number {
    return remembered(this.#stringIndex, text, () => this.strings.push(text) - 1);
  }

  #function(row: FunctionRow): number {
    const key = `${row.name},${row.systemName},${row.file},${row.startLine}`;
    return remembered(this.#functionIndex, key, () => this.#functions.push(row) - 1);
  }

  #frame(row: FrameRow): number {
    // A frame without symbols is its build id (else its file) and its address.
    const key =
      row.fn === NO_FUNCTION && row.buildId !== 0
        ? `${row.buildId},${row.addressLow},${row.addressHigh}`
        : `${row.fn},${row.line},${row.column},${row.mappingFile},${row.buildId},` +
          `${row.addressLow},${row.addressHigh},${row.flags}`;
    return remembered(this.#frameIndex, key, () => this.#frames.push(row) - 1);
  }

  /** What could not be read is shown as a function, so that every reader of pprof shows it. */
  #damagedFrame(): number {
    const name = this.#string(DAMAGED_NAME);
    return this.#frame({
      fn: this.#function({ name, systemName: 0, file: 0, startLine: 0 }),
      line: 0,
      column: 0,
      mappingFile: 0,
      buildId: 0,
      addressLow: 0,
      addressHigh: 0,
      flags: 0,
    });
  }
}

function remembered<K>(known: Map<K, number>, key: K, make: () => number): number {
  let value = known.get(key);
  if (value === undefined) {
    value = make();
    known.set(key, value);
  }
  return value;
}
