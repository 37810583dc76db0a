import type { ValueType } from '../columns.ts';
import { FIELD, KNOWN, TAG } from './fields.ts';
import type { PprofScan } from './scan.ts';
import type { PprofScratch } from './scratch.ts';
import { type Cursor, failString } from './wire.ts';

const SAMPLE_TYPE_TAG = 0x0a;
/** What an absent period type reads as. */
export const NO_VALUE_TYPE: ValueType = { type: '', unit: '' };
/** Slots of the memory for texts; a power of two. */
const TEXT_SLOTS = 64;
const TEXT_BYTES_MAX = 32;

/** Reads what a profile has once: its types, times and the string indices that are not kept. */
export class HeaderReader {
  readonly #scratch: PprofScratch;
  readonly #cursor: Cursor;
  readonly #nanos = new BigInt64Array(1);
  readonly #halves = new Int32Array(this.#nanos.buffer);
  #period = 0n;
  #periodLow = 0;
  #periodHigh = 0;
  /** Types and units seen before: the same dozen words come with every profile. */
  readonly #texts: string[] = Array.from({ length: TEXT_SLOTS }, () => '');
  /** The bytes of these texts. */
  readonly #textBytes = new Uint8Array(TEXT_SLOTS * TEXT_BYTES_MAX);
  /** The sample types of the profile before; never changed, as they were given out. */
  #types: readonly ValueType[] = [];
  /** Where the last sample type lies in the shortest form; -1 = it has another. */
  #lastTypeAt = -1;

  constructor(scratch: PprofScratch, cursor: Cursor) {
    this.#scratch = scratch;
    this.#cursor = cursor;
  }

  /** The int64 at an offset that the scan found; 0n where it found none. */
  int64(bytes: Uint8Array, at: number): bigint {
    if (at < 0) return 0n;
    this.#cursor.fastRead(bytes, at);
    return this.#big(this.#cursor.lo, this.#cursor.hi);
  }

  /** As {@link int64}, for what is nearly always as in the profile before. */
  period(bytes: Uint8Array, at: number): bigint {
    if (at < 0) return 0n;
    this.#cursor.fastRead(bytes, at);
    const { lo, hi } = this.#cursor;
    if (lo !== this.#periodLow || hi !== this.#periodHigh) {
      this.#periodLow = lo;
      this.#periodHigh = hi;
      this.#period = this.#big(lo, hi);
    }
    return this.#period;
  }

  #big(low: number, high: number): bigint {
    if (low === 0 && high === 0) return 0n;
    // Through memory: BigInt arithmetic would allocate three times.
    this.#halves[0] = low;
    this.#halves[1] = high;
    return this.#nanos[0] as bigint;
  }

  /** The value columns, in order. */
  sampleTypes(bytes: Uint8Array, scan: PprofScan): readonly ValueType[] {
    const cursor = this.#cursor;
    const to = scan.to[FIELD.sampleType] as number;
    const strings = scan.rows[FIELD.string] as number;
    const known = this.#types;
    let types: ValueType[] | undefined;
    let count = 0;
    this.#lastTypeAt = -1;
    for (let at = scan.from[FIELD.sampleType] as number; at < to;) {
      let read: ValueType;
      if (isShortValueType(bytes, at, to, strings, SAMPLE_TYPE_TAG)) {
        const type = this.#text(bytes, bytes[at + 3] as number);
        const unit = this.#text(bytes, bytes[at + 5] as number);
        this.#lastTypeAt = at;
        at += 6;
        const before = count < known.length ? known[count] : undefined;
        read =
          before !== undefined && before.type === type && before.unit === unit
            ? before
            : { type, unit };
      } else {
        const tag = cursor.tag(bytes, at, to);
        const next = cursor.behind(bytes, tag, cursor.at, to);
        const from = at;
        at = next;
        if (tag !== SAMPLE_TYPE_TAG) continue;
        read = this.#valueType(bytes, from, next, tag, scan);
        this.#lastTypeAt = -1;
      }
      // A new array only from the first difference on.
      if (types === undefined && read !== known[count]) types = known.slice(0, count);
      if (types !== undefined) types.push(read);
      count++;
    }
    if (types === undefined && count < known.length) types = known.slice(0, count);
    if (types !== undefined) this.#types = types;
    return this.#types;
  }

  /** The type of the period; empty texts if absent. To be called after {@link sampleTypes}. */
  periodType(bytes: Uint8Array, scan: PprofScan): ValueType {
    const { periodTypeFrom: from, periodTypeTo: to } = scan;
    if (to === 0) return NO_VALUE_TYPE;
    const strings = scan.rows[FIELD.string] as number;
    if (to - from === 6 && isShortValueType(bytes, from, to, strings, TAG.periodType)) {
      const last = this.#lastTypeAt;
      if (last >= 0 && bytes[last + 3] === bytes[from + 3] && bytes[last + 5] === bytes[from + 5]) {
        return this.#types[this.#types.length - 1] as ValueType;
      }
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
    const knownBytes = this.#textBytes;
    const from = slot * TEXT_BYTES_MAX;
    if (known.length === size) {
      let i = 0;
      while (i < size && knownBytes[from + i] === bytes[start + i]) i++;
      if (i === size) return known;
    }
    const text = textOf(bytes, start, end);
    // Only ASCII has as many characters as bytes, so the length of a text tells that of its bytes.
    if (text.length === size) {
      this.#texts[slot] = text;
      for (let i = 0; i < size; i++) knownBytes[from + i] = bytes[start + i] as number;
    }
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
