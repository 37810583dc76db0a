import { assert } from '../../base/assert.ts';
import { ByteReader } from '../../base/bytes.ts';
import { DAY_MS } from '../../base/time.ts';
import type { TypeColumn } from '../column/entries.ts';
import { readBig, readGrain, valueTotal } from '../column/types.ts';
import {
  checkDirectory,
  checkHeader,
  checkSection,
  FOOTER_BYTES,
  HEADER_BYTES,
  readDirectoryAt,
} from '../envelope.ts';
import { readHours } from '../hour-set.ts';
import { readList } from '../read-list.ts';
import { BLOCK_ENVELOPE, MINUTES_PER_DAY, MINUTES_PER_HOUR, OWN_GRAINS } from './encode.ts';
import { type PushEntry, type RefBase, readPushes } from './pushes.ts';

/** Bytes at the end of a block that {@link blockDirectoryAt} needs. */
export const BLOCK_FOOTER_BYTES = FOOTER_BYTES;

/** What a block holds, without its columns; small, made to be cached. */
export interface BlockDirectory {
  /** Start of the UTC day, Unix ms. */
  readonly dayMs: number;
  readonly shard: number;
  /** Hours of the day, ascending. */
  readonly hours: readonly number[];
  /** By (tenant, service), ascending. */
  readonly sections: readonly BlockEntry[];
}

/** Section of one (tenant, service). */
export interface BlockEntry {
  readonly tenant: string;
  readonly service: string;
  /** Start of the UTC day, Unix ms. */
  readonly dayMs: number;
  /** First and last minute of the day with data. */
  readonly firstMinute: number;
  readonly lastMinute: number;
  /** Series with data, by hour. */
  readonly hours: readonly HourSeries[];
  /** The section is `[at, end)` of the block. */
  readonly at: number;
  readonly end: number;
  /** CRC-32 of the section. */
  readonly crc: number;
}

/** Series ids, ascending, with data in an hour of the day. */
export interface HourSeries {
  readonly hour: number;
  readonly series: readonly number[];
}

/** Section with its families; nothing of the columns is read yet. */
export interface BlockSectionView {
  /** The section's bytes; all offsets below refer to them. */
  readonly bytes: Uint8Array;
  readonly base: RefBase;
  readonly families: readonly FamilyView[];
}

/** One family: minute i has the column `[columnAt[i], columnAt[i + 1])`. */
export interface FamilyView {
  readonly series: readonly number[];
  /** Ascending minutes of the day. */
  readonly minutes: Uint16Array;
  /** One row more than there are minutes. */
  readonly columnAt: Uint32Array;
  /** Column and grain by type, where a minute has none of its own. */
  readonly usual: readonly { readonly column: number; readonly grain: bigint }[];
}

/** One minute: `entries` are `[entriesAt, entriesEnd)` of the section's bytes. */
export interface MinuteView {
  /** Minute of the day. */
  readonly minute: number;
  readonly types: readonly TypeColumn[];
  readonly pushCount: number;
  readonly pushesAt: number;
  readonly entriesAt: number;
  readonly entriesEnd: number;
}

/** The directory of a whole block. Throws `corrupt_block`, `unknown_format_version`. */
export function decodeBlock(bytes: Uint8Array): BlockDirectory {
  checkHeader(new ByteReader(bytes, 'block'), BLOCK_ENVELOPE);
  const directoryAt = blockDirectoryAt(bytes, bytes.byteLength);
  return readBlockDirectory(bytes.subarray(directoryAt), directoryAt);
}

/** Offset of the directory, from the last BLOCK_FOOTER_BYTES or more of a block of `fileBytes`. */
export function blockDirectoryAt(footer: Uint8Array, fileBytes: number): number {
  return readDirectoryAt(new ByteReader(footer, 'block'), BLOCK_ENVELOPE, fileBytes);
}

/** The directory, from the bytes `[directoryAt, end)` of a block (footer included). */
export function readBlockDirectory(tail: Uint8Array, directoryAt: number): BlockDirectory {
  const reader = new ByteReader(checkDirectory(tail, BLOCK_ENVELOPE), 'block directory');
  const dayMs = reader.varint() * DAY_MS;
  const shard = reader.varint();
  const hours = readHours(reader);
  let at = HEADER_BYTES;
  const sections = readList(reader, 8, () => {
    const entry = readEntry(reader, at, dayMs);
    at = entry.end;
    return entry;
  });
  if (at !== directoryAt) reader.fail(`sections end at ${at} and not at ${directoryAt}`);
  reader.expectEnd();
  return { dayMs, shard, hours, sections };
}

function readEntry(reader: ByteReader, at: number, dayMs: number): BlockEntry {
  const end = at + reader.varint();
  const crc = reader.u32();
  const tenant = reader.text();
  const service = reader.text();
  const firstMinute = reader.varint();
  const lastMinute = firstMinute + reader.varint();
  if (lastMinute >= MINUTES_PER_DAY) reader.fail(`minute ${lastMinute} of a day`);
  const hours = readList(reader, 2, () => {
    const hour = reader.u8();
    let id = -1;
    const series = readList(reader, 1, () => {
      id += reader.varint() + 1;
      return id;
    });
    return { hour, series };
  });
  return { tenant, service, dayMs, firstMinute, lastMinute, hours, at, end, crc };
}

