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
import { ByteWriter } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { LIMITS } from '../../base/limits.ts';
import { DAY_MS, HOUR_MS } from '../../base/time.ts';
import type { Entries, TypeColumn } from '../column/entries.ts';
import type { EncodedEntries } from '../column/pack.ts';
import {
  lengthsAtLeast,
  NO_LENGTHS,
  type TableLengths,
  writeLengths,
} from '../dictionary/lengths.ts';
import { type Envelope, writeDirectory, writeHeader } from '../envelope.ts';
import { PushWriter } from './push-writer.ts';

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
export interface FragmentSection<Pushes = readonly FragmentPush[]> {
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
  readonly pushes: Pushes;
}

/** One flush. */
export interface Fragment<Pushes = readonly FragmentPush[]> {
  readonly incarnation: number;
  readonly seq: number;
  readonly shard: number;
  /** Start of the hour of arrival, Unix ms. */
  readonly arrivalHourMs: number;
  /** Earlier sequences that were never stored. */
  readonly skipped: readonly number[];
  readonly sections: readonly FragmentSection<Pushes>[];
}

/** Pushes, or what they were encoded to as they came. */
export type AnyPushes = readonly FragmentPush[] | PushWriter;

/** Frame of a fragment. */
export const FRAGMENT_ENVELOPE: Envelope = { what: 'fragment', magic: 'TPFR', version: 1 };

/** The bytes of a fragment. Broken invariants of the types above are asserted. */
export function encodeFragment(fragment: Fragment<AnyPushes>): Uint8Array {
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
    const pushes = written(section);
    writer.block(section.slice).raw(pushes.bytes);
    const bytes = writer.view().subarray(at);
    directory.varint(bytes.byteLength).u32(crc32(bytes));
    writeEntry(directory, section, pushes);
  }
  writeDirectory(writer, FRAGMENT_ENVELOPE, directory.view());
  assert(writer.size <= LIMITS.blobBytesMax, `a fragment of ${writer.size} bytes`);
  return writer.finish();
}

/** The pushes of a section as its bytes have them. */
function written({ dayMs, pushes }: FragmentSection<AnyPushes>): PushWriter {
  if (pushes instanceof PushWriter) return pushes;
  PUSHES.begin(dayMs);
  for (const push of pushes) PUSHES.add(push);
  return PUSHES;
}

function writeEntry(
  directory: ByteWriter,
  section: FragmentSection<unknown>,
  pushes: PushWriter,
): void {
  const { dayMs, seed, from, to } = section;
  assert(dayMs % DAY_MS === 0, 'a partition begins with its day');
  assert(pushes.dayMs === dayMs, 'pushes of another day');
  assert(pushes.count > 0, 'a section without pushes');
  assert(lengthsAtLeast(from, seed) && lengthsAtLeast(to, from), 'table lengths shrink');
  directory
    .text(section.tenant)
    .text(section.service)
    .varint(dayMs / DAY_MS)
    .varint(section.epoch);
  writeLengths(directory, seed, NO_LENGTHS);
  writeLengths(directory, from, seed);
  writeLengths(directory, to, from);
  directory
    .varint(pushes.first)
    .varint(pushes.last - pushes.first)
    .varint(pushes.count)
    .raw(pushes.keys);
}

/**
 * Scratch of the thread: fragments are written many times a second, each larger than what the last
 * one would have freed by then. What is rarely that large is not kept.
 */
const BODY = new ByteWriter(64 * 1024);
const DIRECTORY = new ByteWriter(1024);
const PUSHES = new PushWriter();
const SCRATCH_BYTES_MAX = 2 * LIMITS.flushBytes;
