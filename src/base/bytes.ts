import { assert } from './assert.ts';
import { TephraError } from './errors.ts';

const TEXT_DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const TEXT_ENCODER = new TextEncoder();
const TWO_32 = 0x1_0000_0000;
const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** UTF-8 bytes of `text`. */
export function utf8(text: string): Uint8Array {
  return TEXT_ENCODER.encode(text);
}

/** Lower-case hexadecimal of `bytes`. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Bytes of a hexadecimal text of even length. */
export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** Same length and same bytes. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && Buffer.compare(a, b) === 0;
}

/** One new array with the parts in order. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.byteLength;
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}

/**
 * Appends little-endian fields and LEB128 varints to one growing buffer. All writers of Tephra's
 * formats go through it; all readers through {@link ByteReader}.
 */
export class ByteWriter {
  #buffer: Uint8Array;
  #size = 0;

  constructor(capacity = 256) {
    this.#buffer = new Uint8Array(capacity);
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size;
  }

  /** Makes room for `extra` bytes more and returns the buffer; valid until the next growth. */
  #reserve(extra: number): Uint8Array {
    const needed = this.#size + extra;
    if (needed > this.#buffer.byteLength) {
      const grown = new Uint8Array(Math.max(needed, this.#buffer.byteLength * 2));
      grown.set(this.#buffer.subarray(0, this.#size));
      this.#buffer = grown;
    }
    return this.#buffer;
  }

  /** One byte. */
  u8(value: number): this {
    this.#reserve(1)[this.#size++] = value;
    return this;
  }

  /** Four bytes, little-endian, unsigned. */
  u32(value: number): this {
    const buffer = this.#reserve(4);
    buffer[this.#size++] = value;
    buffer[this.#size++] = value >>> 8;
    buffer[this.#size++] = value >>> 16;
    buffer[this.#size++] = value >>> 24;
    return this;
  }

  /** Unsigned varint of a whole number in [0, 2^53). */
  varint(value: number): this {
    if (!(value >= 0 && Number.isSafeInteger(value))) assert(false, `varint of ${value}`);
    const buffer = this.#reserve(8);
    let rest = value;
    while (rest >= TWO_32) {
      buffer[this.#size++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    let low = rest >>> 0;
    while (low >= 0x80) {
      buffer[this.#size++] = low | 0x80;
      low >>>= 7;
    }
    buffer[this.#size++] = low;
    return this;
  }

  /** Unsigned varint of a whole number in [0, 2^64). */
  varintBig(value: bigint): this {
    if (value >= 0n && value <= SAFE_MAX) return this.varint(Number(value));
    assert(value >= 0n && value < 1n << 64n, `varintBig of ${value}`);
    const buffer = this.#reserve(10);
    let rest = value;
    while (rest >= 0x80n) {
      buffer[this.#size++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    buffer[this.#size++] = Number(rest);
    return this;
  }

  /** Zigzag varint of a signed whole number within 2^52. */
  zigzag(value: number): this {
    return this.varint(value < 0 ? -value * 2 - 1 : value * 2);
  }

  /** The bytes as they are, without a length. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.byteLength).set(bytes, this.#size);
    this.#size += bytes.byteLength;
    return this;
  }

  /** `bytes[from, to)` as they are. */
  part(bytes: Uint8Array, from: number, to: number): this {
    const buffer = this.#reserve(to - from);
    let at = this.#size;
    // Below this a loop is cheaper than a view.
    if (to - from > 64) buffer.set(bytes.subarray(from, to), at);
    else for (let i = from; i < to; i++) buffer[at++] = bytes[i] as number;
    this.#size += to - from;
    return this;
  }

  /** Varint length, then the bytes. */
  block(bytes: Uint8Array): this {
    return this.varint(bytes.byteLength).raw(bytes);
  }

  /** Varint length, then what another writer has written. */
  blockOf(writer: ByteWriter): this {
    return this.varint(writer.#size).part(writer.#buffer, 0, writer.#size);
  }

  /** Varint length in bytes, then UTF-8. */
  text(text: string): this {
    return this.block(utf8(text));
  }

  /** A view of what was written; valid until the next write. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  /** A copy of what was written, in a buffer of its own. */
  finish(): Uint8Array {
    return this.#buffer.slice(0, this.#size);
  }

  /** Forgets what was written behind the first `size` bytes. */
  cut(size: number): void {
    assert(size <= this.#size, 'a cut behind the end');
    this.#size = size;
  }

  /** Forgets what was written and keeps the buffer, unless it has grown beyond `keptBytes`. */
  reset(keptBytes = Number.MAX_SAFE_INTEGER): void {
    this.#size = 0;
    if (this.#buffer.byteLength > keptBytes) this.#buffer = new Uint8Array(0);
  }
}

/**
 * Reads what {@link ByteWriter} wrote, with every bound checked. Bytes that end early or do not
 * make sense throw `corrupt_block` with the name of what was read and the offset.
 */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly #what: string;
  readonly #end: number;
  #at: number;

  /** Reads `bytes[start, end)`; `what` names the thing in error messages. */
  constructor(bytes: Uint8Array, what: string, start = 0, end: number = bytes.byteLength) {
    this.bytes = bytes;
    this.#what = what;
    this.#at = start;
    this.#end = end;
    if (start < 0 || end > bytes.byteLength || start > end) this.fail('range out of bounds');
  }

  /** Offset of the next byte. */
  get at(): number {
    return this.#at;
  }

  /** Bytes left. */
  get left(): number {
    return this.#end - this.#at;
  }

  /** Throws `corrupt_block` for this place. */
  fail(why: string): never {
    throw new TephraError('corrupt_block', `${this.#what}: ${why} at offset ${this.#at}`);
  }

  /** Moves to an absolute offset. */
  seek(offset: number): void {
    if (offset < 0 || offset > this.#end) this.fail(`offset ${offset} out of bounds`);
    this.#at = offset;
  }

  /** One byte. */
  u8(): number {
    const value = this.bytes[this.#at];
    if (value === undefined || this.#at >= this.#end) this.fail('unexpected end');
    this.#at++;
    return value;
  }

  /** Four bytes, little-endian, unsigned. */
  u32(): number {
    if (this.left < 4) this.fail('unexpected end');
    const b = this.bytes;
    const at = this.#at;
    this.#at += 4;
    return (
      ((b[at] ?? 0) |
        ((b[at + 1] ?? 0) << 8) |
        ((b[at + 2] ?? 0) << 16) |
        ((b[at + 3] ?? 0) << 24)) >>>
      0
    );
  }

  /** Unsigned varint below 2^53. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) this.fail('varint beyond 2^53');
        return value;
      }
      scale *= 128;
    }
    return this.fail('varint longer than 8 bytes');
  }

  /** Unsigned varint below 2^64. */
  varintBig(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value >= 1n << 64n) this.fail('varint beyond 2^64');
        return value;
      }
    }
    return this.fail('varint longer than 10 bytes');
  }

  /** Zigzag varint. */
  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** A view of the next `size` bytes. */
  raw(size: number): Uint8Array {
    if (size > this.left) this.fail(`length ${size} exceeds remaining ${this.left}`);
    const view = this.bytes.subarray(this.#at, this.#at + size);
    this.#at += size;
    return view;
  }

  /** A view of length-prefixed bytes. */
  block(): Uint8Array {
    return this.raw(this.varint());
  }

  /** Length-prefixed UTF-8. */
  text(): string {
    const bytes = this.block();
    try {
      return TEXT_DECODER.decode(bytes);
    } catch {
      // The only failure of a fatal decoder: what it lacks is where.
      return this.fail('invalid UTF-8');
    }
  }

  /** Throws unless everything was read. */
  expectEnd(): void {
    if (this.left !== 0) this.fail(`${this.left} bytes too many`);
  }
}
