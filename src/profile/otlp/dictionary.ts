import type { Steps } from '../../base/steps.ts';
import { cutText } from '../pprof/tables.ts';
import { failProfile } from '../pprof/wire.ts';
import { FieldWalk } from './field-walk.ts';
import type { OtlpLimits } from './limits.ts';
import type { OtlpScan } from './scan.ts';
import { checkIndex, StringTable } from './tables.ts';
import { OTHER, TEXT, ValueReader } from './value.ts';

const TWO_32 = 0x1_0000_0000;
/** Rows between two breaks. */
const ROWS_AT_ONCE = 4_096;

/** Keys that mean something here, by their numbers; the build ids of mappings, the best first. */
const KEYS = [
  '',
  'service.name',
  'process.executable.build_id.gnu',
  'process.executable.build_id.go',
  'process.executable.build_id.htlhash',
];

/** The key of the attribute by which a sample names its service. */
export const SERVICE_KEY = 1;
const BUILD_ID_FIRST = 2;
const BUILD_ID_LAST = 4;

/**
 * The tables of a request as columns; each has row 0, also where it did not come. All references between them
 * are checked. Strings are ranges of the request.
 */
export class OtlpDictionary {
  readonly bytes: Uint8Array;
  readonly strings: StringTable;

  /** String indices. */
  readonly functionName: Uint32Array;
  readonly functionSystemName: Uint32Array;
  readonly functionFile: Uint32Array;
  readonly functionStartLine: Float64Array;

  /** String indices: what identifies a mapping; 0 = not told. */
  readonly mappingFile: Uint32Array;
  readonly mappingBuildFrom: Uint32Array;
  readonly mappingBuildTo: Uint32Array;

  readonly locationMapping: Uint32Array;
  readonly locationAddressLow: Uint32Array;
  readonly locationAddressHigh: Uint32Array;
  /** CSR into the lines. */
  readonly locationLines: Uint32Array;
  readonly lineFunction: Uint32Array;
  readonly lineNumber: Float64Array;
  readonly lineColumn: Float64Array;

  /** CSR into `frames`, location indices, the leaf first. */
  readonly stackFrames: Uint32Array;
  readonly frames: Uint32Array;

  /** Offsets of the ids, 0 = none. */
  readonly linkTrace: Uint32Array;
  readonly linkSpan: Uint32Array;

  /** A number for each text of a key, 0 = empty. */
  readonly attributeKey: Uint32Array;
  /** String index of the key. */
  readonly attributeKeyString: Uint32Array;
  /** Bytes of the value where it is a text; equal where it is none. */
  readonly attributeFrom: Uint32Array;
  readonly attributeTo: Uint32Array;

  readonly #walk: FieldWalk;
  readonly #values: ValueReader;
  readonly #limits: OtlpLimits;
  readonly #spans: OtlpScan['dictionaries'];
  readonly #keys = new Map(KEYS.map((key, number) => [key, number]));
  /** The same by string index: texts may be long, and rows many. */
  readonly #keyOfString = new Map<number, number>();

  private constructor(bytes: Uint8Array, scan: OtlpScan, limits: OtlpLimits) {
    const column = (rows: number): Uint32Array => new Uint32Array(Math.max(1, rows));
    this.bytes = bytes;
    this.strings = new StringTable(scan.strings);
    this.functionName = column(scan.functions);
    this.functionSystemName = column(scan.functions);
    this.functionFile = column(scan.functions);
    this.functionStartLine = new Float64Array(Math.max(1, scan.functions));
    this.mappingFile = column(scan.mappings);
    this.mappingBuildFrom = column(scan.mappings);
    this.mappingBuildTo = column(scan.mappings);
    this.locationMapping = column(scan.locations);
    this.locationAddressLow = column(scan.locations);
    this.locationAddressHigh = column(scan.locations);
    this.locationLines = new Uint32Array(Math.max(1, scan.locations) + 1);
    this.lineFunction = column(scan.lines);
    this.lineNumber = new Float64Array(Math.max(1, scan.lines));
    this.lineColumn = new Float64Array(Math.max(1, scan.lines));
    this.stackFrames = new Uint32Array(Math.max(1, scan.stacks) + 1);
    this.frames = column(scan.frames);
    this.linkTrace = column(scan.links);
    this.linkSpan = column(scan.links);
    this.attributeKey = column(scan.attributes);
    this.attributeKeyString = column(scan.attributes);
    this.attributeFrom = column(scan.attributes);
    this.attributeTo = column(scan.attributes);
    this.#walk = new FieldWalk(Number.POSITIVE_INFINITY);
    this.#values = new ValueReader(Number.POSITIVE_INFINITY);
    this.#limits = limits;
    this.#spans = scan.dictionaries;
  }

