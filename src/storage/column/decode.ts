import { ByteReader } from '../../base/bytes.ts';
import { TephraError } from '../../base/errors.ts';
import { SPARSE_TAG } from './encode.ts';
import type { Entries, Ticks } from './entries.ts';

/** Where the parts of encoded entries lie, as offsets into the bytes that hold them. */
export interface EntriesHeader {
  /** Entries. */
  readonly count: number;
  /** Start of the ids; they end at `columnAt[0]`. */
  readonly idsAt: number;
  /** One more than there are columns: column c is `[columnAt[c], columnAt[c + 1])`. */
  readonly columnAt: readonly number[];
  /** By column: whether a tick may lie beyond 2^32. */
  readonly columnWide: readonly boolean[];
  /** End of everything. */
  readonly end: number;
}

/**
 * Reads the lengths in front of the entries that fill `bytes[at, end)` exactly. Throws
 * `corrupt_block` where they contradict each other, `unknown_format_version` for another layout.
 */
export function readEntriesHeader(bytes: Uint8Array, at: number, end: number): EntriesHeader {
  const reader = new ByteReader(bytes, 'entries', at, end);
  const tag = reader.u8();
  if (tag !== SPARSE_TAG) {
    throw new TephraError('unknown_format_version', `entries: layout ${tag} at offset ${at}`);
  }
  const count = reader.varint();
  const columns = reader.varint();
  // Every column has a length byte at least: bounds the arrays below.
  if (columns > reader.left) reader.fail(`${columns} columns in ${reader.left} bytes`);
  const columnWide: boolean[] = [];
  for (let c = 0; c < columns; c += 8) {
    const mask = reader.u8();
    for (let bit = 0; bit < 8; bit++) {
      const set = ((mask >> bit) & 1) === 1;
      if (c + bit < columns) columnWide.push(set);
      else if (set) reader.fail('wide mask beyond the columns');
    }
  }
  const idBytes = reader.varint();
  if (count > idBytes) reader.fail(`${count} ids in ${idBytes} bytes`);
  const columnAt = [idBytes];
  let size = idBytes;
  for (let c = 0; c < columns; c++) {
    const columnBytes = reader.varint();
    if (count > columnBytes) reader.fail(`${count} ticks in ${columnBytes} bytes`);
    size += columnBytes;
    columnAt.push(size);
  }
  if (size !== reader.left) reader.fail(`columns of ${size} bytes in ${reader.left}`);
  const idsAt = reader.at;
  for (let c = 0; c <= columns; c++) columnAt[c] = (columnAt[c] as number) + idsAt;
  return { count, idsAt, columnAt, columnWide, end };
}

/** Decodes all entries in `bytes[at, end)`. Throws as {@link readEntriesHeader}. */
export function decodeEntries(bytes: Uint8Array, at: number, end: number): Entries {
  const header = readEntriesHeader(bytes, at, end);
  const ticks: Ticks[] = [];
  for (const column of header.columnWide.keys()) ticks.push(decodeTicks(bytes, header, column));
  return { stacks: decodeStacks(bytes, header), ticks };
}

/** The stack ids, strictly ascending; `into` has a place for each. */
export function decodeStacks(
  bytes: Uint8Array,
  header: EntriesHeader,
  into = new Uint32Array(header.count),
): Uint32Array {
  const stacks = into;
  const end = header.columnAt[0] as number;
  let at = header.idsAt;
  let id = -1;
  for (let i = 0; i < stacks.length; i++) {
    let gap = at < end ? (bytes[at++] as number) : failColumn('ids', at);
    if (gap >= 0x80) {
      gap &= 0x7f;
      let scale = 128;
      for (;;) {
        if (at >= end || scale > 0x1000_0000) failColumn('ids', at);
        const byte = bytes[at++] as number;
        gap += (byte & 0x7f) * scale;
        if (byte < 0x80) break;
        scale *= 128;
      }
    }
    id += gap + 1;
    if (id > 0xffff_ffff) failColumn('ids', at);
    stacks[i] = id;
  }
  if (at !== end) failColumn('ids', at);
  return stacks;
}

/** The ticks of one column. */
export function decodeTicks(bytes: Uint8Array, header: EntriesHeader, column: number): Ticks {
  const start = header.columnAt[column] as number;
  const end = header.columnAt[column + 1] as number;
  if (header.columnWide[column] === true) return decodeWide(bytes, header.count, start, end);
  const ticks = new Float64Array(header.count);
  let at = start;
  for (let i = 0; i < ticks.length; i++) {
    let tick = 0;
    let scale = 1;
    for (;;) {
      if (at >= end || scale > 0x1000_0000) failColumn('ticks', at);
      const byte = bytes[at++] as number;
      tick += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
    }
    if (tick > 0xffff_ffff) failColumn('ticks', at);
    ticks[i] = tick;
  }
  if (at !== end) failColumn('ticks', at);
  return ticks;
}

function decodeWide(bytes: Uint8Array, count: number, start: number, end: number): Ticks {
  const reader = new ByteReader(bytes, 'wide ticks', start, end);
  const ticks = new BigUint64Array(count);
  let max = 0n;
  for (let i = 0; i < count; i++) {
    const tick = reader.varintBig();
    ticks[i] = tick;
    if (tick > max) max = tick;
  }
  reader.expectEnd();
  return max <= BigInt(Number.MAX_SAFE_INTEGER) ? Float64Array.from(ticks, Number) : ticks;
}

/** Throws `corrupt_block` for a column. */
export function failColumn(what: string, at: number): never {
  throw new TephraError(
    'corrupt_block',
    `entries: ${what} do not fit their column at offset ${at}`,
  );
}