/**
 * Families of a section; `bytes` are exactly those of the section. Throws `corrupt_block`. Without
 * `isChecked` the checksum is not asked: for what can be saved from a damaged section.
 */
export function decodeBlockSection(
  bytes: Uint8Array,
  entry: BlockEntry,
  isChecked = true,
): BlockSectionView {
  const what = `block section ${entry.tenant}/${entry.service}`;
  if (isChecked) checkSection(bytes, entry.crc, what);
  const reader = new ByteReader(bytes, what);
  const base = { dayMs: entry.dayMs, incarnation: reader.varint(), seq: reader.varint() };
  let columnsSize = 0;
  const families = readList(reader, 6, () => {
    const family = readFamily(reader, columnsSize);
    columnsSize = family.columnAt.at(-1) ?? columnsSize;
    return family;
  });
  if (columnsSize !== reader.left) reader.fail(`columns of ${columnsSize} bytes`);
  const columnsAt = reader.at;
  for (const { columnAt } of families) {
    for (let i = 0; i < columnAt.length; i++) columnAt[i] = (columnAt[i] as number) + columnsAt;
  }
  return { bytes, base, families };
}

/** A family whose columns begin `start` bytes behind the first column of the section. */
function readFamily(reader: ByteReader, start: number): FamilyView {
  let id = 0;
  const series = readList(reader, 3, () => {
    id += reader.zigzag();
    return id;
  });
  const usual = series.map(() => readGrain(reader, Number.MAX_SAFE_INTEGER));
  const count = reader.varint();
  if (count > MINUTES_PER_DAY) reader.fail(`${count} minutes`);
  const minutes = new Uint16Array(count);
  const columnAt = new Uint32Array(count + 1);
  columnAt[0] = start;
  let minute = -1;
  let at = start;
  for (let i = 0; i < count; i++) {
    minute += reader.varint() + 1;
    at += reader.varint();
    if (minute >= MINUTES_PER_DAY) reader.fail(`minute ${minute} of a day`);
    // Also keeps the offsets within 32 bits.
    if (at > reader.bytes.byteLength) reader.fail(`column end ${at}`);
    minutes[i] = minute;
    columnAt[i + 1] = at;
  }
  return { series, minutes, columnAt, usual };
}

/** Indices `[from, to)` of the family's minutes in `[firstMinute, lastMinute]`. */
export function minuteRange(
  family: FamilyView,
  firstMinute: number,
  lastMinute: number,
): { readonly from: number; readonly to: number } {
  return { from: seekGe(family.minutes, firstMinute), to: seekGe(family.minutes, lastMinute + 1) };
}

/** Index of the first minute >= `minute`. */
function seekGe(minutes: Uint16Array, minute: number): number {
  let low = 0;
  let high = minutes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((minutes[middle] as number) < minute) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Minute `i` of a family; neither pushes nor entries are decoded. Throws `corrupt_block`. */
export function readMinute(section: BlockSectionView, family: FamilyView, i: number): MinuteView {
  const minute = family.minutes[i];
  assert(minute !== undefined, 'a minute beyond the family');
  const entriesEnd = family.columnAt[i + 1] as number;
  const reader = new ByteReader(section.bytes, 'minute column', family.columnAt[i], entriesEnd);
  const flags = reader.u8();
  if (flags > OWN_GRAINS) reader.fail(`unknown flags ${flags}`);
  const grains =
    flags === 0 ? family.usual : family.usual.map(() => readGrain(reader, Number.MAX_SAFE_INTEGER));
  const ticks = readList(reader, 1, () => readBig(reader));
  const types: TypeColumn[] = [];
  for (const [t, series] of family.series.entries()) {
    const { column, grain } = grains[t] as { column: number; grain: bigint };
    const total = ticks[column];
    if (total === undefined) return reader.fail(`column ${column} of ${ticks.length}`);
    types.push({ series, grain, total: valueTotal(total, grain), column });
  }
  const pushCount = reader.varint();
  const pushBytes = reader.varint();
  if (pushCount > pushBytes) reader.fail(`${pushCount} pushes in ${pushBytes} bytes`);
  const pushesAt = reader.at;
  reader.raw(pushBytes);
  return { minute, types, pushCount, pushesAt, entriesAt: reader.at, entriesEnd };
}

/** The pushes of a minute, by offset. Throws `corrupt_block`. */
export function readMinutePushes(section: BlockSectionView, minute: MinuteView): PushEntry[] {
  const reader = new ByteReader(section.bytes, 'list of pushes', minute.pushesAt, minute.entriesAt);
  return readPushes(reader, minute.pushCount, minute.types, minute.minute, section.base);
}

// Hours of the directory are hours of the day.
assert(MINUTES_PER_DAY === 24 * MINUTES_PER_HOUR, 'a day has 24 hours');
