import { type Cursor, failWire } from '../pprof/wire.ts';

/** A growing column of whole numbers below 2^32; used again for every message. */
export class IntColumn {
  array: Uint32Array = new Uint32Array(64);
  length = 0;

  /** Room for `extra` rows more. */
  reserve(extra: number): Uint32Array {
    const needed = this.length + extra;
    if (needed > this.array.length) {
      const larger = new Uint32Array(Math.max(needed, 2 * this.array.length));
      larger.set(this.array.subarray(0, this.length));
      this.array = larger;
    }
    return this.array;
  }

  /** One row. */
  push(value: number): void {
    this.reserve(1)[this.length++] = value;
  }
}

/**
 * Appends the varints of `bytes[from, end)` to a column. Throws `malformed_protobuf`; a number beyond
 * 32 bits is `overflow`'s to refuse.
 */
export function readInts(
  bytes: Uint8Array,
  from: number,
  end: number,
  into: IntColumn,
  cursor: Cursor,
  overflow: (row: number) => never,
): void {
  // No varint is shorter than a byte.
  const array = into.reserve(end - from);
  let row = into.length;
  let at = from;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte < 0x80) {
      array[row++] = byte;
      at++;
      continue;
    }
    cursor.varint(bytes, at, end);
    if (cursor.hi !== 0) overflow(row);
    array[row++] = cursor.lo >>> 0;
    at = cursor.at;
  }
  into.length = row;
}

/**
 * Appends the running sums of the zigzag varints of `bytes[from, end)`, as unsigned 32-bit numbers: ids
 * from differences. Sums wrap; whoever looks ids up sees that they are none.
 */
export function readDeltas(
  bytes: Uint8Array,
  from: number,
  end: number,
  into: IntColumn,
  cursor: Cursor,
): void {
  const array = into.reserve(end - from);
  let row = into.length;
  let id = row === 0 ? 0 : (array[row - 1] as number) | 0;
  let at = from;
  while (at < end) {
    let value = bytes[at] as number;
    if (value < 0x80) {
      at++;
    } else {
      const next = at + 1 < end ? (bytes[at + 1] as number) : 0x80;
      if (next < 0x80) {
        value = (value & 0x7f) | (next << 7);
        at += 2;
      } else {
        cursor.varint(bytes, at, end);
        value = cursor.lo;
        at = cursor.at;
      }
    }
    id = (id + ((value >>> 1) ^ -(value & 1))) | 0;
    array[row++] = id;
  }
  into.length = row;
}

/** Values: exact as numbers, or in full width where one of them passes 2^53. */
export class ValueRows {
  array: Float64Array = new Float64Array(64);
  length = 0;
  /** By row: the numbers that do not fit, or undefined if all do. */
  wide: Map<number, bigint> | undefined;

  /** Empties it. */
  clear(): void {
    this.length = 0;
    this.wide = undefined;
  }

  /** Appends the varints of `bytes[from, end)`. `overflow` refuses what is 2^63 or more. */
  read(
    bytes: Uint8Array,
    from: number,
    end: number,
    cursor: Cursor,
    overflow: (row: number) => never,
  ): void {
    const needed = this.length + end - from;
    if (needed > this.array.length) {
      const larger = new Float64Array(Math.max(needed, 2 * this.array.length));
      larger.set(this.array.subarray(0, this.length));
      this.array = larger;
    }
    const { array } = this;
    let row = this.length;
    let at = from;
    while (at < end) {
      const byte = bytes[at] as number;
      if (byte < 0x80) {
        array[row++] = byte;
        at++;
        continue;
      }
      const next = at + 1 < end ? (bytes[at + 1] as number) : 0x80;
      if (next < 0x80) {
        array[row++] = (byte & 0x7f) | (next << 7);
        at += 2;
        continue;
      }
      cursor.varint(bytes, at, end);
      at = cursor.at;
      const value = cursor.signed();
      if (value < 0) overflow(row);
      if (!Number.isSafeInteger(value)) (this.wide ??= new Map()).set(row, cursor.big());
      array[row++] = value;
    }
    this.length = row;
  }
}

/** Throws for a field that must not come twice. */
export function once(seen: boolean, field: string, at: number): void {
  if (seen) failWire(`${field} comes twice, before byte ${at}`);
}
