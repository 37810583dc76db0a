import { isUtf8 } from 'node:buffer';
import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { Cursor, failWire } from '../../profile/pprof/wire.ts';
import { DELIMITED, FIXED_32, FIXED_64, VARINT } from '../../base/wire-types.ts';

/**
 * Walks a binary request before it is decoded, and allocates nothing for what it finds: a few bytes of
 * protobuf can say so many empty messages that decoding them would take gigabytes. It is also stricter
 * than the decoder, which reads a field whatever its wire type is. Throws `malformed_protobuf`,
 * `too_many_fields`, and `invalid_utf8` with the path of the field.
 */
export function scanMessage(desc: DescMessage, bytes: Uint8Array): void {
  new MessageScan(bytes).walk(desc, 0, bytes.byteLength, 0);
}

/** What the scan has to know of a field. */
interface FieldRow {
  readonly name: string;
  readonly repeated: boolean;
  readonly wireType: number;
  /** A list of numbers, which may come as one field. */
  readonly packable: boolean;
  readonly text: boolean;
  readonly message: DescMessage | undefined;
}

type FieldTable = ReadonlyMap<number, FieldRow>;

/** A field of a message that the scan is inside of. */
interface Step {
  table: FieldTable;
  number: number;
  /** Where the message begins, and where in it the field's tag does. */
  from: number;
  at: number;
}

const LEGAL = new Set([VARINT, FIXED_64, DELIMITED, FIXED_32]);

class MessageScan {
  readonly #bytes: Uint8Array;
  readonly #cursor = new Cursor(LIMITS.unknownFieldsMax);
  /** By depth; used again for every message of that depth. */
  readonly #steps: Step[] = [];
  #fields = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  walk(desc: DescMessage, from: number, end: number, depth: number): void {
    const table = tableOf(desc);
    const step = (this.#steps[depth] ??= { table, number: 0, from, at: from });
    step.table = table;
    step.from = from;
    const cursor = this.#cursor;
    const bytes = this.#bytes;
    let at = from;
    while (at < end) {
      const tag = cursor.tag(bytes, at, end);
      const valueAt = cursor.at;
      const wireType = tag & 7;
      step.number = tag >>> 3;
      step.at = at;
      const row = table.get(step.number);
      // Groups and what is no wire type at all are told by `skip`.
      if (row === undefined || !LEGAL.has(wireType)) {
        at = cursor.skip(bytes, tag, valueAt, end, 0);
        continue;
      }
      const packed = row.packable && wireType === DELIMITED;
      if (wireType !== row.wireType && !packed) {
        failWire(
          `${this.#path(depth)} must not have wire type ${wireType}, before byte ${valueAt}`,
        );
      }
      at = cursor.behind(bytes, tag, valueAt, end);
      this.#count(packed ? at - valueAt : 1);
      if (row.message === undefined && !row.text) continue;
      // After a field with a length, the cursor is behind the length.
      const contentAt = cursor.at;
      if (row.message !== undefined) this.walk(row.message, contentAt, at, depth + 1);
      else if (!isUtf8(bytes.subarray(contentAt, at))) {
        throw new TephraError('invalid_utf8', this.#path(depth));
      }
    }
  }

  #count(fields: number): void {
    this.#fields += fields;
    if (this.#fields > LIMITS.requestFieldsMax) {
      throw new TephraError('too_many_fields', `more than ${LIMITS.requestFieldsMax} fields`);
    }
  }

  /** Where the scan is, for messages: `series[0].labels[3].name`. */
  #path(depth: number): string {
    const names: string[] = [];
    for (const step of this.#steps.slice(0, depth + 1)) {
      const { name = '', repeated = false } = step.table.get(step.number) ?? {};
      names.push(repeated ? `${name}[${this.#indexOf(step)}]` : name);
    }
    return names.join('.');
  }

  /** How many fields of this number the message has before this one. */
  #indexOf(step: Step): number {
    const cursor = new Cursor(Number.POSITIVE_INFINITY);
    let count = 0;
    for (let at = step.from; at < step.at;) {
      const tag = cursor.tag(this.#bytes, at, step.at);
      if (tag >>> 3 === step.number) count++;
      at = cursor.behind(this.#bytes, tag, cursor.at, step.at);
    }
    return count;
  }
}

/** Tables of the messages that were scanned so far. */
const tables = new WeakMap<DescMessage, FieldTable>();

function tableOf(desc: DescMessage): FieldTable {
  let table = tables.get(desc);
  if (table === undefined) {
    table = new Map(desc.fields.map((field) => [field.number, rowOf(field)]));
    tables.set(desc, table);
  }
  return table;
}

function rowOf(field: DescField): FieldRow {
  const repeated = field.fieldKind === 'list';
  // A map is a list of messages whose fields the decoder checks by itself; no request has one.
  const wireType = field.scalar === undefined ? wireTypeOfKind(field) : WIRE_TYPES[field.scalar];
  return {
    name: field.name,
    repeated,
    wireType,
    packable: repeated && wireType !== DELIMITED,
    text: field.scalar === ScalarType.STRING && field.fieldKind !== 'map',
    message: field.fieldKind === 'map' ? undefined : field.message,
  };
}

function wireTypeOfKind(field: DescField): number {
  return field.enum === undefined || field.fieldKind === 'map' ? DELIMITED : VARINT;
}

/** Source: https://protobuf.dev/programming-guides/encoding/#structure */
const WIRE_TYPES: Readonly<Record<ScalarType, number>> = {
  [ScalarType.DOUBLE]: FIXED_64,
  [ScalarType.FLOAT]: FIXED_32,
  [ScalarType.INT64]: VARINT,
  [ScalarType.UINT64]: VARINT,
  [ScalarType.INT32]: VARINT,
  [ScalarType.FIXED64]: FIXED_64,
  [ScalarType.FIXED32]: FIXED_32,
  [ScalarType.BOOL]: VARINT,
  [ScalarType.STRING]: DELIMITED,
  [ScalarType.BYTES]: DELIMITED,
  [ScalarType.UINT32]: VARINT,
  [ScalarType.SFIXED32]: FIXED_32,
  [ScalarType.SFIXED64]: FIXED_64,
  [ScalarType.SINT32]: VARINT,
  [ScalarType.SINT64]: VARINT,
};
