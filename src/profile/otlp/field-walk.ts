import { DELIMITED, VARINT } from '../../base/wire-types.ts';
import { Cursor, failWire } from '../pprof/wire.ts';

/**
 * Walks the fields of protobuf messages. What was read last is in its fields, so that nothing is
 * allocated; they mean the field until the next {@link open}.
 */
export class FieldWalk {
  readonly cursor: Cursor;
  /** Number and wire type. */
  no = 0;
  wireType = 0;
  /** Where the value is; behind the length where it has one. */
  from = 0;
  /** Where the value ends, and the next field begins. */
  to = 0;

  constructor(unknownFieldsMax: number) {
    this.cursor = new Cursor(unknownFieldsMax);
  }

  /** Reads the field at `at` of a message that ends at `end`. Throws `malformed_protobuf`. */
  open(bytes: Uint8Array, at: number, end: number): void {
    const first = bytes[at] as number;
    // A tag and a length, or a number, of one byte each: nearly all of them.
    if (first < 0x80 && first > 7 && end - at > 1) {
      const second = bytes[at + 1] as number;
      const wireType = first & 7;
      const size = wireType === DELIMITED ? second : 0;
      if (
        second < 0x80 &&
        (wireType === DELIMITED || wireType === VARINT) &&
        size <= end - at - 2
      ) {
        this.no = first >>> 3;
        this.wireType = wireType;
        this.from = wireType === DELIMITED ? at + 2 : at + 1;
        this.to = at + 2 + size;
        return;
      }
    }
    const { cursor } = this;
    const tag = cursor.tag(bytes, at, end);
    const valueAt = cursor.at;
    this.no = tag >>> 3;
    this.wireType = tag & 7;
    if (this.no === 0) failWire(`field number 0 before byte ${valueAt}`);
    this.to = cursor.behind(bytes, tag, valueAt, end);
    this.from = this.wireType === DELIMITED ? cursor.at : valueAt;
  }

  /** The varint of the field where it is below 2^31, else -1. */
  int(bytes: Uint8Array): number {
    return this.cursor.int(bytes, this.from, this.to);
  }
}
