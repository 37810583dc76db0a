/**
 * A fragment: everything that one flush of one shard makes durable.
 *
 *     +------------------------------------------------------------------------+
 *     | header (8), see ../envelope.ts, magic "TPFR"                            |
 *     | section 0 | section 1 | ...                                            |
 *     | directory:                                                             |
 *     |   incarnation varint | seq varint | shard varint | arrival hour varint  |
 *     |   skipped varint, each: seq varint                                     |
 *     |   sections varint, each:                                               |
 *     |     bytes varint | CRC-32 u32 | tenant text | service text             |
 *     |     day varint | epoch varint                                          |
 *     |     seed 6 varints | from - seed 6 varints | to - from 6 varints       |
 *     |     first start varint | last - first varint                           |
 *     |     pushes varint | key of each push: 16 bytes                         |
 *     | footer (16)                                                            |
 *     +------------------------------------------------------------------------+
 *     section:
 *     +------------------------------------------------------------------------+
 *     | slice: length varint | bytes                                           |
 *     | each push:                                                             |
 *     |   profile id: tag u8 (0 none, 1 UUID: 16 bytes, 2 text)                |
 *     |   start varint | duration varint                                       |
 *     |   types varint, each: series varint | column varint | grain varint     |
 *     |   columns varint, each: sum of its ticks varint                        |
 *     |   groups varint, each: flags u8 (1 span, 2 trace) | span 8 | trace 16   |
 *     |     | length varint | entries, see ../column/encode.ts                 |
 *     +------------------------------------------------------------------------+
 *
 * - Days count from 1970, arrival hours too; starts are ms of the day, durations ms.
 * - Keys and ranges stand in the directory: the duplicate memory is rebuilt from directories alone.
 * - Sections follow each other from offset 8 and end where the directory begins; each has its own
 *   CRC, so that damage costs one section.
 */
import { assert } from '../../base/assert.ts';
import { ByteWriter, fromHex } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { LIMITS } from '../../base/limits.ts';
import { DAY_MS, HOUR_MS } from '../../base/time.ts';
import { encodeEntries } from '../column/encode.ts';
import type { Entries, TypeColumn } from '../column/entries.ts';
import type { EncodedEntries } from '../column/pack.ts';
import { columnCount, writeGrains, writeTickTotals } from '../column/types.ts';
import {
  lengthsAtLeast,
  NO_LENGTHS,
  type TableLengths,
  writeLengths,
} from '../dictionary/lengths.ts';
import { type Envelope, writeDirectory, writeHeader } from '../envelope.ts';

/** Entries of a push that belong to one span and trace. */
export interface PushGroup {
  /** 16 hex digits, or ''. */
  readonly spanId: string;
  /** 32 hex digits, or ''. */
  readonly traceId: string;
  /** Has the columns that the push's types name. */
  readonly entries: Entries | EncodedEntries;
}

/** One profile of one family. */
export interface FragmentPush {
  /** Push identity, 16 bytes; all zero = none. */
  readonly key: Uint8Array;
  /** '' = none. */
  readonly profileId: string;
  /** Unix ms, whole, within the day of the section. */
  readonly startMs: number;
  /** Whole. */
  readonly durationMs: number;
  /** Totals are sums over all groups. */
  readonly types: readonly TypeColumn[];
  readonly groups: readonly PushGroup[];
}

/** What a fragment holds of one (partition, tenant, service). */
export interface FragmentSection {
  readonly tenant: string;
  readonly service: string;
  /** The partition: start of the UTC day, Unix ms. */
  readonly dayMs: number;
  /** Of the writer's scope. */
  readonly epoch: number;
  /** Lengths of the canonical dictionary when the epoch began: ids below are canonical. */
  readonly seed: TableLengths;
  /** The slice has the rows `[from, to)` of each table. */
  readonly from: TableLengths;
  readonly to: TableLengths;
  /** Encoded rows, opaque here. */
  readonly slice: Uint8Array;
  /** At least one. */
  readonly pushes: readonly FragmentPush[];
}

/** One flush. */
export interface Fragment {
  readonly incarnation: number;
  readonly seq: number;
  readonly shard: number;
  /** Start of the hour of arrival, Unix ms. */
  readonly arrivalHourMs: number;
  /** Earlier sequences that were never stored. */
  readonly skipped: readonly number[];
  readonly sections: readonly FragmentSection[];
}

/** Frame of a fragment. */
export const FRAGMENT_ENVELOPE: Envelope = { what: 'fragment', magic: 'TPFR', version: 1 };

