/**
 * The root of a partition: the one small value whose compare-and-set makes blocks, segments and
 * absorbed sequences true at the same instant.
 *
 *     +----------------------------------------------------------------------+
 *     | magic "TPRT" | version u8 = 1 | codec u8 = 0 | 0 | 0                  |
 *     | gen varint | commit 16 bytes | flags u8 (bit 0: dropped) | roll varint |
 *     | rolledBy: 24 varints                                                 |
 *     | incarnations varint, each:  incarnation varint | intervals varint,   |
 *     |     each: from - end of the interval before varint | to - from varint |
 *     | blocks varint, each: id | bytes varint | flags u8 (bit 0: rolled) |   |
 *     |     hours u24, bit h = hour h                                        |
 *     | segments varint, each: id | bytes varint                             |
 *     | outbox varint, each: roll varint | id                                |
 *     | trash varint, each: id | since varint, Unix ms                       |
 *     | tombstones varint, each: length varint | bytes                       |
 *     | CRC-32 u32 of all before                                             |
 *     +----------------------------------------------------------------------+
 *     id = length varint | bytes: the lower-case hex id, two digits a byte
 */
import { assert } from '../../base/assert.ts';
import { ByteWriter, fromHex } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { LIMITS } from '../../base/limits.ts';
import { type Envelope, writeHeader } from '../envelope.ts';
import { HOURS, writeHours } from '../hour-set.ts';
import type { Absorbed } from './absorbed.ts';

/** State of a partition; immutable: a commit makes a new one. */
export interface PartitionRoot {
  /** Raised by one with each commit; 0 = never committed. */
  readonly gen: number;
  /** 16 random bytes of the commit: tells whether a commit of unknown outcome was ours. */
  readonly commit: Uint8Array;
  /** Fragments whose sections for this partition are in the blocks. */
  readonly absorbed: Absorbed;
  readonly blocks: readonly RootBlock[];
  readonly segments: readonly RootSegment[];
  /** Hour rolls so far. */
  readonly roll: number;
  /** By hour of the day: number of the last roll that touched it, 0 = none. Always 24. */
  readonly rolledBy: readonly number[];
  /** Deltas of rolls that the coarser rungs have not got yet, in roll order. */
  readonly outbox: readonly { readonly roll: number; readonly id: string }[];
  /** Blobs that no reader of this root needs, with the time since when. */
  readonly trash: readonly { readonly id: string; readonly sinceMs: number }[];
  /** Deletions, opaque here. */
  readonly tombstones: readonly Uint8Array[];
  /** The data were removed by retention; what comes later is counted and ignored. */
  readonly dropped: boolean;
}

/** A block that the root names. */
export interface RootBlock {
  /** Lower-case hex of whole bytes. */
  readonly id: string;
  readonly bytes: number;
  /** Hours of the day, 0 to 23, ascending. */
  readonly hours: readonly number[];
  /** Made by an hour roll: counted in the coarser rungs. */
  readonly rolled: boolean;
}

/** A dictionary segment that the root names. */
export interface RootSegment {
  /** Lower-case hex of whole bytes. */
  readonly id: string;
  readonly bytes: number;
}

/** Frame of a root; it has a CRC instead of a directory. */
export const ROOT_ENVELOPE: Envelope = { what: 'root', magic: 'TPRT', version: 1 };

/** The root of a partition in which nothing was committed. */
export function emptyRoot(): PartitionRoot {
  return {
    gen: 0,
    commit: new Uint8Array(16),
    absorbed: new Map(),
    blocks: [],
    segments: [],
    roll: 0,
    rolledBy: Array.from({ length: HOURS }, () => 0),
    outbox: [],
    trash: [],
    tombstones: [],
    dropped: false,
  };
}

/** Bytes of a root; more than LIMITS.rootBytesMax is a bug of the caller (asserted). */
export function encodeRoot(root: PartitionRoot): Uint8Array {
  assert(root.commit.byteLength === 16, 'a commit id has 16 bytes');
  assert(root.rolledBy.length === HOURS, 'a day has 24 hours');
  const writer = new ByteWriter(1024);
  writeHeader(writer, ROOT_ENVELOPE);
  writer
    .varint(root.gen)
    .raw(root.commit)
    .u8(root.dropped ? 1 : 0)
    .varint(root.roll);
  for (const roll of root.rolledBy) writer.varint(roll);
  writeAbsorbed(writer, root.absorbed);
  writer.varint(root.blocks.length);
  for (const block of root.blocks) {
    writeId(writer, block.id);
    writer.varint(block.bytes).u8(block.rolled ? 1 : 0);
    writeHours(writer, block.hours);
  }
  writer.varint(root.segments.length);
  for (const segment of root.segments) {
    writeId(writer, segment.id);
    writer.varint(segment.bytes);
  }
  writer.varint(root.outbox.length);
  for (const delta of root.outbox) {
    writer.varint(delta.roll);
    writeId(writer, delta.id);
  }
  writer.varint(root.trash.length);
  for (const { id, sinceMs } of root.trash) {
    writeId(writer, id);
    writer.varint(sinceMs);
  }
  writer.varint(root.tombstones.length);
  for (const tombstone of root.tombstones) writer.block(tombstone);
  writer.u32(crc32(writer.view()));
  assert(writer.size <= LIMITS.rootBytesMax, `a root of ${writer.size} bytes`);
  return writer.finish();
}

function writeAbsorbed(writer: ByteWriter, absorbed: Absorbed): void {
  writer.varint(absorbed.size);
  for (const [incarnation, intervals] of [...absorbed].toSorted(([a], [b]) => a - b)) {
    writer.varint(incarnation).varint(intervals.length);
    let end = 0;
    for (const [from, to] of intervals) {
      // The varints refuse what does not ascend.
      writer.varint(from - end).varint(to - from);
      end = to;
    }
  }
}

function writeId(writer: ByteWriter, id: string): void {
  assert(/^(?:[0-9a-f]{2})+$/.test(id), 'an id is lower-case hex of whole bytes');
  writer.block(fromHex(id));
}
