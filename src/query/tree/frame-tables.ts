import type { Steps } from '../../base/steps.ts';
import {
  DAMAGED_NAME,
  FRAME_DAMAGED,
  FRAME_INLINED,
  type FrameColumns,
  type FunctionColumns,
  NO_FUNCTION,
} from '../../storage/dictionary/rows.ts';
import { RowTable } from './row-table.ts';

/** Where rows come from: a dictionary, or the tables of another tree. */
export interface FrameTablesSource {
  readonly frames: FrameColumns;
  readonly functions: FunctionColumns;
  text(id: number): string;
}

/** Tables of strings, functions and frames by content; rows of several sources become one. */
export class FrameTables {
  readonly strings: string[] = [''];
  readonly #stringIndex = new Map<string, number>([['', 0]]);
  readonly #functions = new RowTable(4);
  readonly #frames = new RowTable(8);
  /** File of each build id that frames without symbols have: the first one seen. */
  readonly #fileOfBuild = new Map<number, number>();

  /** A function from frame ids of `source` to frame indices of these tables; remembers its answers. */
  from(source: FrameTablesSource): (frame: number) => number {
    const { frames, functions } = source;
    const texts = new Map<number, number>([[0, 0]]);
    const text = (id: number): number => {
      let index = texts.get(id);
      if (index === undefined) {
        index = this.#string(source.text(id));
        texts.set(id, index);
      }
      return index;
    };
    // Index + 1, 0 = not asked for yet.
    const functionIndex = new Uint32Array(functions.name.length);
    const frameIndex = new Uint32Array(frames.fn.length);

    const fn = (id: number): number => {
      const known = functionIndex[id] as number;
      if (known > 0) return known - 1;
      const index = this.#function(
        text(functions.name[id] as number),
        text(functions.systemName[id] as number),
        text(functions.file[id] as number),
        functions.startLine[id] as number,
      );
      functionIndex[id] = index + 1;
      return index;
    };

    const frame = (id: number): number => {
      const flags = frames.flags[id] as number;
      if ((flags & FRAME_DAMAGED) !== 0) return this.damagedFrame();
      const own = frames.fn[id] as number;
      const symbolised = own !== NO_FUNCTION;
      const file = text(frames.mappingFile[id] as number);
      const buildId = text(frames.buildId[id] as number);
      const { row } = this.#frames;
      row[FIELD.fn] = symbolised ? fn(own) : NO_FUNCTION;
      row[FIELD.line] = frames.line[id] as number;
      row[FIELD.column] = frames.column[id] as number;
      row[FIELD.mappingFile] = symbolised ? file : this.#fileOf(file, buildId);
      row[FIELD.buildId] = buildId;
      row[FIELD.addressLow] = frames.addressLow[id] as number;
      row[FIELD.addressHigh] = frames.addressHigh[id] as number;
      row[FIELD.flags] = flags & FRAME_INLINED;
      return this.#frames.intern();
    };

    return (id) => {
      const known = frameIndex[id] as number;
      if (known > 0) return known - 1;
      const index = frame(id);
      frameIndex[id] = index + 1;
      return index;
    };
  }

  /** What could not be read is shown as a function, so that every reader of pprof shows it. */
  damagedFrame(): number {
    const fn = this.#function(this.#string(DAMAGED_NAME), 0, 0, 0);
    const { row } = this.#frames;
    row.fill(0);
    row[FIELD.fn] = fn;
    return this.#frames.intern();
  }

  /** Columns of the functions. */
  *functionColumns(): Steps<FunctionColumns> {
    const rows = this.#functions;
    return {
      name: yield* rows.column(0),
      systemName: yield* rows.column(1),
      file: yield* rows.column(2),
      startLine: yield* rows.column(3),
    };
  }

  /** Columns of the frames. */
  *frameColumns(): Steps<FrameColumns> {
    const rows = this.#frames;
    return {
      fn: yield* rows.column(FIELD.fn),
      line: yield* rows.column(FIELD.line),
      column: yield* rows.column(FIELD.column),
      mappingFile: yield* rows.column(FIELD.mappingFile),
      buildId: yield* rows.column(FIELD.buildId),
      addressLow: yield* rows.column(FIELD.addressLow),
      addressHigh: yield* rows.column(FIELD.addressHigh),
      flags: new Uint8Array(yield* rows.column(FIELD.flags)),
    };
  }

  #string(text: string): number {
    let index = this.#stringIndex.get(text);
    if (index === undefined) {
      index = this.strings.push(text) - 1;
      this.#stringIndex.set(text, index);
    }
    return index;
  }

  #function(name: number, systemName: number, file: number, startLine: number): number {
    const { row } = this.#functions;
    row[0] = name;
    row[1] = systemName;
    row[2] = file;
    row[3] = startLine;
    return this.#functions.intern();
  }

  /** A frame without symbols is its build id (else its file) and its address. */
  #fileOf(file: number, buildId: number): number {
    if (buildId === 0) return file;
    const first = this.#fileOfBuild.get(buildId);
    if (first !== undefined) return first;
    this.#fileOfBuild.set(buildId, file);
    return file;
  }
}

/** Fields of a frame's row. */
const FIELD = {
  fn: 0,
  line: 1,
  column: 2,
  mappingFile: 3,
  buildId: 4,
  addressLow: 5,
  addressHigh: 6,
  flags: 7,
} as const;