/** Bytes of a push key. */
export const KEY_BYTES = 16;
/** Tags of the profile id. */
export const PROFILE_ID_NONE = 0;
export const PROFILE_ID_UUID = 1;
export const PROFILE_ID_TEXT = 2;
/** Flags of a group. */
export const GROUP_HAS_SPAN = 1;
export const GROUP_HAS_TRACE = 2;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The bytes of a fragment. Broken invariants of the types above are asserted. */
export function encodeFragment(fragment: Fragment): Uint8Array {
  assert(fragment.arrivalHourMs % HOUR_MS === 0, 'an arrival hour begins on the hour');
  const writer = BODY;
  writer.reset(SCRATCH_BYTES_MAX);
  writeHeader(writer, FRAGMENT_ENVELOPE);
  const directory = DIRECTORY;
  directory.reset(SCRATCH_BYTES_MAX);
  directory
    .varint(fragment.incarnation)
    .varint(fragment.seq)
    .varint(fragment.shard)
    .varint(fragment.arrivalHourMs / HOUR_MS)
    .varint(fragment.skipped.length);
  for (const seq of fragment.skipped) directory.varint(seq);
  directory.varint(fragment.sections.length);
  for (const section of fragment.sections) {
    const at = writer.size;
    writeSection(writer, section);
    const bytes = writer.view().subarray(at);
    directory.varint(bytes.byteLength).u32(crc32(bytes));
    writeEntry(directory, section);
  }
  writeDirectory(writer, FRAGMENT_ENVELOPE, directory.view());
  assert(writer.size <= LIMITS.blobBytesMax, `a fragment of ${writer.size} bytes`);
  return writer.finish();
}

function writeEntry(directory: ByteWriter, section: FragmentSection): void {
  const { dayMs, seed, from, to, pushes } = section;
  assert(dayMs % DAY_MS === 0, 'a partition begins with its day');
  assert(pushes.length > 0, 'a section without pushes');
  assert(lengthsAtLeast(from, seed) && lengthsAtLeast(to, from), 'table lengths shrink');
  let first = DAY_MS;
  let last = 0;
  for (const { startMs } of pushes) {
    first = Math.min(first, startMs - dayMs);
    last = Math.max(last, startMs - dayMs);
  }
  assert(first >= 0 && last < DAY_MS, 'a push starts outside of its partition');
  directory
    .text(section.tenant)
    .text(section.service)
    .varint(dayMs / DAY_MS)
    .varint(section.epoch);
  writeLengths(directory, seed, NO_LENGTHS);
  writeLengths(directory, from, seed);
  writeLengths(directory, to, from);
  directory
    .varint(first)
    .varint(last - first)
    .varint(pushes.length);
  for (const { key } of pushes) {
    assert(key.byteLength === KEY_BYTES, 'a push key has 16 bytes');
    directory.raw(key);
  }
}

function writeSection(writer: ByteWriter, section: FragmentSection): void {
  writer.block(section.slice);
  for (const push of section.pushes) writePush(writer, push, section.dayMs);
}

function writePush(writer: ByteWriter, push: FragmentPush, dayMs: number): void {
  const { profileId, types, groups } = push;
  if (profileId === '') {
    writer.u8(PROFILE_ID_NONE);
  } else if (UUID.test(profileId)) {
    writer.u8(PROFILE_ID_UUID).raw(fromHex(profileId.replaceAll('-', '')));
  } else {
    writer.u8(PROFILE_ID_TEXT).text(profileId);
  }
  writer.varint(push.startMs - dayMs).varint(push.durationMs);

  writer.varint(types.length);
  for (const type of types) {
    writer.varint(type.series);
    writeGrains(writer, [type]);
  }
  const columns = columnCount(types);
  writer.varint(columns);
  writeTickTotals(writer, types);

  writer.varint(groups.length);
  for (const group of groups) {
    const { entries } = group;
    const present = 'bytes' in entries ? entries.columns : entries.ticks.length;
    assert(present === columns, 'a group lacks columns of the push');
    writeIds(writer, group);
    if ('bytes' in entries) {
      writer.varint(entries.end - entries.at).part(entries.bytes, entries.at, entries.end);
      continue;
    }
    ENTRIES.reset();
    encodeEntries(ENTRIES, entries);
    writer.block(ENTRIES.view());
  }
}

/**
 * Scratch of the thread: fragments are written many times a second, each larger than what the last
 * one would have freed by then. What is rarely that large is not kept.
 */
const BODY = new ByteWriter(64 * 1024);
const DIRECTORY = new ByteWriter(1024);
const ENTRIES = new ByteWriter(16 * 1024);
const SCRATCH_BYTES_MAX = 2 * LIMITS.flushBytes;

function writeIds(writer: ByteWriter, { spanId, traceId }: PushGroup): void {
  if (spanId === '' && traceId === '') {
    writer.u8(0);
    return;
  }
  assert(spanId === '' || /^[0-9a-f]{16}$/.test(spanId), 'a span id has 16 hex digits');
  assert(traceId === '' || /^[0-9a-f]{32}$/.test(traceId), 'a trace id has 32 hex digits');
  writer.u8((spanId === '' ? 0 : GROUP_HAS_SPAN) | (traceId === '' ? 0 : GROUP_HAS_TRACE));
  writer.raw(fromHex(spanId)).raw(fromHex(traceId));
}