  /** Reads the tables of a request that was scanned. Throws `malformed_profile`. */
  static *read(bytes: Uint8Array, scan: OtlpScan, limits: OtlpLimits): Steps<OtlpDictionary> {
    const read = new OtlpDictionary(bytes, scan, limits);
    // Strings first, which all others refer to; then the attributes, for the mappings.
    yield* read.#rows(5, read.#string);
    if (!read.strings.isEmpty(0)) failProfile('string_table[0] must be ""');
    yield* read.#rows(6, read.#attribute);
    yield* read.#rows(3, read.#function);
    yield* read.#rows(1, read.#mapping);
    yield* read.#rows(2, read.#location);
    yield* read.#rows(7, read.#stack);
    yield* read.#rows(4, read.#link);
    return read;
  }

  /** The text of a string. */
  text(index: number): string {
    return textOf(
      this.bytes,
      this.strings.start[index] as number,
      this.strings.end[index] as number,
    );
  }

  *#rows(table: number, read: (row: number, from: number, to: number) => void): Steps<void> {
    const walk = this.#walk;
    let row = 0;
    let seen = 0;
    for (const { from: start, to: end } of this.#spans) {
      for (let at = start; at < end;) {
        walk.open(this.bytes, at, end);
        const { no, from, to } = walk;
        at = to;
        if (no === table) read.call(this, row++, from, to);
        if (++seen % ROWS_AT_ONCE === 0) yield;
      }
    }
  }

  #string(row: number, from: number, to: number): void {
    this.strings.start[row] = from;
    this.strings.end[row] = this.#cut(from, to);
  }

  /** The end of a text, or of what is kept of it. */
  #cut(from: number, to: number): number {
    const { stringBytesKept } = this.#limits;
    return to - from > stringBytesKept ? cutText(this.bytes, from, from + stringBytesKept) : to;
  }

  #function(row: number, start: number, end: number): void {
    const walk = this.#walk;
    for (let at = start; at < end; at = walk.to) {
      walk.open(this.bytes, at, end);
      if (walk.no === 1) this.functionName[row] = this.#stringIndex('function name');
      else if (walk.no === 2) this.functionSystemName[row] = this.#stringIndex('system name');
      else if (walk.no === 3) this.functionFile[row] = this.#stringIndex('function file');
      else if (walk.no === 4) this.functionStartLine[row] = this.#lineOf();
    }
    // A function that has only one of its names.
    if (this.strings.isEmpty(this.functionName[row] as number)) {
      this.functionName[row] = this.functionSystemName[row] as number;
    }
  }

  #mapping(row: number, start: number, end: number): void {
    const walk = this.#walk;
    const { cursor } = walk;
    let best = BUILD_ID_LAST + 1;
    for (let at = start; at < end;) {
      walk.open(this.bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no === 4) this.mappingFile[row] = this.#stringIndex('mapping file');
      if (no !== 5) continue;
      for (let next = from; next < to; next = cursor.at) {
        const index = this.#listed(next, this.attributeKey.length, 'mapping attribute');
        const key = this.attributeKey[index] as number;
        if (key < BUILD_ID_FIRST || key >= best) continue;
        best = key;
        this.mappingBuildFrom[row] = this.attributeFrom[index] as number;
        this.mappingBuildTo[row] = this.attributeTo[index] as number;
      }
    }
  }

  #location(row: number, start: number, end: number): void {
    const walk = this.#walk;
    const { cursor } = walk;
    let line = this.locationLines[row] as number;
    for (let at = start; at < end;) {
      walk.open(this.bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no === 1) {
        this.locationMapping[row] = this.#index(this.mappingFile.length, 'location mapping');
      } else if (no === 2) {
        cursor.fastRead(this.bytes, from);
        this.locationAddressLow[row] = cursor.lo;
        this.locationAddressHigh[row] = cursor.hi;
      } else if (no === 3) this.#line(line++, from, to);
      else if (no === 4) {
        for (let next = from; next < to; next = cursor.at) {
          this.#listed(next, this.attributeKey.length, 'location attribute');
        }
      }
    }
    this.locationLines[row + 1] = line;
  }

  #line(row: number, start: number, end: number): void {
    const walk = this.#walk;
    for (let at = start; at < end; at = walk.to) {
      walk.open(this.bytes, at, end);
      if (walk.no === 1) {
        this.lineFunction[row] = this.#index(this.functionName.length, 'line function');
      } else if (walk.no === 2) this.lineNumber[row] = this.#lineOf();
      else if (walk.no === 3) this.lineColumn[row] = this.#lineOf();
    }
  }

  #stack(row: number, start: number, end: number): void {
    const walk = this.#walk;
    const { cursor } = walk;
    const locations = this.locationMapping.length;
    let frame = this.stackFrames[row] as number;
    for (let at = start; at < end;) {
      walk.open(this.bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no !== 1) continue;
      for (let next = from; next < to; next = cursor.at) {
        this.frames[frame++] = this.#listed(next, locations, 'stack location');
      }
    }
    this.stackFrames[row + 1] = frame;
  }

  #link(row: number, start: number, end: number): void {
    const walk = this.#walk;
    for (let at = start; at < end; at = walk.to) {
      walk.open(this.bytes, at, end);
      if (walk.no === 1) this.linkTrace[row] = this.#id(row, 16);
      else if (walk.no === 2) this.linkSpan[row] = this.#id(row, 8);
    }
  }

  /** Offset of an id; 0 if it is empty or zero. */
  #id(row: number, size: number): number {
    const { from, to } = this.#walk;
    if (to - from !== size && to !== from) {
      failProfile(`link ${row}: an id of ${to - from} bytes, expected ${size}`);
    }
    return isZero(this.bytes, from, to) ? 0 : from;
  }

  #attribute(row: number, start: number, end: number): void {
    const walk = this.#walk;
    const values = this.#values;
    let key = 0;
    let kind = OTHER;
    for (let at = start; at < end;) {
      walk.open(this.bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no === 1) key = this.#stringIndex('attribute key');
      else if (no === 2) {
        values.read(this.bytes, from, to, this.strings);
        ({ kind } = values);
        this.attributeFrom[row] = kind === TEXT ? values.from : 0;
        this.attributeTo[row] = kind === TEXT ? this.#cut(values.from, values.to) : 0;
      } else if (no === 3) this.#stringIndex('attribute unit');
    }
    this.attributeKeyString[row] = key;
    this.attributeKey[row] = this.#keyOf(key);
  }

  #keyOf(string: number): number {
    let key = this.#keyOfString.get(string);
    if (key === undefined) {
      const text = this.text(string);
      key = this.#keys.get(text) ?? this.#keys.size;
      this.#keys.set(text, key);
      this.#keyOfString.set(string, key);
    }
    return key;
  }

  /** Number of the field that was opened last, where it is a line or a column. */
  #lineOf(): number {
    const { cursor, from } = this.#walk;
    cursor.fastRead(this.bytes, from);
    const value = cursor.hi * TWO_32 + (cursor.lo >>> 0);
    return value > 0 && Number.isSafeInteger(value) ? value : 0;
  }

  #stringIndex(what: string): number {
    return this.#index(this.strings.start.length, what);
  }

  #index(rows: number, what: string): number {
    const walk = this.#walk;
    return checkIndex(this.bytes, walk.int(this.bytes), walk.from, rows, what);
  }

  /** The index at `at` in a list; the cursor is behind it. */
  #listed(at: number, rows: number, what: string): number {
    return checkIndex(this.bytes, this.#walk.cursor.fastInt(this.bytes, at), at, rows, what);
  }
}

/** Text of a range of bytes; invalid UTF-8 becomes U+FFFD. */
export function textOf(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8');
}

/** Whether a range holds nothing but zeros. */
export function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}
