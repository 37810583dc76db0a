/** Merging for the usual case: many small entries whose ticks mean the same in all of them. */
import { ByteWriter } from '../../base/bytes.ts';
import { encodeEntries, SPARSE_TAG } from './encode.ts';
import { EntriesPacker } from './pack.ts';
import { StackSums } from './stack-sums.ts';

/** What became of entries that were added up. */
export interface AlikeEntries {
  /** By column: the sum of its ticks. */
  readonly totals: readonly number[];
  /** What `encodeEntries` writes, in a buffer of its own. */
  readonly entries: Uint8Array;
}

const TWO_32 = 0x1_0000_0000;
/** Ids from here on would need more memory than they are worth. */
const STACKS_MAX = 4_000_000;
/** Sums that take more are not kept for the next minute. */
const KEPT_BYTES = 16 * 1024 * 1024;

/**
 * Adds up entries straight from their bytes, without an object for any of them. It says no where it meets
 * what it is not made for (ticks of 2^32 and more, damage): then `mergeEntries` takes all of them, which
 * handles or refuses it. One object serves a thread.
 */
export class AlikeMerge {
  #sums = new StackSums();
  readonly #packer = new EntriesPacker();
  #columns = 0;
  readonly #totals: number[] = [];
  /** By column, of the entries that are being added. */
  readonly #columnBytes: number[] = [];
  #ids: Uint32Array = new Uint32Array(1_024);
  #ticks: Float64Array = new Float64Array(1_024);
  #at = 0;

  /** Begins with nothing. Sums of a column must stay below 2^53: the caller knows. */
  begin(columns: number): void {
    this.#sums.take(this.#columns, 'dropped');
    this.#columns = columns;
    this.#totals.length = columns;
    this.#totals.fill(0);
  }

  /** Adds the entries `bytes[at, end)`; false: begin again, with `mergeEntries`. */
  add(
    bytes: Uint8Array,
    at: number,
    end: number,
    toStack: ((stack: number) => number) | undefined,
  ): boolean {
    const columns = this.#columns;
    if (bytes[at] !== SPARSE_TAG) return false;
    this.#at = at + 1;
    const count = this.#varint(bytes);
    if (this.#varint(bytes) !== columns) return false;
    for (let mask = 0; mask < columns; mask += 8) if (bytes[this.#at++] !== 0) return false;
    const idBytes = this.#varint(bytes);
    let size = idBytes;
    for (let column = 0; column < columns; column++) {
      size += this.#columnBytes[column] = this.#varint(bytes);
    }
    // An id takes a byte at least: bounds the scratch.
    if (!(count <= idBytes) || this.#at + size !== end) return false;
    if (columns === 1 && toStack === undefined) {
      const total = this.#sums.addEncoded(
        bytes,
        count,
        this.#at,
        this.#at + idBytes,
        end,
        STACKS_MAX,
      );
      this.#totals[0] = (this.#totals[0] as number) + total;
      return total >= 0;
    }
    this.#reserve(count, columns);
    const idEnd = this.#readIds(bytes, count, this.#at + idBytes, toStack);
    if (idEnd < 0) return false;
    for (let column = 0; column < columns; column++) {
      if (!this.#readTicks(bytes, column, count)) return false;
    }
    this.#sums.add(this.#ids, 0, count, idEnd, this.#ticks, count, columns);
    return true;
  }

  /** What was added since the beginning. */
  finish(): AlikeEntries {
    const columns = this.#columns;
    const totals = [...this.#totals];
    const sums = this.#sums;
    const count = sums.take(columns, 'kept');
    let entries: Uint8Array;
    if (totals.every((total) => total < TWO_32)) {
      const { stacks, ticks, stride } = sums;
      const { bytes, at, end } = this.#packer.pack(stacks, 0, count, ticks, 0, stride, columns);
      entries = bytes.slice(at, end);
    } else {
      const writer = new ByteWriter(count * 3 + 32);
      encodeEntries(writer, sums.entries(count, columns));
      entries = writer.finish();
    }
    if (sums.bytesInMemory > KEPT_BYTES) this.#sums = new StackSums();
    return { totals, entries };
  }

  /** Ids into the scratch, from {@link #at} to exactly `end`; one more than the highest, or -1. */
  #readIds(
    bytes: Uint8Array,
    count: number,
    end: number,
    toStack: ((stack: number) => number) | undefined,
  ): number {
    const ids = this.#ids;
    let at = this.#at;
    let id = -1;
    for (let i = 0; i < count; i++) {
      let gap = bytes[at++] as number;
      if (gap >= 0x80) {
        let byte = bytes[at++] as number;
        gap = (gap & 0x7f) | ((byte & 0x7f) << 7);
        if (byte >= 0x80) {
          byte = bytes[at++] as number;
          gap |= byte << 14;
          if (byte >= 0x80) return -1;
        }
      }
      id += gap + 1;
      ids[i] = id;
    }
    this.#at = at;
    if (at !== end || id >= STACKS_MAX) return -1;
    if (toStack === undefined) return id + 1;
    let highest = -1;
    for (let i = 0; i < count; i++) {
      const stack = toStack(ids[i] as number);
      ids[i] = stack;
      if (stack > highest) highest = stack;
    }
    return highest < STACKS_MAX ? highest + 1 : -1;
  }

  /** The ticks of the next column into the scratch. */
  #readTicks(bytes: Uint8Array, column: number, count: number): boolean {
    const ticks = this.#ticks;
    let at = this.#at;
    const end = at + (this.#columnBytes[column] as number);
    let total = 0;
    for (let i = column * count; i < (column + 1) * count; i++) {
      let tick = bytes[at++] as number;
      if (tick >= 0x80) {
        tick &= 0x7f;
        for (let scale = 128; ; scale *= 128) {
          if (at >= end || scale > 0x1000_0000) return false;
          const byte = bytes[at++] as number;
          tick += (byte & 0x7f) * scale;
          if (byte < 0x80) break;
        }
        if (tick > 0xffff_ffff) return false;
      }
      ticks[i] = tick;
      total += tick;
    }
    this.#at = at;
    this.#totals[column] = (this.#totals[column] as number) + total;
    return at === end;
  }

  #reserve(count: number, columns: number): void {
    if (this.#ids.length < count) this.#ids = new Uint32Array(2 * count);
    if (this.#ticks.length < count * columns) this.#ticks = new Float64Array(2 * count * columns);
  }

  /** A varint of at most four bytes at {@link #at}; NaN, which fits nothing, for others. */
  #varint(bytes: Uint8Array): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = bytes[this.#at++] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  }
}
