/**
 * How a root lies in a volume, under `r/<name>`:
 *
 *     u8 format = 1 | varint version | 8 random bytes | the value | u32 CRC-32 of key and all before
 *
 * The token is version and random bytes: it never comes back, not even in a volume that was dropped
 * and made again, so a compare-and-set cannot mistake a newer value for the one it read.
 */
import { ByteReader, ByteWriter, hex } from '../../../base/bytes.ts';
import { TephraError } from '../../../base/errors.ts';
import { keyedCrc } from './pages.ts';

const FORMAT = 1;
const COMMIT_BYTES = 8;

/** A root as stored. */
export interface RootRecord {
  /** Counts the replacements, from 1. */
  readonly version: number;
  /** 8 random bytes of the write. */
  readonly commit: Uint8Array;
  readonly bytes: Uint8Array;
}

/** LevelDB key of the root `name`. */
export function rootKey(name: string): string {
  return `r/${name}`;
}

/** The token of a record, as callers show it. */
export function tokenOf(record: RootRecord): string {
  return `${record.version}-${hex(record.commit)}`;
}

/** Bytes of a record. */
export function encodeRoot(name: string, record: RootRecord): Uint8Array {
  const writer = new ByteWriter(32 + record.bytes.byteLength);
  writer.u8(FORMAT).varint(record.version).raw(record.commit).raw(record.bytes);
  return writer.u32(keyedCrc(rootKey(name), writer.view())).finish();
}

/** Reads a record; throws `corrupt_block` on damage, `unknown_format_version` on a newer one. */
export function decodeRoot(name: string, bytes: Uint8Array): RootRecord {
  const reader = new ByteReader(bytes, `root ${name}`);
  if (bytes.byteLength < 4) reader.fail('shorter than its checksum');
  const end = bytes.byteLength - 4;
  const stated = new ByteReader(bytes, `root ${name}`, end).u32();
  if (stated !== keyedCrc(rootKey(name), bytes.subarray(0, end))) reader.fail('wrong checksum');
  const format = reader.u8();
  if (format !== FORMAT) {
    throw new TephraError(
      'unknown_format_version',
      `root ${name}: expected format ${FORMAT}, found ${format}`,
    );
  }
  const version = reader.varint();
  const commit = reader.raw(COMMIT_BYTES);
  return { version, commit, bytes: reader.raw(reader.left - 4) };
}
