import { TWO_32 } from '../tree/lanes.ts';

const HIGH_MAX = 0x7fff_ffff;

/** Where the bytes of a message go that is too large for memory. */
export interface Overflow {
  /** A buffer that has grown to so many bytes is given away when it is full. */
  readonly limitBytes: number;
  /** Takes a buffer of which `used` bytes were written; returns another one to go on with. */
  take(full: Buffer, used: number): Buffer;
}

/** The length of a field that was given away before it ended. */
export interface LateLength {
  /** Where the gap of one byte is, among the bytes that were given away. */
  readonly at: number;
  readonly length: number;
}

/** Bytes that were given away to an {@link Overflow}. */
export interface OverflowedBytes {
  /** Bytes, each late length counted as one. */
  readonly bytes: number;
  /** What stands in the gaps, in no order. */
  readonly lengths: readonly LateLength[];
}

/** A finished message. */
export interface EncodedMessage {
  /** The message, or of one that overflowed its end. */
  readonly bytes: Uint8Array;
  /** What comes before `bytes`; absent for a message that was never too large. */
  readonly overflowed?: OverflowedBytes | undefined;
  /** Values passed int64 and were cut to 2^63 - 1. */
  readonly saturated: boolean;
}

/**
 * Writes protobuf into one growing buffer, without message objects. A message of unknown size is
 * written after a gap of one byte for its length and moved if the length needs more: sizes are never
 * computed beforehand. With an overflow, a buffer that is large enough is given away instead of growing,
 * wherever the writer stands; the gaps in it are filled by who reads it.
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
export class ProtoWriter {
  #buffer: Buffer;
  #size = 0;
  #saturated = false;
  readonly #overflow: Overflow | undefined;
  /** Bytes given away; the buffer begins behind them. */
  #base = 0;
  readonly #lengths: LateLength[] = [];

  constructor(capacity = 16 * 1024, overflow?: Overflow) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(capacity, overflow?.limitBytes ?? capacity));
    this.#overflow = overflow;
  }

  /** Starts a length-delimited field; give what it returns to `end`. */
  begin(field: number): number {
    this.uint(field * 8 + 2);
    this.#reserve(1);
    return this.#base + ++this.#size;
  }

  /** Ends the field that `begin` started. */
  end(start: number): void {
    const first = start - this.#base;
    const length = this.#size - first;
    if (first <= 0) {
      this.#endLate(start, length);
      return;
    }
    let extra = 0;
    for (let rest = length; rest >= 0x80; rest >>>= 7) extra++;
    if (extra > 0) {
      this.#reserve(extra);
      if (start <= this.#base) {
        this.#endLate(start, length);
        return;
      }
      this.#buffer.copyWithin(first + extra, first, this.#size);
    }
    this.#size += extra;
    let at = first - 1;
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
    this.end(this.#base + start);
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

  /** What was written. The writer must not be used any more. */
  finish(): EncodedMessage {
    const saturated = this.#saturated;
    const written = this.#buffer.subarray(0, this.#size);
    // Of a buffer that begins as large as this the rest may be most of it: only what was written is kept.
    const bytes = new Uint8Array(written);
    if (this.#base === 0) return { bytes, saturated };
    return { bytes, saturated, overflowed: { bytes: this.#base, lengths: this.#lengths } };
  }

  /** Ends a field whose gap was given away; `length` is that of its bytes, with gaps as one byte. */
  #endLate(start: number, length: number): void {
    let whole = length;
    // Fields end before those that they lie in: the late ones within it are the last ones.
    for (let i = this.#lengths.length - 1; i >= 0; i--) {
      const inner = this.#lengths[i] as LateLength;
      if (inner.at < start) break;
      whole += varintBytes(inner.length) - 1;
    }
    this.#lengths.push({ at: start - 1, length: whole });
  }

  #reserve(extra: number): void {
    const needed = this.#size + extra;
    const { byteLength } = this.#buffer;
    if (needed <= byteLength) return;
    const overflow = this.#overflow;
    if (overflow !== undefined && (this.#base > 0 || byteLength >= overflow.limitBytes)) {
      const next = overflow.take(this.#buffer, this.#size);
      this.#base += this.#size;
      this.#size = 0;
      this.#buffer = extra <= next.byteLength ? next : Buffer.allocUnsafeSlow(extra);
      return;
    }
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, byteLength * 2));
    this.#buffer.copy(grown, 0, 0, this.#size);
    this.#buffer = grown;
  }
}

/** Bytes of a varint of a whole number in [0, 2^53). */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}
