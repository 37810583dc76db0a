import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { TephraError } from '../../base/errors.ts';
import type { BlobStore } from '../blob-store/contract.ts';

/**
 * The head mark of a shard in a raw volume: by incarnation, the sequence below which every fragment is
 * absorbed by every partition it touches. Opening reads nothing below it. It is a hint that only ever
 * grows: an old one costs time, never data.
 *
 *     CRC-32 of the rest (u32), count (varint), then per incarnation: incarnation, seq (varints)
 */
export type HeadMark = ReadonlyMap<number, number>;

/** Name of the mark's root. */
export function headMarkName(volume: string, shard: number): string {
  return `${volume}/m/${String(shard).padStart(2, '0')}`;
}

/** The shard whose mark a root of this name is; undefined if it is no mark's. */
export function headMarkShard(name: string): number | undefined {
  const match = /^raw\/[^/]+\/m\/(\d{2})$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** The mark, or an empty one. */
export async function readHeadMark(
  store: BlobStore,
  volume: string,
  shard: number,
): Promise<HeadMark> {
  try {
    const root = await store.readRoot(headMarkName(volume, shard));
    return root === null ? new Map() : decodeHeadMark(root.bytes);
  } catch (thrown) {
    // A damaged hint is none; what is set aside is told by whoever reads the fragments.
    if (TephraError.from(thrown).reason === 'corrupt_block') return new Map();
    throw thrown;
  }
}

/** Replaces the mark; loses silently against a writer that was faster, which is harmless. */
export async function writeHeadMark(
  store: BlobStore,
  volume: string,
  shard: number,
  mark: HeadMark,
): Promise<void> {
  const name = headMarkName(volume, shard);
  const present = await store.readRoot(name);
  await store.casRoot(name, present?.token ?? null, encodeHeadMark(mark));
}

/** Bytes of a mark. */
export function encodeHeadMark(mark: HeadMark): Uint8Array {
  const body = new ByteWriter().varint(mark.size);
  for (const [incarnation, seq] of [...mark].toSorted(([a], [b]) => a - b)) {
    body.varint(incarnation).varint(seq);
  }
  return new ByteWriter().u32(crc32(body.view())).raw(body.view()).finish();
}

/** The mark in `bytes`; a damaged one counts as none, since it is a hint. */
export function decodeHeadMark(bytes: Uint8Array): HeadMark {
  const mark = new Map<number, number>();
  if (bytes.byteLength < 5) return mark;
  const reader = new ByteReader(bytes, 'head mark');
  const checksum = reader.u32();
  if (crc32(bytes.subarray(4)) !== checksum) return mark;
  for (let left = reader.varint(); left > 0; left--) {
    const incarnation = reader.varint();
    mark.set(incarnation, reader.varint());
  }
  return mark;
}
