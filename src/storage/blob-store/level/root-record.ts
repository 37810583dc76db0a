/**
 * How a root lies in a volume, under `r/<name>`:
 *
 *     u8 format = 1 | varint version | 8 random bytes | the value | u32 CRC-32 of key and all before
 *
 * and once more under `a/<name>`, in the same batch, with a checksum of its own key: far from each other
 * in the order of keys, so that damage seldom meets both. A reader takes the higher version of what is
 * whole. A root is a few bytes and names everything else.
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

/** LevelDB key of the second copy of the root `name`. */
export function rootCopyKey(name: string): string {
  return `a/${name}`;
}

/** The token of a record, as callers show it. */
export function tokenOf(record: RootRecord): string {
  return `${record.version}-${hex(record.commit)}`;
}

/** Bytes of a record under `key`. */
export function encodeRoot(key: string, record: RootRecord): Uint8Array {
  const writer = new ByteWriter(32 + record.bytes.byteLength);
  writer.u8(FORMAT).varint(record.version).raw(record.commit).raw(record.bytes);
  return writer.u32(keyedCrc(key, writer.view())).finish();
}

/** Reads a record; throws `corrupt_block` on damage, `unknown_format_version` on a newer one. */
export function decodeRoot(key: string, bytes: Uint8Array): RootRecord {
  const what = `root ${key.slice(2)}`;
  const reader = new ByteReader(bytes, what);
  if (bytes.byteLength < 4) reader.fail('shorter than its checksum');
  const end = bytes.byteLength - 4;
  const stated = new ByteReader(bytes, what, end).u32();
  if (stated !== keyedCrc(key, bytes.subarray(0, end))) reader.fail('wrong checksum');
  const format = reader.u8();
  if (format !== FORMAT) {
    throw new TephraError(
      'unknown_format_version',
      `${what}: expected format ${FORMAT}, found ${format}`,
    );
  }
  const version = reader.varint();
  const commit = reader.raw(COMMIT_BYTES);
  return { version, commit, bytes: reader.raw(reader.left - 4) };
}

/** What two copies of a root tell. */
export interface StoredRoot {
  readonly record: RootRecord | null;
  /** One of them is damaged, missing or older: the next replacement heals it. */
  readonly degraded: boolean;
}

/**
 * The root in its two copies, either of which may be missing. Throws `corrupt_block` if none is whole
 * although one is there, `unknown_format_version` if one is newer.
 */
export function chooseRoot(
  name: string,
  first: Uint8Array | undefined,
  second: Uint8Array | undefined,
): StoredRoot {
  if (first === undefined && second === undefined) return { record: null, degraded: false };
  const copies: RootRecord[] = [];
  let damage: TephraError | undefined;
  for (const [key, bytes] of [
    [rootKey(name), first],
    [rootCopyKey(name), second],
  ] as const) {
    if (bytes === undefined) continue;
    try {
      copies.push(decodeRoot(key, bytes));
    } catch (thrown) {
      damage = TephraError.from(thrown);
      if (damage.reason !== 'corrupt_block') throw damage;
    }
  }
  const [one, other] = copies;
  if (one === undefined) throw damage ?? new TephraError('corrupt_block', `root ${name}`);
  const degraded = other === undefined || other.version !== one.version;
  return { record: other !== undefined && other.version > one.version ? other : one, degraded };
}
