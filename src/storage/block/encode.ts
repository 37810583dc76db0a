/**
 * A block: minute columns of all tenants and services of one partition, for one or more hours.
 *
 *     +------------------------------------------------------------------------+
 *     | header (8), see ../envelope.ts, magic "TPBL"                            |
 *     | section 0 | section 1 | ...      sorted by (tenant, service)           |
 *     | directory:                                                             |
 *     |   day varint | shard varint | hours u24, bit h = hour h                |
 *     |   sections varint, each:                                               |
 *     |     bytes varint | CRC-32 u32 | tenant text | service text             |
 *     |     first minute varint | last - first varint                          |
 *     |     hours varint, each: hour u8 | series varint, each: gap varint       |
 *     | footer (16)                                                            |
 *     +------------------------------------------------------------------------+
 *     section:
 *     +------------------------------------------------------------------------+
 *     | base incarnation varint | base seq varint                              |
 *     | families varint, each:                                                 |
 *     |   series varint, each: id zigzag to the one before                     |
 *     |   usual grains: for each series column varint | grain varint           |
 *     |   minutes varint, each: gap varint | bytes of its column varint        |
 *     | columns, family by family, minute by minute                            |
 *     +------------------------------------------------------------------------+
 *     column:
 *     +------------------------------------------------------------------------+
 *     | flags u8 (bit 0: grains of its own) [column varint | grain varint each] |
 *     | columns varint | sum of the ticks of each: varint                      |
 *     | pushes varint | bytes of the list varint                               |
 *     | list, each: offset - offset before varint | ref                        |
 *     |             | if there are several: ticks of each column varint        |
 *     | entries, see ../column/encode.ts, to the end                           |
 *     +------------------------------------------------------------------------+
 *     ref: flags u8 | [incarnation varint] | [hour zigzag] | seq zigzag | [index varint]
 *          bit 0: incarnation is not the base; bit 1: arrived in another hour than the minute's,
 *          so many hours later; bit 2: index is not 0; bit 3: not canonical. seq is the distance
 *          from the push before, from the base for the first.
 *
 * - Families begin with their lengths, so that a range of minutes is found without touching others.
 * - The first minute's grains stand once a family: they hardly ever change.
 * - A single push has the totals of its column; of several, each has its ticks in the column's grain.
 * - Gaps are to the number before, less one; the first is the number itself.
 */
import { assert } from '../../base/assert.ts';
import { ByteWriter } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { LIMITS } from '../../base/limits.ts';
import { DAY_MS, MINUTE_MS } from '../../base/time.ts';
import type { TypeColumn } from '../column/entries.ts';
import { columnCount, writeGrains, writeTickTotals } from '../column/types.ts';
import { type Envelope, writeDirectory, writeHeader } from '../envelope.ts';
import { hourMask, writeHours } from '../hour-set.ts';
import { type PushList, type RefBase, writePushes } from './pushes.ts';

/** One minute of a family. */
export interface MinuteColumn {
  /** Minute of the day, 0 to 1439. */
  readonly minute: number;
  /** One a series, in the order of the family's. */
  readonly types: readonly TypeColumn[];
  /** At least one, by offset. */
  readonly pushes: PushList;
  /** What `encodeEntries` writes. */
  readonly entries: Uint8Array;
}

/** All minutes of the series that one profile makes. */
export interface FamilyColumns {
  /** Series ids in the order of the sample types; at least one. */
  readonly series: readonly number[];
  /** Ascending, at least one. */
  readonly minutes: readonly MinuteColumn[];
}

/** All families of a (tenant, service). */
export interface BlockSection {
  readonly tenant: string;
  readonly service: string;
  readonly families: readonly FamilyColumns[];
}

/** A block; sections in any order, each (tenant, service) once. */
export interface Block {
  /** The partition: start of the UTC day, Unix ms. */
  readonly dayMs: number;
  readonly shard: number;
  /** Hours of the day, 0 to 23. */
  readonly hours: readonly number[];
  readonly sections: readonly BlockSection[];
}

/** Frame of a block. */
export const BLOCK_ENVELOPE: Envelope = { what: 'block', magic: 'TPBL', version: 1 };

/** Flag of a column: it has grains of its own. */
export const OWN_GRAINS = 1;
/** Minutes of a day and of an hour. */
export const MINUTES_PER_DAY = DAY_MS / MINUTE_MS;
export const MINUTES_PER_HOUR = 60;

