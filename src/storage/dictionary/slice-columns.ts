import { TephraError } from '../../base/errors.ts';
import { growU8 } from './grow.ts';

/** Zigzag of a difference of two u32 modulo 2^32: small for neighbours on both sides. */
function zigzag(difference: number): number {
  return ((difference << 1) ^ (difference >> 31)) >>> 0;
}

function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1);
}

/** Writes columns of u32 as varints, one tight loop a column. */
export class ColumnWriter {
  #bytes: Uint8Array = new Uint8Array(1024);
  #size = 0;

  /** A view of what was written; valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  /** The bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.#bytes = growU8(this.#bytes, this.#size + bytes.byteLength);
    this.#bytes.set(bytes, this.#size);
    this.#size += bytes.byteLength;
  }

  /** One varint of a u32. */
  varint(value: number): void {
    this.#bytes = growU8(this.#bytes, this.#size + 5);
    const bytes = this.#bytes;
    let rest = value >>> 0;
    while (rest >= 0x80) {
      bytes[this.#size++] = rest | 0x80;
      rest >>>= 7;
    }
    bytes[this.#size++] = rest;
  }

  /** Each value. */
  plain(column: Uint32Array): void {
    for (const value of column) this.varint(value);
  }

  /** Each value's difference to the one before; the first one's to 0. */
  deltas(column: Uint32Array): void {
    let before = 0;
    for (const value of column) {
      this.varint(zigzag(value - before));
      before = value;
    }
  }

  /** Each value's difference to the same row of `base`. */
  differences(column: Uint32Array, base: Uint32Array): void {
    for (let i = 0; i < column.length; i++) {
      this.varint(zigzag((column[i] as number) - (base[i] as number)));
    }
  }

  /** {@link plain} of the rows whose flags under `mask` are `wanted`. */
  plainWhere(column: Uint32Array, flags: Uint8Array, mask: number, wanted: number): void {
    for (let i = 0; i < column.length; i++) {
      if (((flags[i] as number) & mask) === wanted) this.varint(column[i] as number);
    }
  }

  /** {@link deltas} of the rows whose flags under `mask` are `wanted`. */
  deltasWhere(column: Uint32Array, flags: Uint8Array, mask: number, wanted: number): void {
    let before = 0;
    for (let i = 0; i < column.length; i++) {
      if (((flags[i] as number) & mask) !== wanted) continue;
      const value = column[i] as number;
      this.varint(zigzag(value - before));
      before = value;
    }
  }
}

/**
 * Reads what {@link ColumnWriter} wrote. `limit`, where given, is the length of the table that the
 * values refer to: a value not below it throws `corrupt_block`, as does everything else that does
 * not decode.
 */
export class ColumnReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** Offset of the next byte. */
  get at(): number {
    return this.#at;
  }

  /** Throws `corrupt_block` for this place. */
  fail(why: string): never {
    throw new TephraError('corrupt_block', `${this.#what}: ${why} at offset ${this.#at}`);
  }

  /** A view of the next bytes. */
  raw(size: number): Uint8Array {
    const left = this.#bytes.byteLength - this.#at;
    if (size > left) this.fail(`length ${size} exceeds remaining ${left}`);
    const view = this.#bytes.subarray(this.#at, this.#at + size);
    this.#at += size;
    return view;
  }

  /** `count` values. */
  plain(count: number, limit = 0x1_0000_0000): Uint32Array {
    const column = new Uint32Array(count);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < count; i++) {
      let byte = bytes[at++] as number;
      let value = byte & 0x7f;
      for (let shift = 7; byte >= 0x80; shift += 7) {
        byte = bytes[at++] as number;
        if (shift === 28 && byte > 0x0f) this.#failAt(at, 'varint beyond 2^32');
        value |= (byte & 0x7f) << shift;
      }
      // Past the end a byte is undefined, which ends every loop and counts as 0: seen below.
      value >>>= 0;
      if (value >= limit) this.#failAt(at, `id ${value} of ${limit}`);
      column[i] = value;
    }
    if (at > bytes.byteLength) this.#failAt(bytes.byteLength, 'unexpected end');
    this.#at = at;
    return column;
  }

  /** `count` values written by {@link ColumnWriter.deltas}. */
  deltas(count: number, limit = 0x1_0000_0000): Uint32Array {
    const column = this.plain(count);
    let before = 0;
    for (let i = 0; i < count; i++) {
      before = (before + unzigzag(column[i] as number)) >>> 0;
      if (before >= limit) this.fail(`id ${before} of ${limit}`);
      column[i] = before;
    }
    return column;
  }

  /** Values written by {@link ColumnWriter.differences}. */
  differences(base: Uint32Array, limit: number): Uint32Array {
    const column = this.plain(base.length);
    for (let i = 0; i < column.length; i++) {
      const value = ((base[i] as number) + unzigzag(column[i] as number)) >>> 0;
      if (value >= limit) this.fail(`id ${value} of ${limit}`);
      column[i] = value;
    }
    return column;
  }

  #failAt(at: number, why: string): never {
    this.#at = at;
    return this.fail(why);
  }
}

/** How many rows have `wanted` under `mask`. */
export function countWhere(flags: Uint8Array, mask: number, wanted: number): number {
  let count = 0;
  for (const flag of flags) if ((flag & mask) === wanted) count++;
  return count;
}

/** Spreads a column of the rows with `wanted` under `mask` over all rows; the others are `absent`. */
export function spread(
  column: Uint32Array,
  flags: Uint8Array,
  mask: number,
  wanted: number,
  absent: number,
): Uint32Array {
  const all = new Uint32Array(flags.length);
  let next = 0;
  for (let i = 0; i < flags.length; i++) {
    all[i] = ((flags[i] as number) & mask) === wanted ? (column[next++] as number) : absent;
  }
  return all;
}
