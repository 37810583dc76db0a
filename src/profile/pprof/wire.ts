import { TephraError } from '../../base/errors.ts';
import { DELIMITED, FIXED_32, FIXED_64, VARINT } from '../../base/wire-types.ts';

const TWO_32 = 0x1_0000_0000;

/**
 * Reads the protobuf wire format. Results are left in fields (`at`, `lo`, `hi`), so that nothing is
 * allocated: one object serves a reader for life.
 *
 * `fast*` methods do not know where the message ends: they may run past it (beyond the payload they
 * read zeros and stop), and their callers compare `at` with the end afterwards. The other methods
 * check everything and throw `malformed_protobuf` with an offset.
 */
export class Cursor {
  /** Offset behind the last thing read. */
  at = 0;
  /** Low and high 32 bits of the last varint, as signed 32-bit numbers. */
  lo = 0;
  hi = 0;
  /** Unknown fields skipped so far; the reader sets it to 0 for each profile. */
  unknown = 0;
  readonly #unknownMax: number;

  constructor(unknownFieldsMax: number) {
    this.#unknownMax = unknownFieldsMax;
  }

  /** Reads the varint at `at` into `lo` and `hi`; over ten bytes, `at` is left beyond all ends. */
  fastRead(bytes: Uint8Array, at: number): void {
    let byte = bytes[at] as number;
    let lo = byte & 0x7f;
    let hi = 0;
    let next = at + 1;
    // Unrolled: a loop with a shift count is half as fast, and this is what values go through.
    if (byte >= 0x80) {
      byte = bytes[next++] as number;
      lo |= (byte & 0x7f) << 7;
      if (byte >= 0x80) {
        byte = bytes[next++] as number;
        lo |= (byte & 0x7f) << 14;
        if (byte >= 0x80) {
          byte = bytes[next++] as number;
          lo |= (byte & 0x7f) << 21;
          if (byte >= 0x80) {
            byte = bytes[next++] as number;
            lo |= byte << 28;
            hi = (byte & 0x7f) >>> 4;
            for (let shift = 3; byte >= 0x80; shift += 7) {
              if (shift > 31) {
                next = 0x7fff_ffff;
                break;
              }
              byte = bytes[next++] as number;
              // Bits beyond 64 fall off, as in every other decoder.
              hi |= (byte & 0x7f) << shift;
            }
          }
        }
      }
    }
    this.lo = lo;
    this.hi = hi;
    this.at = next;
  }

  /**
   * The varint at `at` where it is below 2^31, else -1 with `lo` and `hi` set. Always a 32-bit
   * integer, so that the optimiser keeps offsets and indices out of floating point.
   */
  fastInt(bytes: Uint8Array, at: number): number {
    const first = bytes[at] as number;
    if (first < 0x80) {
      this.at = at + 1;
      return first;
    }
    const second = bytes[at + 1] as number;
    if (second < 0x80) {
      this.at = at + 2;
      return (first & 0x7f) | (second << 7);
    }
    this.fastRead(bytes, at);
    return this.hi === 0 && this.lo >= 0 ? this.lo : -1;
  }

  /** The last varint as an int64: exact within ±2^53, else the nearest double. */
  signed(): number {
    return this.hi * TWO_32 + (this.lo >>> 0);
  }

  /** The last varint as an int64, exact. */
  big(): bigint {
    return (BigInt(this.hi) << 32n) | BigInt(this.lo >>> 0);
  }

  /** Reads the varint at `at`, which must end before `end`. */
  varint(bytes: Uint8Array, at: number, end: number): void {
    this.fastRead(bytes, at);
    if (this.at <= end) return;
    if (end - at >= 10 && this.at === 0x7fff_ffff) {
      failWire(`varint longer than 10 bytes at byte ${at}`);
    }
    failWire(`truncated varint at byte ${at}`);
  }

  /** As {@link varint}; the value if it is below 2^31, else -1. */
  int(bytes: Uint8Array, at: number, end: number): number {
    this.varint(bytes, at, end);
    return this.hi === 0 && this.lo >= 0 ? this.lo : -1;
  }

  /** Tag of the field at `at`. */
  tag(bytes: Uint8Array, at: number, end: number): number {
    const tag = this.int(bytes, at, end);
    if (tag < 0) failWire(`field number beyond 2^28 at byte ${at}`);
    return tag;
  }

  /** Reads the length at `at` and returns the end of what it spans, which is checked. */
  span(bytes: Uint8Array, at: number, end: number): number {
    const size = this.int(bytes, at, end);
    if (size < 0 || size > end - this.at) {
      const found = formatVarint(bytes, at, false);
      failWire(`length ${found} exceeds remaining ${end - this.at} at byte ${at}`);
    }
    return this.at + size;
  }

  /**
   * Returns the offset behind a field that the caller does not read; its tag was read up to `at`.
   * Only unknown fields may be skipped: one of `known` (bit = number) has the wrong wire type.
   */
  skip(bytes: Uint8Array, tag: number, at: number, end: number, known: number): number {
    const field = tag >>> 3;
    const wireType = tag & 7;
    if (wireType === 6 || wireType === 7) failWire(`wire type ${wireType} before byte ${at}`);
    if (field === 0) failWire(`field number 0 before byte ${at}`);
    if (wireType === 3 || wireType === 4) {
      failWire(`groups are not supported: field ${field} before byte ${at}`);
    }
    if (field < 32 && ((known >>> field) & 1) === 1) {
      failWire(`field ${field} must not have wire type ${wireType}, before byte ${at}`);
    }
    this.countUnknown();
    return this.behind(bytes, tag, at, end);
  }

  /** Counts a field that is not known. Throws `too_many_fields`. */
  countUnknown(): void {
    if (++this.unknown > this.#unknownMax) {
      throw new TephraError('too_many_fields', `more than ${this.#unknownMax} unknown fields`);
    }
  }

  /** Offset behind the value of a field of any legal wire type. */
  behind(bytes: Uint8Array, tag: number, at: number, end: number): number {
    let next = at;
    switch (tag & 7) {
      case VARINT:
        this.varint(bytes, at, end);
        return this.at;
      case DELIMITED:
        return this.span(bytes, at, end);
      case FIXED_64:
        next = at + 8;
        break;
      case FIXED_32:
        next = at + 4;
        break;
      default:
        failWire(`wire type ${tag & 7} before byte ${at}`);
    }
    if (next > end) failWire(`field ${tag >>> 3} runs past the end at byte ${at}`);
    return next;
  }
}

/** Throws `malformed_protobuf`. */
export function failWire(detail: string): never {
  throw new TephraError('malformed_protobuf', detail);
}

/** Throws `malformed_profile`. */
export function failProfile(detail: string): never {
  throw new TephraError('malformed_profile', detail);
}

/** The varint at `at` written as a signed or unsigned 64-bit decimal, for messages. */
export function formatVarint(bytes: Uint8Array, at: number, signed: boolean): string {
  const cursor = new Cursor(0);
  cursor.fastRead(bytes, at);
  const value = cursor.big();
  return String(signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value));
}

/** Throws for the string index whose varint lies at `at`. */
export function failString(bytes: Uint8Array, at: number, strings: number, where: string): never {
  const found = formatVarint(bytes, at, true);
  failProfile(`${where}: string index ${found} out of range (table ${strings})`);
}
