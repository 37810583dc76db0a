import { TWO_32 } from '../tree/lanes.ts';

const HIGH_MAX = 0x7fff_ffff;

/**
 * Writes protobuf into one growing buffer, without message objects. A message of unknown size is
 * written after a gap of one byte for its length and moved if the length needs more: sizes are never
 * computed beforehand. Source: https://protobuf.dev/programming-guides/encoding/
 */
export class ProtoWriter {
  #buffer: Buffer;
  #size = 0;
  #saturated = false;

  constructor(capacity = 16 * 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity);
  }

  /** Whether a value passed int64 and was cut to 2^63 - 1. */
  get saturated(): boolean {
    return this.#saturated;
  }

  /** Starts a length-delimited field; give what it returns to `end`. */
  begin(field: number): number {
    this.uint(field * 8 + 2);
    this.#reserve(1);
    return ++this.#size;
  }

  /** Ends the field that `begin` started. */
  end(start: number): void {
    const length = this.#size - start;
    let extra = 0;
    for (let rest = length; rest >= 0x80; rest >>>= 7) extra++;
    if (extra > 0) {
      this.#reserve(extra);
      this.#buffer.copyWithin(start + extra, start, this.#size);
    }
    this.#size += extra;
    let at = start - 1;
    for (let rest = length; ; rest >>>= 7) {
      this.#buffer[at++] = rest < 0x80 ? rest : rest | 0x80;
      if (rest < 0x80) break;
    }
  }

  /** A text field, also if it is empty (an element of a repeated field). */
  text(field: number, text: string): void {
    this.uint(field * 8 + 2);
    this.bareText(text);
  }

  /** The length of a text and the text, without a tag. */
  bareText(text: string): void {
    this.#reserve(text.length * 3 + 5);
    // The length is one byte for most names.
    const start = ++this.#size;
    this.#size += this.#buffer.write(text, start, 'utf8');
    this.end(start);
  }

  /** A varint field of a whole number in [0, 2^53); 0 is not written, as proto3 has it. */
  field(field: number, value: number): void {
    if (value === 0) return;
    this.uint(field * 8);
    this.value(value);
  }

  /** A varint field of a value of two lanes; 0 is not written. */
  wideField(field: number, hi: number, lo: number): void {
    if (hi === 0 && lo === 0) return;
    this.uint(field * 8);
    this.wide(hi, lo);
  }

  /** A varint field of a uint64 of two u32 halves; 0 is not written. */
  uint64Field(field: number, hi: number, lo: number): void {
    if (hi === 0 && lo === 0) return;
    this.uint(field * 8);
    if (hi === 0) this.uint(lo);
    else this.#halves(hi >>> 0, lo >>> 0);
  }

  /** A bare varint of a whole number in [0, 2^53). */
  value(value: number): void {
    if (value < TWO_32) return this.uint(value);
    const hi = Math.floor(value / TWO_32);
    this.wide(hi, value - hi * TWO_32);
  }

  /** A bare int64 varint of hi * 2^32 + lo (0 <= lo < 2^32), cut to 2^63 - 1. */
  wide(hi: number, lo: number): void {
    if (hi === 0) return this.uint(lo);
    if (hi > HIGH_MAX) {
      this.#saturated = true;
      this.#halves(HIGH_MAX, 0xffff_ffff);
    } else {
      this.#halves(hi, lo >>> 0);
    }
  }

  /** A bare varint of two u32 halves, the high one not 0. */
  #halves(hi: number, lo: number): void {
    let high = hi;
    let low = lo;
    this.#reserve(10);
    const buffer = this.#buffer;
    let at = this.#size;
    // Four groups of 7 bits lie in the low half, one in both, the rest in the high half.
    for (let i = 0; i < 4; i++) {
      buffer[at++] = low | 0x80;
      low >>>= 7;
    }
    const both = (low & 0x0f) | ((high & 0x07) << 4);
    high >>>= 3;
    if (high === 0) buffer[at++] = both;
    else {
      buffer[at++] = both | 0x80;
      while (high >= 0x80) {
        buffer[at++] = high | 0x80;
        high >>>= 7;
      }
      buffer[at++] = high;
    }
    this.#size = at;
  }

  /** A bare varint of a u32. */
  uint(value: number): void {
    this.#reserve(5);
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.#buffer[this.#size++] = rest | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#size++] = rest;
  }

  /** What was written, in a buffer of its own. */
  finish(): Uint8Array {
    return new Uint8Array(this.#buffer.subarray(0, this.#size));
  }

  #reserve(extra: number): void {
    const needed = this.#size + extra;
    if (needed <= this.#buffer.byteLength) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.byteLength * 2));
    this.#buffer.copy(grown, 0, 0, this.#size);
    this.#buffer = grown;
  }
}

/** A finished message. */
export interface EncodedMessage {
  readonly bytes: Uint8Array;
  /** Values passed int64 and were cut to 2^63 - 1. */
  readonly saturated: boolean;
}
