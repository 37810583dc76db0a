import { LIMITS } from '../../base/limits.ts';
import { DELIMITED, VARINT } from '../../base/wire-types.ts';
import { Cursor, failWire } from '../pprof/wire.ts';
import { IntColumn, once, readDeltas, readInts, ValueRows } from './columns.ts';
import { FieldError } from './field-error.ts';

/** Fields of `tephra.v1.StreamRequest`. */
const OPEN = 1;
const BATCH = 2;
/** Fields of `StreamBatch`. */
const SEQUENCE = 1;
const EPOCH = 2;
const ADDITIONS = 3;
const PARTS = 4;

/** Sequences are below this: they share 60 bits with the number of a part. */
export const SEQUENCE_END = 2 ** 48;

/** What `bytes` of a request are: by the tag of the field that it holds. */
export function requestKind(bytes: Uint8Array): 'open' | 'batch' | 'unknown' {
  if (bytes[0] === ((OPEN << 3) | DELIMITED)) return 'open';
  return bytes[0] === ((BATCH << 3) | DELIMITED) ? 'batch' : 'unknown';
}

/**
 * Reads the outline of a request with a batch: numbers, and where additions and parts lie. One object
 * serves a thread for life; nothing is allocated for a batch.
 */
export class BatchReader {
  sequence = 0;
  epoch = 0;
  /** Range of the additions; empty if there are none. */
  additionsAt = 0;
  additionsEnd = 0;
  readonly partAt = new IntColumn();
  readonly partEnd = new IntColumn();
  readonly #cursor = new Cursor(LIMITS.unknownFieldsMax);

  /**
   * Reads the request `bytes[from, end)`. Throws `malformed_protobuf`, `too_many_fields`, `stream_order`,
   * `stream_limit`.
   */
  read(bytes: Uint8Array, from = 0, end = bytes.byteLength): void {
    const cursor = this.#cursor;
    cursor.unknown = 0;
    const tag = end === from ? 0 : cursor.tag(bytes, from, end);
    if (tag === ((OPEN << 3) | DELIMITED)) {
      throw new FieldError('stream_order', 'open', 'only the first message opens a stream');
    }
    if (tag !== ((BATCH << 3) | DELIMITED)) failWire('the message holds no batch');
    const to = cursor.span(bytes, cursor.at, end);
    if (to !== end) failWire(`${end - to} bytes behind the batch`);
    this.#readBatch(bytes, cursor.at, end);
  }

  #readBatch(bytes: Uint8Array, from: number, end: number): void {
    const cursor = this.#cursor;
    this.sequence = 0;
    this.epoch = 0;
    this.additionsAt = 0;
    this.additionsEnd = 0;
    this.partAt.length = 0;
    this.partEnd.length = 0;
    for (let at = from; at < end;) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.at;
      switch (tag) {
        case (SEQUENCE << 3) | VARINT:
          cursor.varint(bytes, at, end);
          this.sequence = cursor.signed();
          at = cursor.at;
          break;
        case (EPOCH << 3) | VARINT:
          cursor.varint(bytes, at, end);
          this.epoch = cursor.hi === 0 ? cursor.lo >>> 0 : 0;
          at = cursor.at;
          break;
        case (ADDITIONS << 3) | DELIMITED: {
          once(this.additionsAt !== 0, 'additions', at);
          const to = cursor.span(bytes, at, end);
          this.additionsAt = cursor.at;
          this.additionsEnd = to;
          at = to;
          break;
        }
        case (PARTS << 3) | DELIMITED: {
          const to = cursor.span(bytes, at, end);
          this.partAt.push(cursor.at);
          this.partEnd.push(to);
          at = to;
          break;
        }
        default:
          at = cursor.skip(bytes, tag, at, end, 0b11110);
      }
    }
    if (!(this.sequence > 0 && this.sequence < SEQUENCE_END)) {
      throw new FieldError('stream_order', 'sequence', 'expected a number from 1 to 2^48 - 1');
    }
    if (this.epoch === 0) {
      throw new FieldError('stream_order', 'epoch', 'expected a number above 0');
    }
  }
}

/** Fields of `StreamPart`. */
const SERIES = 1;
const START_MS = 2;
const DURATION_MS = 3;
const STACK_DELTA = 4;
const VALUES = 5;
const TYPE_COLUMN = 6;
const TYPE_SCALE = 7;
const PROFILE_ID = 8;
const LABEL_NAME = 9;
const LABEL_VALUE = 10;
const SPANS = 11;
const KNOWN = 0b1111_1111_1110;

/** A run of entries of one span. */
export interface SpanRun {
  /** 16 hex digits, or ''. */
  readonly spanId: string;
  /** 32 hex digits, or ''. */
  readonly traceId: string;
  readonly entries: number;
}

/** Reads one part into columns; the next part uses them again. Labels and spans are rare: objects. */
export class PartReader {
  series = 0;
  startMs = 0;
  durationMs = 0;
  profileId = '';
  /** Ids of stacks, not checked yet. */
  readonly stacks = new IntColumn();
  readonly values = new ValueRows();
  readonly typeColumn = new IntColumn();
  /** 0 = the server looks for a divisor. */
  readonly typeScale: bigint[] = [];
  readonly labelName = new IntColumn();
  readonly labelValue = new IntColumn();
  readonly spans: SpanRun[] = [];
  /** As in `parts[2]`. */
  #where = '';
  readonly #cursor = new Cursor(LIMITS.unknownFieldsMax);

