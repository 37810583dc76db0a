import { TephraError, type Reason } from '../../base/errors.ts';
import type { ProfileLimits } from '../limits.ts';
import { FIELD, FIELD_COUNT, KNOWN, TAG } from './fields.ts';
import { type Cursor, failWire } from './wire.ts';

const STRING_TAG = 0x32;
const SAMPLE_TAG = 0x12;
const SAMPLE_LOCATION = 0x08;
const SAMPLE_LOCATION_PACKED = 0x0a;

/**
 * The first pass over a pprof. It walks the fields of Profile without entering the messages, counts
 * the rows of each table and applies the limits, and allocates nothing: a small gzip that unfolds
 * into millions of empty messages is refused before any memory is taken for it. Only samples so
 * long that their stack may be too deep are entered.
 *
 * After {@link run}, all fields of Profile are known to lie inside the payload, and the second pass
 * walks each table between `from` and `to`, skipping what else lies there.
 */
export class PprofScan {
  readonly #limits: ProfileLimits;
  readonly #rowLimits: Int32Array;
  readonly #cursor: Cursor;

  /** Rows of each table, by field number; and the bytes of their messages. */
  readonly rows = new Int32Array(FIELD_COUNT);
  readonly bytesOf = new Int32Array(FIELD_COUNT);
  /** Where the first row begins and the last one ends. */
  readonly from = new Int32Array(FIELD_COUNT);
  readonly to = new Int32Array(FIELD_COUNT);

  periodTypeFrom = 0;
  periodTypeTo = 0;
  commentsFrom = 0;
  commentsTo = 0;
  /** Offset of the varint of the last occurrence; -1 = absent. */
  timeNanosAt = -1;
  durationNanosAt = -1;
  periodAt = -1;
  dropFramesAt = -1;
  keepFramesAt = -1;
  defaultSampleTypeAt = -1;
  docUrlAt = -1;

  constructor(limits: ProfileLimits, cursor: Cursor) {
    this.#limits = limits;
    this.#cursor = cursor;
    this.#rowLimits = new Int32Array(FIELD_COUNT);
    this.#rowLimits[FIELD.sampleType] = limits.sampleTypesPerProfileMax;
    this.#rowLimits[FIELD.sample] = limits.samplesPerProfileMax;
    this.#rowLimits[FIELD.mapping] = limits.mappingsPerProfileMax;
    this.#rowLimits[FIELD.location] = limits.locationsPerProfileMax;
    this.#rowLimits[FIELD.function] = limits.functionsPerProfileMax;
    this.#rowLimits[FIELD.string] = limits.stringsPerProfileMax;
  }

  /** Scans a whole profile. Throws `malformed_protobuf` or the reason of a limit. */
  run(bytes: Uint8Array): void {
    this.#reset();
    const cursor = this.#cursor;
    const end = bytes.byteLength;
    let at = 0;
    while (at < end) {
      let tag = bytes[at] as number;
      let behindTag = at + 1;
      if (tag >= 0x80) {
        tag = cursor.tag(bytes, at, end);
        behindTag = cursor.at;
      }
      at =
        (tag & 7) === 2 && tag <= STRING_TAG && tag > 7
          ? this.#table(bytes, tag, at, behindTag, end)
          : this.#scalar(bytes, tag, at, behindTag, end);
    }
  }

