import { LIMITS } from '../../base/limits.ts';
import { Cursor } from '../pprof/wire.ts';
import type { Label } from '../labels.ts';
import { DELIMITED, VARINT } from '../../base/wire-types.ts';
import { IntColumn, once, readInts } from './columns.ts';
import { FieldError } from './field-error.ts';

/** Fields of `tephra.v1.StreamAdditions`. */
const FIRST_STRING = 1;
const STRINGS = 2;
const FIRST_FRAME = 3;
const FRAMES = 4;
const FIRST_STACK = 5;
const STACK_PARENT = 6;
const STACK_FRAME = 7;
const FIRST_SERIES = 8;
const SERIES = 9;
const KNOWN = 0b11_1111_1110;

/** Columns of `StreamFrames`, by field number less one; the address has two. */
export const FRAME_COLUMNS = [
  'function',
  'file',
  'line',
  'system_name',
  'start_line',
  'column',
  'mapping_file',
  'build_id',
  'address',
  'inlined',
] as const;
/** Index of the address in {@link FRAME_COLUMNS}. */
export const ADDRESS = 8;
const FRAME_KNOWN = 0b111_1111_1110;

/** A type as it was sent. */
export interface SentType {
  readonly profileType: string;
  readonly period: bigint;
}

/** A row of series as it was sent. */
export interface SentSeries {
  readonly labels: readonly Label[];
  readonly types: readonly SentType[];
}

/** Reads the additions of a batch; the next batch uses the columns again. Nothing is checked by content. */
export class AdditionsReader {
  firstString = 0;
  firstFrame = 0;
  firstStack = 0;
  firstSeries = 0;
  /** Ranges of the strings. */
  readonly stringAt = new IntColumn();
  readonly stringEnd = new IntColumn();
  readonly frames: readonly IntColumn[] = FRAME_COLUMNS.map(() => new IntColumn());
  /** High halves of the addresses; `frames[ADDRESS]` has the low ones. */
  readonly addressHigh = new IntColumn();
  readonly stackParent = new IntColumn();
  readonly stackFrame = new IntColumn();
  readonly series: SentSeries[] = [];
  readonly #cursor = new Cursor(LIMITS.unknownFieldsMax);

  /** Frames: `function` has a row for each. */
  get frameCount(): number {
    return this.frames[0]?.length ?? 0;
  }

  /** Empties it: a batch without additions. */
  clear(): void {
    this.#cursor.unknown = 0;
    this.firstString = 0;
    this.firstFrame = 0;
    this.firstStack = 0;
    this.firstSeries = 0;
    for (const column of [this.stringAt, this.stringEnd, ...this.frames]) column.length = 0;
    this.addressHigh.length = 0;
    this.stackParent.length = 0;
    this.stackFrame.length = 0;
    this.series.length = 0;
  }

  /** Reads `bytes[from, end)`. Throws `malformed_protobuf`, `too_many_fields`, `malformed_batch`. */
  read(bytes: Uint8Array, from: number, end: number): void {
    this.clear();
    const cursor = this.#cursor;
    let hasFrames = false;
    for (let at = from; at < end;) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.at;
      const field = tag >>> 3;
      const isColumn = field === STACK_PARENT || field === STACK_FRAME;
      if (
        (tag & 7) === DELIMITED &&
        (isColumn || field === STRINGS || field === FRAMES || field === SERIES)
      ) {
        const to = cursor.span(bytes, at, end);
        at = cursor.at;
        if (field === STRINGS) {
          this.stringAt.push(at);
          this.stringEnd.push(to);
        } else if (field === FRAMES) {
          once(hasFrames, 'additions.frames', at);
          hasFrames = true;
          this.#readFrames(bytes, at, to);
        } else if (field === SERIES) {
          this.series.push(this.#readSeries(bytes, at, to));
        } else {
          this.#readColumn(bytes, at, to, field);
        }
        at = to;
      } else if ((tag & 7) === VARINT && (isColumn || FIRSTS.has(field))) {
        cursor.varint(bytes, at, end);
        const to = cursor.at;
        if (isColumn) this.#readColumn(bytes, at, to, field);
        else this.#first(field, cursor.hi === 0 ? cursor.lo >>> 0 : 0xffff_ffff);
        at = to;
      } else {
        at = cursor.skip(bytes, tag, at, end, KNOWN);
      }
    }
  }

