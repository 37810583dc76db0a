import { DELIMITED, FIXED_64, VARINT } from '../../base/wire-types.ts';

/** A part of protobuf bytes, read from its start. They are those of our own encoders: well formed. */
export class Span {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** A varint below 2^53; larger ones are not told exactly. */
  varint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.bytes[this.at++] as number;
      if (byte < 0x80) return value + byte * factor;
      value += (byte - 0x80) * factor;
      factor *= 128;
    }
  }

  /** A varint of 64 bits, unsigned. */
  wide(): bigint {
    let value = 0n;
    let shift = 0n;
    for (;;) {
      const byte = this.bytes[this.at++] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
      shift += 7n;
    }
  }

  /** A varint of 64 bits, signed, as text. */
  int64(): string {
    const from = this.at;
    // Seven bytes hold 49 bits: the usual case, without bigints.
    const value = this.varint();
    if (this.at - from <= 7) return String(value);
    this.at = from;
    return String(BigInt.asIntN(64, this.wide()));
  }

  /** A length and what it counts. */
  delimited(): Span {
    const length = this.varint();
    const inner = new Span(this.bytes, this.at, this.at + length);
    this.at += length;
    return inner;
  }

  /** The same part, to be read by itself. */
  again(): Span {
    return new Span(this.bytes, this.at, this.end);
  }

  /** A length and so many bytes of UTF-8. */
  text(): string {
    const inner = this.delimited();
    const view = Buffer.from(inner.bytes.buffer, inner.bytes.byteOffset, inner.bytes.byteLength);
    return view.toString('utf8', inner.at, inner.end);
  }

  /** Goes behind a value of this wire type. */
  skip(wire: number): void {
    if (wire === VARINT) while ((this.bytes[this.at++] as number) >= 0x80);
    else if (wire === DELIMITED) {
      const length = this.varint();
      this.at += length;
    } else this.at += wire === FIXED_64 ? 8 : 4;
  }
}