  #reset(): void {
    // Not `fill`: four calls out of compiled code are a tenth of a small profile.
    for (let field = 0; field < FIELD_COUNT; field++) {
      this.rows[field] = 0;
      this.bytesOf[field] = 0;
      this.from[field] = 0;
      this.to[field] = 0;
    }
    this.periodTypeFrom = this.periodTypeTo = 0;
    this.commentsFrom = this.commentsTo = 0;
    this.timeNanosAt = -1;
    this.durationNanosAt = -1;
    this.periodAt = -1;
    this.dropFramesAt = -1;
    this.keepFramesAt = -1;
    this.defaultSampleTypeAt = -1;
    this.docUrlAt = -1;
  }

  /**
   * A run of rows of one table: writers put them one after the other, and a loop without a choice
   * takes about a nanosecond a row. Returns the offset behind the run.
   */
  #table(bytes: Uint8Array, tag: number, start: number, behindTag: number, end: number): number {
    const cursor = this.#cursor;
    const field = tag >>> 3;
    const before = this.rows[field] as number;
    const rowsMax = this.#rowLimits[field] as number;
    let rows = before;
    let size = 0;
    let total = 0;
    let largest = 0;
    let at = behindTag;
    for (;;) {
      const sizeAt = at;
      if (at >= end) failWire(`truncated varint at byte ${at}`);
      size = bytes[at++] as number;
      if (size >= 0x80) {
        size = cursor.span(bytes, sizeAt, end) - cursor.at;
        at = cursor.at;
      }
      if (size > end - at) {
        failWire(`field ${field} length ${size} exceeds remaining ${end - at} at byte ${sizeAt}`);
      }
      at += size;
      total += size;
      if (size > largest) largest = size;
      if (++rows > rowsMax) failRows(field, rowsMax);
      if (at >= end || bytes[at] !== tag) break;
      at++;
    }
    if (before === 0) this.from[field] = start;
    this.rows[field] = rows;
    this.bytesOf[field] = (this.bytesOf[field] as number) + total;
    this.to[field] = at;
    if (field === FIELD.sample && largest > this.#limits.stackDepthMax) {
      this.#checkDepths(bytes, start, at, before);
    }
    return at;
  }

  /** A field of Profile that is no table; returns the offset behind it. */
  #scalar(bytes: Uint8Array, tag: number, start: number, at: number, end: number): number {
    const cursor = this.#cursor;
    switch (tag) {
      case TAG.timeNanos:
        this.timeNanosAt = at;
        break;
      case TAG.durationNanos:
        this.durationNanosAt = at;
        break;
      case TAG.period:
        this.periodAt = at;
        break;
      case TAG.dropFrames:
        this.dropFramesAt = at;
        break;
      case TAG.keepFrames:
        this.keepFramesAt = at;
        break;
      case TAG.defaultSampleType:
        this.defaultSampleTypeAt = at;
        break;
      case TAG.docUrl:
        this.docUrlAt = at;
        break;
      case TAG.comment:
      case TAG.commentPacked:
        if (this.commentsTo === 0) this.commentsFrom = start;
        this.commentsTo = cursor.behind(bytes, tag, at, end);
        return this.commentsTo;
      case TAG.periodType:
        if (this.periodTypeTo === 0) this.periodTypeFrom = start;
        this.periodTypeTo = cursor.span(bytes, at, end);
        return this.periodTypeTo;
      default:
        return cursor.skip(bytes, tag, at, end, KNOWN.profile);
    }
    cursor.varint(bytes, at, end);
    return cursor.at;
  }

  /** Depth of the long samples in a run that begins with sample `first`. */
  #checkDepths(bytes: Uint8Array, start: number, runEnd: number, first: number): void {
    const cursor = this.#cursor;
    const depthMax = this.#limits.stackDepthMax;
    let row = first;
    for (let at = start; at < runEnd; row++) {
      cursor.tag(bytes, at, runEnd);
      const end = cursor.span(bytes, cursor.at, runEnd);
      if (end - cursor.at > depthMax) {
        const depth = this.#depth(bytes, cursor.at, end);
        if (depth > depthMax) {
          throw new TephraError('stack_depth', `sample ${row}: ${depth} > ${depthMax}`);
        }
      }
      at = end;
    }
  }

  /** Location ids of a sample. */
  #depth(bytes: Uint8Array, start: number, end: number): number {
    const cursor = this.#cursor;
    let depth = 0;
    let at = start;
    while (at < end) {
      const tag = cursor.tag(bytes, at, end);
      const next = cursor.behind(bytes, tag, cursor.at, end);
      if (tag === SAMPLE_LOCATION) depth++;
      if (tag === SAMPLE_LOCATION_PACKED) depth += countVarints(bytes, cursor.at, next);
      at = next;
    }
    return depth;
  }

  /**
   * The first sample whose number of values is not that of the sample types; called before memory
   * is taken for values that cannot all be there.
   */
  findValueCount(bytes: Uint8Array): { row: number; found: number } | undefined {
    const cursor = this.#cursor;
    const to = this.to[FIELD.sample] as number;
    let row = 0;
    for (let at = this.from[FIELD.sample] as number; at < to;) {
      const tag = cursor.tag(bytes, at, to);
      const next = cursor.behind(bytes, tag, cursor.at, to);
      if (tag === SAMPLE_TAG) {
        const found = this.#values(bytes, cursor.at, next);
        if (found !== this.rows[FIELD.sampleType]) return { row, found };
        row++;
      }
      at = next;
    }
    return undefined;
  }

  #values(bytes: Uint8Array, start: number, end: number): number {
    const cursor = this.#cursor;
    let count = 0;
    for (let at = start; at < end;) {
      const tag = cursor.tag(bytes, at, end);
      const next = cursor.behind(bytes, tag, cursor.at, end);
      if (tag === 0x10) count++;
      if (tag === 0x12) count += countVarints(bytes, cursor.at, next);
      at = next;
    }
    return count;
  }
}

function countVarints(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) if ((bytes[at] as number) < 0x80) count++;
  return count;
}

const ROW_REASONS: Readonly<Record<number, Reason>> = {
  [FIELD.sampleType]: 'sample_types_limit',
  [FIELD.sample]: 'samples_limit',
  [FIELD.mapping]: 'mappings_limit',
  [FIELD.location]: 'locations_limit',
  [FIELD.function]: 'functions_limit',
  [FIELD.string]: 'strings_limit',
};

function failRows(field: number, limit: number): never {
  throw new TephraError(ROW_REASONS[field] ?? 'too_many_fields', `more than ${limit}`);
}
