/**
 * Layout 1, sparse. All lengths come first, so that a reader finds every column without decoding.
 *
 *     +-----+--------------+----------------+--------------------+
 *     | 01  | count varint | columns varint | wide mask          |  bit c % 8 of byte c / 8: column
 *     +-----+--------------+----------------+--------------------+  c has a tick >= 2^32
 *     | bytes of ids varint | bytes of column 0 varint | ...     |
 *     +---------------------+--------------------------+---------+
 *     | ids: count varints, each id - previous id - 1            |  the first: id itself
 *     | column 0: count varints                                  |
 *     | column 1: count varints                                  |
 *     +----------------------------------------------------------+
 *
 * - Ids are stored as the gap to the id before, less one: any bytes decode to ascending ids.
 * - Ids and the ticks of a column that is not wide are below 2^32, at most 5 bytes each, so that the
 *   fast kernel never needs more than one Float64 per tick.
 * - The tag leaves room for dense layouts. No checksum here: the section around it has one.
 */
import { assert } from '../../base/assert.ts';
import type { ByteWriter } from '../../base/bytes.ts';
import type { Entries, Ticks } from './entries.ts';
import { putVarint } from './varint.ts';

/** Tag of the sparse layout. */
export const SPARSE_TAG = 1;

const TWO_32 = 0x1_0000_0000;

/** Appends entries; see the drawing above. The stacks must ascend strictly (asserted). */
export function encodeEntries(writer: ByteWriter, entries: Entries): void {
  const { stacks, ticks } = entries;
  const count = stacks.length;
  const wide = ticks.map(isWide);
  const mask = new Uint8Array(Math.ceil(ticks.length / 8));
  let capacity = count * 5;
  for (const [column, columnWide] of wide.entries()) {
    assert(ticks[column]?.length === count, 'a tick column is not parallel to the stacks');
    if (columnWide) mask[column >> 3] = (mask[column >> 3] as number) | (1 << (column & 7));
    capacity += count * (columnWide ? 10 : 5);
  }

  const body = bodyOf(capacity);
  const idBytes = packIds(stacks, body);
  let at = idBytes;
  const columnBytes: number[] = [];
  for (const [column, columnTicks] of ticks.entries()) {
    const end =
      wide[column] === true ? packWide(columnTicks, body, at) : packNarrow(columnTicks, body, at);
    columnBytes.push(end - at);
    at = end;
  }

  writer.u8(SPARSE_TAG).varint(count).varint(ticks.length).raw(mask).varint(idBytes);
  for (const bytes of columnBytes) writer.varint(bytes);
  writer.raw(body.subarray(0, at));
}

/** Scratch of the thread: the writer copies what was put into it. */
let scratch: Uint8Array = new Uint8Array(0);

function bodyOf(capacity: number): Uint8Array {
  // What is rarely large is not kept.
  if (capacity > SCRATCH_BYTES_MAX) return new Uint8Array(capacity);
  if (scratch.byteLength < capacity) scratch = new Uint8Array(2 * capacity);
  return scratch;
}

const SCRATCH_BYTES_MAX = 256 * 1024;

function isWide(ticks: Ticks): boolean {
  for (let i = 0; i < ticks.length; i++) if ((ticks[i] as number | bigint) >= TWO_32) return true;
  return false;
}

/** Writes the gaps to `out` from 0 and returns the end. */
function packIds(stacks: Uint32Array, out: Uint8Array): number {
  let at = 0;
  let previous = -1;
  for (let i = 0; i < stacks.length; i++) {
    const id = stacks[i] as number;
    assert(id > previous, 'stack ids do not ascend');
    at = putVarint(out, at, id - previous - 1);
    previous = id;
  }
  return at;
}

function packNarrow(ticks: Ticks, out: Uint8Array, start: number): number {
  let at = start;
  if (ticks instanceof Float64Array) {
    for (let i = 0; i < ticks.length; i++) {
      const tick = ticks[i] as number;
      assert(tick === tick >>> 0, 'a tick is negative or not whole');
      at = putVarint(out, at, tick);
    }
    return at;
  }
  for (let i = 0; i < ticks.length; i++) at = putVarint(out, at, Number(ticks[i]));
  return at;
}

function packWide(ticks: Ticks, out: Uint8Array, start: number): number {
  let at = start;
  for (let i = 0; i < ticks.length; i++) {
    const tick = ticks[i] as number | bigint;
    assert(typeof tick === 'bigint' || Number.isSafeInteger(tick), 'a tick beyond 2^53 as number');
    assert(tick >= 0, 'a tick is negative');
    if (tick < TWO_32) {
      at = putVarint(out, at, Number(tick));
      continue;
    }
    let rest = BigInt(tick);
    while (rest >= 0x80n) {
      out[at++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    out[at++] = Number(rest);
  }
  return at;
}
