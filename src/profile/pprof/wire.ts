import { TephraError } from '../../base/errors.ts';

/** Wire types of protobuf that are legal in a profile. Source: protobuf.dev, "Encoding". */
export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

const TWO_32 = 0x1_0000_0000;

/**
 * Reads varints where the scan (scan.ts) has already proved that they end inside their container.
 * One object per reader, so that nothing is allocated per field: results are left in `lo`, `hi`
 * and `at`. Hot loops keep the one-byte case to themselves and come here for the rest.
 */
export class Cursor {
  /** Offset behind the last thing read. */
  at = 0;
  /** Low and high 32 bits of the last {@link read}, as signed 32-bit numbers. */
  lo = 0;
  hi = 0;

  /** Reads the varint at `at` into `lo` and `hi`. Throws `malformed_protobuf` over 10 bytes. */
  read(bytes: Uint8Array, at: number): void {
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
              if (next - at >= 10) failWire(`varint longer than 10 bytes at byte ${at}`);
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
   * The varint at `at` as an int64: exact within ±2^53, else the nearest double (so comparing it
   * with a count is always right).
   */
  number(bytes: Uint8Array, at: number): number {
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
    this.read(bytes, at);
    return this.hi * TWO_32 + (this.lo >>> 0);
  }

  /** The int64 of the last {@link read}, exact. */
  big(): bigint {
    return (BigInt(this.hi) << 32n) | BigInt(this.lo >>> 0);
  }

  /** Offset behind the field whose tag was read up to `at`. */
  skip(bytes: Uint8Array, tag: number, at: number): number {
    switch (tag & 7) {
      case WIRE_VARINT:
        this.read(bytes, at);
        return this.at;
      case WIRE_FIXED64:
        return at + 8;
      case WIRE_BYTES: {
        const size = this.number(bytes, at);
        return this.at + size;
      }
      default:
        return at + 4;
    }
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
  const cursor = new Cursor();
  cursor.read(bytes, at);
  const value = cursor.big();
  return String(signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value));
}