  #first(field: number, id: number): void {
    if (field === FIRST_STRING) this.firstString = id;
    else if (field === FIRST_FRAME) this.firstFrame = id;
    else if (field === FIRST_STACK) this.firstStack = id;
    else this.firstSeries = id;
  }

  #readColumn(bytes: Uint8Array, at: number, to: number, field: number): void {
    const [column, name] =
      field === STACK_PARENT
        ? [this.stackParent, 'stack_parent']
        : [this.stackFrame, 'stack_frame'];
    readInts(bytes, at, to, column, this.#cursor, overflow(`additions.${name}`));
  }

  #readFrames(bytes: Uint8Array, from: number, end: number): void {
    const cursor = this.#cursor;
    for (let at = from; at < end;) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.at;
      const index = (tag >>> 3) - 1;
      const column = this.frames[index];
      const wireType = tag & 7;
      if (column === undefined || (wireType !== DELIMITED && wireType !== VARINT)) {
        at = cursor.skip(bytes, tag, at, end, FRAME_KNOWN);
        continue;
      }
      let to: number;
      if (wireType === DELIMITED) {
        to = cursor.span(bytes, at, end);
        at = cursor.at;
      } else {
        cursor.varint(bytes, at, end);
        to = cursor.at;
      }
      if (index === ADDRESS) this.#readAddresses(bytes, at, to);
      else {
        const name = `additions.frames.${FRAME_COLUMNS[index]}`;
        readInts(bytes, at, to, column, cursor, overflow(name));
      }
      at = to;
    }
  }

  #readAddresses(bytes: Uint8Array, from: number, end: number): void {
    const cursor = this.#cursor;
    for (let at = from; at < end; at = cursor.at) {
      cursor.varint(bytes, at, end);
      this.frames[ADDRESS]?.push(cursor.lo);
      this.addressHigh.push(cursor.hi);
    }
  }

  #readSeries(bytes: Uint8Array, from: number, end: number): SentSeries {
    const cursor = this.#cursor;
    const labels: Label[] = [];
    const types: SentType[] = [];
    for (let at = from; at < end;) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.at;
      if (tag !== ((1 << 3) | DELIMITED) && tag !== ((2 << 3) | DELIMITED)) {
        at = cursor.skip(bytes, tag, at, end, 0b110);
        continue;
      }
      const to = cursor.span(bytes, at, end);
      const { texts, number } = this.#readPair(bytes, cursor.at, to);
      if (tag >>> 3 === 1) labels.push([texts[0] as string, texts[1] as string]);
      else types.push({ profileType: texts[0] as string, period: number });
      at = to;
    }
    return { labels, types };
  }

  /** A message of texts in fields 1 and 2, or a number in field 2. */
  #readPair(
    bytes: Uint8Array,
    from: number,
    end: number,
  ): { readonly texts: readonly string[]; readonly number: bigint } {
    const cursor = this.#cursor;
    const texts = ['', ''];
    let number = 0n;
    for (let at = from; at < end;) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.at;
      const field = tag >>> 3;
      if ((tag & 7) === DELIMITED && (field === 1 || field === 2)) {
        const to = cursor.span(bytes, at, end);
        texts[field - 1] = textOf(bytes, cursor.at, to, `additions.series[${this.series.length}]`);
        at = to;
      } else if (tag === ((2 << 3) | VARINT)) {
        cursor.varint(bytes, at, end);
        number = BigInt.asUintN(64, cursor.big());
        at = cursor.at;
      } else {
        at = cursor.skip(bytes, tag, at, end, 0b110);
      }
    }
    return { texts, number };
  }
}

const FIRSTS = new Set([FIRST_STRING, FIRST_FRAME, FIRST_STACK, FIRST_SERIES]);

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text in `bytes[start, end)`. Throws `invalid_utf8`. */
export function textOf(bytes: Uint8Array, start: number, end: number, field: string): string {
  try {
    return DECODER.decode(bytes.subarray(start, end));
  } catch {
    throw new FieldError('invalid_utf8', field, 'not UTF-8');
  }
}

function overflow(name: string): (row: number) => never {
  return (row) => {
    throw new FieldError('malformed_batch', `${name}[${row}]`, 'expected a number below 2^32');
  };
}
