import type { ValueType } from '../columns.ts';
import { FIELD, KNOWN, TAG } from './fields.ts';
import type { PprofScan } from './scan.ts';
import type { PprofScratch } from './scratch.ts';
import { type Cursor, failString } from './wire.ts';

const SAMPLE_TYPE_TAG = 0x0a;
const NO_VALUE_TYPE: ValueType = { type: '', unit: '' };
/** Slots of the memory for texts; a power of two. */
const TEXT_SLOTS = 64;
const TEXT_BYTES_MAX = 32;

/** Reads what a profile has once: its types, times and the string indices that are not kept. */
export class HeaderReader {
  readonly #scratch: PprofScratch;
  readonly #cursor: Cursor;
  readonly #nanos = new BigInt64Array(1);
  readonly #halves = new Int32Array(this.#nanos.buffer);
  /** Types and units seen before: the same dozen words come with every profile. */
  readonly #texts: string[] = Array.from({ length: TEXT_SLOTS }, () => '');

  constructor(scratch: PprofScratch, cursor: Cursor) {
    this.#scratch = scratch;
    this.#cursor = cursor;
  }

  /** The int64 at an offset that the scan found; 0n where it found none. */
  int64(bytes: Uint8Array, at: number): bigint {
    if (at < 0) return 0n;
    this.#cursor.fastRead(bytes, at);
    // Through memory: BigInt arithmetic would allocate three times.
    this.#halves[0] = this.#cursor.lo;
    this.#halves[1] = this.#cursor.hi;
    return this.#nanos[0] as bigint;
  }

  /** The value columns, in order. */
  sampleTypes(bytes: Uint8Array, scan: PprofScan): ValueType[] {
    const cursor = this.#cursor;
    const to = scan.to[FIELD.sampleType] as number;
    const strings = scan.rows[FIELD.string] as number;
    const types: ValueType[] = [];
    for (let at = scan.from[FIELD.sampleType] as number; at < to;) {
      if (isShortValueType(bytes, at, to, strings, SAMPLE_TYPE_TAG)) {
        const type = this.#text(bytes, bytes[at + 3] as number);
        types.push({ type, unit: this.#text(bytes, bytes[at + 5] as number) });
        at += 6;
        continue;
      }
      const tag = cursor.tag(bytes, at, to);
      const next = cursor.behind(bytes, tag, cursor.at, to);
      if (tag === SAMPLE_TYPE_TAG) types.push(this.#valueType(bytes, at, next, tag, scan));
      at = next;
    }
    return types;
  }

  /** The type of the period; empty texts if absent. */
  periodType(bytes: Uint8Array, scan: PprofScan): ValueType {
    const { periodTypeFrom: from, periodTypeTo: to } = scan;
    if (to === 0) return NO_VALUE_TYPE;
    const strings = scan.rows[FIELD.string] as number;
    if (to - from === 6 && isShortValueType(bytes, from, to, strings, TAG.periodType)) {
      const type = this.#text(bytes, bytes[from + 3] as number);
      return { type, unit: this.#text(bytes, bytes[from + 5] as number) };
    }
    return this.#valueType(bytes, from, to, TAG.periodType, scan);
  }

  /**
   * The ValueType of field `wanted` in `[from, to)`. A singular message that comes several times is
   * merged, as protobuf has it.
   */
  #valueType(
    bytes: Uint8Array,
    from: number,
    to: number,
    wanted: number,
    scan: PprofScan,
  ): ValueType {
    const cursor = this.#cursor;
    const strings = scan.rows[FIELD.string] as number;
    let type = 0;
    let unit = 0;
    for (let at = from; at < to;) {
      const tag = cursor.tag(bytes, at, to);
      const end = cursor.behind(bytes, tag, cursor.at, to);
      for (let field = tag === wanted ? cursor.at : end; field < end;) {
        const fieldTag = cursor.tag(bytes, field, end);
        field = cursor.at;
        if (fieldTag !== 0x08 && fieldTag !== 0x10) {
          field = cursor.skip(bytes, fieldTag, field, end, KNOWN.valueType);
          continue;
        }
        const value = cursor.int(bytes, field, end);
        if (value < 0 || value >= strings) {
          failString(
            bytes,
            field,
            strings,
            wanted === TAG.periodType ? 'period_type' : 'sample_type',
          );
        }
        if (fieldTag === 0x08) type = value;
        else unit = value;
        field = cursor.at;
      }
      at = end;
    }
    return { type: this.#text(bytes, type), unit: this.#text(bytes, unit) };
  }

  #text(bytes: Uint8Array, index: number): string {
    const start = this.#scratch.stringStart[index] as number;
    const end = this.#scratch.stringEnd[index] as number;
    const size = end - start;
    if (size === 0) return '';
    if (size > TEXT_BYTES_MAX) return textOf(bytes, start, end);
    const slot =
      (size + 5 * (bytes[start] as number) + 11 * (bytes[end - 1] as number)) & (TEXT_SLOTS - 1);
    const known = this.#texts[slot] as string;
    if (known.length === size) {
      let i = 0;
      while (i < size && known.charCodeAt(i) === bytes[start + i]) i++;
      // Only ASCII has as many characters as bytes, so this compares texts, not just bytes.
      if (i === size) return known;
    }
    const text = textOf(bytes, start, end);
    if (text.length === size) this.#texts[slot] = text;
    return text;
  }

  /** Checks the string indices of Profile that are not kept but must be right all the same. */
  checkStrings(bytes: Uint8Array, scan: PprofScan): void {
    const cursor = this.#cursor;
    const strings = scan.rows[FIELD.string] as number;
    this.#checkString(bytes, scan.dropFramesAt, strings, 'drop_frames');
    this.#checkString(bytes, scan.keepFramesAt, strings, 'keep_frames');
    this.#checkString(bytes, scan.defaultSampleTypeAt, strings, 'default_sample_type');
    this.#checkString(bytes, scan.docUrlAt, strings, 'doc_url');
    const to = scan.commentsTo;
    for (let at = scan.commentsFrom; at < to;) {
      const tag = cursor.tag(bytes, at, to);
      const valueAt = cursor.at;
      const next = cursor.behind(bytes, tag, valueAt, to);
      if (tag === TAG.comment) this.#checkString(bytes, valueAt, strings, 'comment');
      if (tag === TAG.commentPacked) {
        for (let value = cursor.at; value < next; value = cursor.at) {
          cursor.varint(bytes, value, next);
          const packedNext = cursor.at;
          this.#checkString(bytes, value, strings, 'comment');
          cursor.at = packedNext;
        }
      }
      at = next;
    }
  }

  #checkString(bytes: Uint8Array, at: number, strings: number, field: string): void {
    if (at < 0) return;
    const value = this.#cursor.fastInt(bytes, at);
    if (value < 0 || value >= strings) failString(bytes, at, strings, field);
  }
}

/** Whether at `at` lies `tag 04 08 type 10 unit`, as nearly all writers have it, with good indices. */
function isShortValueType(
  bytes: Uint8Array,
  at: number,
  to: number,
  strings: number,
  tag: number,
): boolean {
  const indicesEnd = Math.min(strings, 0x80);
  return (
    at + 6 <= to &&
    bytes[at] === tag &&
    bytes[at + 1] === 4 &&
    bytes[at + 2] === 0x08 &&
    (bytes[at + 3] as number) < indicesEnd &&
    bytes[at + 4] === 0x10 &&
    (bytes[at + 5] as number) < indicesEnd
  );
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
}