  /**
   * Reads part `index` of a batch, `bytes[from, end)`. Throws `malformed_protobuf`, `too_many_fields`,
   * `malformed_batch`, `invalid_utf8`.
   */
  read(bytes: Uint8Array, from: number, end: number, index: number): void {
    const cursor = this.#cursor;
    this.#clear(index);
    for (let at = from; at < end;) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.at;
      const field = tag >>> 3;
      const wireType = tag & 7;
      let to: number;
      if (wireType === DELIMITED && field >= STACK_DELTA && field <= SPANS) {
        to = cursor.span(bytes, at, end);
        at = cursor.at;
      } else if (wireType === VARINT && field >= SERIES && field <= LABEL_VALUE) {
        cursor.varint(bytes, at, end);
        to = cursor.at;
      } else {
        at = cursor.skip(bytes, tag, at, end, KNOWN);
        continue;
      }
      this.#field(bytes, tag, at, to);
      at = to;
    }
  }

  /**
   * `start_ms` of the part in `bytes[from, end)`, the last one as in {@link read}; 0 if it has none. Throws
   * `malformed_protobuf`.
   */
  peekStart(bytes: Uint8Array, from: number, end: number): number {
    const cursor = this.#cursor;
    let startMs = 0;
    for (let at = from; at < end;) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.behind(bytes, tag, cursor.at, end);
      if (tag === ((START_MS << 3) | VARINT)) startMs = cursor.signed();
    }
    return startMs;
  }

  /** `parts[2].<name>`. */
  field(name: string): string {
    return `${this.#where}.${name}`;
  }

  #clear(index: number): void {
    this.#cursor.unknown = 0;
    this.#where = `parts[${index}]`;
    this.series = 0;
    this.startMs = 0;
    this.durationMs = 0;
    this.profileId = '';
    this.stacks.length = 0;
    this.values.clear();
    this.typeColumn.length = 0;
    this.typeScale.length = 0;
    this.labelName.length = 0;
    this.labelValue.length = 0;
    this.spans.length = 0;
  }

  /** A number, or all numbers of a packed field, or a text: `bytes[at, to)`. */
  #field(bytes: Uint8Array, tag: number, at: number, to: number): void {
    const cursor = this.#cursor;
    const isPacked = (tag & 7) === DELIMITED;
    switch (tag >>> 3) {
      case SERIES:
        this.series = cursor.hi === 0 ? cursor.lo >>> 0 : 0;
        break;
      case START_MS:
        this.startMs = cursor.signed();
        break;
      case DURATION_MS:
        if (cursor.hi !== 0) this.#fail('duration_ms', 'expected a number below 2^32');
        this.durationMs = cursor.lo >>> 0;
        break;
      case STACK_DELTA:
        readDeltas(bytes, at, to, this.stacks, cursor);
        break;
      case VALUES:
        this.values.read(bytes, at, to, cursor, this.#valueOverflow);
        break;
      case TYPE_COLUMN:
        readInts(bytes, at, to, this.typeColumn, cursor, this.#overflow('type_column'));
        break;
      case TYPE_SCALE:
        for (let next = at; next < to; next = cursor.at) {
          cursor.varint(bytes, next, to);
          this.typeScale.push(BigInt.asUintN(64, cursor.big()));
        }
        break;
      case PROFILE_ID:
        if (!isPacked) failWire(`profile_id must be text, before byte ${at}`);
        this.profileId = this.#text(bytes, at, to);
        break;
      case LABEL_NAME:
        readInts(bytes, at, to, this.labelName, cursor, this.#overflow('label_name'));
        break;
      case LABEL_VALUE:
        readInts(bytes, at, to, this.labelValue, cursor, this.#overflow('label_value'));
        break;
      default:
        this.spans.push(this.#span(bytes, at, to));
    }
  }

  #text(bytes: Uint8Array, at: number, to: number): string {
    if (to - at > LIMITS.streamProfileIdBytesMax) {
      this.#fail('profile_id', `${to - at} bytes > ${LIMITS.streamProfileIdBytesMax}`);
    }
    try {
      return DECODER.decode(bytes.subarray(at, to));
    } catch {
      throw new FieldError('invalid_utf8', this.field('profile_id'), 'not UTF-8');
    }
  }

  #span(bytes: Uint8Array, from: number, end: number): SpanRun {
    const cursor = this.#cursor;
    const ids = ['', ''];
    let entries = 0;
    for (let at = from; at < end;) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.at;
      const field = tag >>> 3;
      if ((tag & 7) === DELIMITED && (field === 1 || field === 2)) {
        const to = cursor.span(bytes, at, end);
        const size = to - cursor.at;
        const wanted = 8 * field;
        if (size !== 0 && size !== wanted) {
          const name = field === 1 ? 'span_id' : 'trace_id';
          this.#fail(`spans[${this.spans.length}].${name}`, `${size} bytes: expected ${wanted}`);
        }
        const id = Buffer.from(bytes.buffer, bytes.byteOffset + cursor.at, size).toString('hex');
        // All zeros is no id in OpenTelemetry.
        ids[field - 1] = /^0*$/.test(id) ? '' : id;
        at = to;
      } else if (tag === ((3 << 3) | VARINT)) {
        cursor.varint(bytes, at, end);
        entries = cursor.hi === 0 ? cursor.lo >>> 0 : 0xffff_ffff;
        at = cursor.at;
      } else {
        at = cursor.skip(bytes, tag, at, end, 0b1110);
      }
    }
    return { spanId: ids[0] as string, traceId: ids[1] as string, entries };
  }

  #fail(name: string, text: string): never {
    throw new FieldError('malformed_batch', this.field(name), text);
  }

  readonly #valueOverflow = (row: number): never =>
    this.#fail(`values[${row}]`, 'expected a number below 2^63');

  #overflow(name: string): (row: number) => never {
    return (row) => this.#fail(`${name}[${row}]`, 'expected a number below 2^32');
  }
}

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
