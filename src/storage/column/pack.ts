/** Encodes entries without an object or an array for each: for callers with many small ones. */
import { assert } from '../../base/assert.ts';
import { SPARSE_TAG } from './encode.ts';
import type { StackSums } from './stack-sums.ts';
import { putVarint } from './varint.ts';

/** Entries as encode.ts draws them: `bytes[at, end)`. */
export interface EncodedEntries {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  /** Tick columns. */
  readonly columns: number;
}

/** Entries share buffers of this size; one is freed when nothing refers to it any more. */
const CHUNK_BYTES = 128 * 1024;
/** Bytes of the longest varint below 2^32. */
const VARINT_BYTES = 5;

/** Packs entries one behind the other. One object serves a thread. */
export class EntriesPacker {
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;

  /**
   * The same bytes as `encodeEntries` of entries whose stacks are `ids[from, from + count)`, strictly
   * ascending (asserted), and whose tick i in column c is `ticks[at + c * stride + i]`, whole and in
   * [0, 2^32) (asserted).
   */
  pack(
    ids: Uint32Array,
    from: number,
    count: number,
    ticks: Float64Array,
    at: number,
    stride: number,
    columns: number,
  ): EncodedEntries {
    const maskBytes = (columns + 7) >>> 3;
    const head = 1 + maskBytes + VARINT_BYTES * (3 + columns);
    this.#reserve(head + VARINT_BYTES * count * (1 + columns) + VARINT_BYTES * columns);
    const out = this.#bytes;
    // Lengths stand in front of what they measure: the body goes behind room for them.
    const body = this.#at + head;
    let end = body;
    let previous = -1;
    for (let i = from; i < from + count; i++) {
      const id = ids[i] as number;
      if (id <= previous) assert(false, 'stack ids do not ascend');
      let gap = id - previous - 1;
      while (gap >= 0x80) {
        out[end++] = (gap & 0x7f) | 0x80;
        gap >>>= 7;
      }
      out[end++] = gap;
      previous = id;
    }
    const idBytes = end - body;
    const lengths = columns === 1 ? undefined : new Uint32Array(columns);
    let columnBytes = 0;
    for (let column = 0; column < columns; column++) {
      const start = end;
      const first = at + column * stride;
      for (let i = first; i < first + count; i++) {
        const tick = ticks[i] as number;
        let rest = tick >>> 0;
        if (rest !== tick) assert(false, 'a tick is negative, not whole or too large');
        while (rest >= 0x80) {
          out[end++] = (rest & 0x7f) | 0x80;
          rest >>>= 7;
        }
        out[end++] = rest;
      }
      columnBytes = end - start;
      if (lengths !== undefined) lengths[column] = columnBytes;
    }
    let size = 1 + maskBytes + varintBytes(count) + varintBytes(columns) + varintBytes(idBytes);
    if (lengths === undefined) size += varintBytes(columnBytes);
    else for (const length of lengths) size += varintBytes(length);
    const start = body - size;
    out[start] = SPARSE_TAG;
    let to = putVarint(out, start + 1, count);
    to = putVarint(out, to, columns);
    // No column is wide.
    for (let i = 0; i < maskBytes; i++) out[to++] = 0;
    to = putVarint(out, to, idBytes);
    if (lengths === undefined) to = putVarint(out, to, columnBytes);
    else for (const length of lengths) to = putVarint(out, to, length);
    assert(to === body, 'the lengths fill the room in front of the body');
    this.#at = end;
    return { bytes: out, at: start, end, columns };
  }

  /**
   * The same for what was added to sums that can be drained: of one column, none 2^32 or more; zeros are
   * dropped. How many entries there are is in `sums.drained`.
   */
  packSums(sums: StackSums): EncodedEntries {
    const head = 2 + VARINT_BYTES * 4;
    this.#reserve(head + 2 * VARINT_BYTES * sums.countMax);
    const out = this.#bytes;
    const body = this.#at + head;
    const end = sums.drain(out, body);
    const { count, idsEnd } = sums.drained;
    const idBytes = idsEnd - body;
    const columnBytes = end - idsEnd;
    const start = body - 3 - varintBytes(count) - varintBytes(idBytes) - varintBytes(columnBytes);
    out[start] = SPARSE_TAG;
    let to = putVarint(out, start + 1, count);
    // One column, which is not wide.
    out[to++] = 1;
    out[to++] = 0;
    to = putVarint(out, to, idBytes);
    to = putVarint(out, to, columnBytes);
    assert(to === body, 'the lengths fill the room in front of the body');
    this.#at = end;
    return { bytes: out, at: start, end, columns: 1 };
  }

  #reserve(bytes: number): void {
    if (this.#bytes.byteLength - this.#at >= bytes) return;
    this.#bytes = new Uint8Array(Math.max(CHUNK_BYTES, bytes));
    this.#at = 0;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest >>>= 7) bytes++;
  return bytes;
}