/** The bytes of a block. Broken invariants of the types above are asserted. */
export function encodeBlock(block: Block): Uint8Array {
  assert(block.dayMs % DAY_MS === 0, 'a partition begins with its day');
  const writer = new ByteWriter(64 * 1024);
  writeHeader(writer, BLOCK_ENVELOPE);
  const directory = new ByteWriter(1024);
  const mask = hourMask(block.hours);
  directory.varint(block.dayMs / DAY_MS).varint(block.shard);
  writeHours(directory, block.hours);
  directory.varint(block.sections.length);
  let previous: BlockSection | undefined;
  for (const section of block.sections.toSorted(byName)) {
    assert(previous === undefined || byName(previous, section) < 0, 'a service twice in a block');
    previous = section;
    const at = writer.size;
    writeSection(writer, section, block.dayMs);
    const bytes = writer.view().subarray(at);
    directory.varint(bytes.byteLength).u32(crc32(bytes));
    writeEntry(directory, section, mask);
  }
  writeDirectory(writer, BLOCK_ENVELOPE, directory.view());
  assert(writer.size <= LIMITS.blobBytesMax, `a block of ${writer.size} bytes`);
  return writer.finish();
}

function writeEntry(directory: ByteWriter, section: BlockSection, blockHours: number): void {
  const seriesByHour = new Map<number, Set<number>>();
  let first = MINUTES_PER_DAY;
  let last = 0;
  for (const { series, minutes } of section.families) {
    for (const { minute } of minutes) {
      first = Math.min(first, minute);
      last = Math.max(last, minute);
      const hour = Math.floor(minute / MINUTES_PER_HOUR);
      let present = seriesByHour.get(hour);
      if (present === undefined) {
        assert(((blockHours >> hour) & 1) === 1, `minute ${minute} is not in the block's hours`);
        present = new Set();
        seriesByHour.set(hour, present);
      }
      for (const id of series) present.add(id);
    }
  }
  assert(first <= last && last < MINUTES_PER_DAY, 'a section without minutes, or beyond the day');
  directory
    .text(section.tenant)
    .text(section.service)
    .varint(first)
    .varint(last - first)
    .varint(seriesByHour.size);
  for (const [hour, present] of [...seriesByHour].toSorted(([a], [b]) => a - b)) {
    directory.u8(hour).varint(present.size);
    let before = -1;
    for (const id of [...present].toSorted((a, b) => a - b)) {
      directory.varint(id - before - 1);
      before = id;
    }
  }
}

function writeSection(writer: ByteWriter, section: BlockSection, dayMs: number): void {
  const families = section.families.toSorted((a, b) => firstSeries(a) - firstSeries(b));
  const [first] = families[0]?.minutes[0]?.pushes ?? [];
  assert(first !== undefined, 'a section without pushes');
  const base: RefBase = { dayMs, incarnation: first.ref.incarnation, seq: first.ref.seq };
  writer.varint(base.incarnation).varint(base.seq).varint(families.length);
  const columns = new ByteWriter(16 * 1024);
  for (const family of families) writeFamily(writer, columns, family, base);
  writer.raw(columns.view());
}

/** The family's head to `writer`, its columns to `columns`. */
function writeFamily(
  writer: ByteWriter,
  columns: ByteWriter,
  { series, minutes }: FamilyColumns,
  base: RefBase,
): void {
  assert(series.length > 0, 'a family without series');
  writer.varint(series.length);
  let before = 0;
  for (const id of series) {
    writer.zigzag(id - before);
    before = id;
  }
  const usual = minutes[0]?.types;
  assert(usual !== undefined, 'a family without minutes');
  writeGrains(writer, usual);
  writer.varint(minutes.length);
  let previous = -1;
  for (const column of minutes) {
    assert(
      column.types.length === series.length && column.types.every((t, i) => t.series === series[i]),
      'the types of a minute are not the series of its family',
    );
    const at = columns.size;
    writeColumn(columns, column, usual, base);
    writer.varint(column.minute - previous - 1).varint(columns.size - at);
    previous = column.minute;
  }
}

function writeColumn(
  writer: ByteWriter,
  { minute, types, pushes, entries }: MinuteColumn,
  usual: readonly TypeColumn[],
  base: RefBase,
): void {
  const same = types.every((t, i) => t.grain === usual[i]?.grain && t.column === usual[i]?.column);
  writer.u8(same ? 0 : OWN_GRAINS);
  if (!same) writeGrains(writer, types);
  writer.varint(columnCount(types));
  writeTickTotals(writer, types);
  const list = new ByteWriter(64);
  writePushes(list, pushes, types, minute, base);
  writer.varint(pushes.length).block(list.view()).raw(entries);
}

function byName(a: BlockSection, b: BlockSection): number {
  if (a.tenant !== b.tenant) return a.tenant < b.tenant ? -1 : 1;
  if (a.service !== b.service) return a.service < b.service ? -1 : 1;
  return 0;
}

function firstSeries(family: FamilyColumns): number {
  return family.series[0] ?? 0;
}
