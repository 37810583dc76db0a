import { TephraError } from '../../base/errors.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { blockKey } from '../keys.ts';
import type { RootBlock } from '../root/encode.ts';
import {
  BLOCK_FOOTER_BYTES,
  blockDirectoryAt,
  decodeBlock,
  decodeBlockSection,
  readBlockDirectory,
} from './decode.ts';
import type { BlockDirectory, BlockEntry, BlockSectionView } from './decode.ts';

/** Bytes of the first read of a directory: the directory of a usual block is within them. */
const TAIL_BYTES = 16 * 1024;

/**
 * The directory of a block that a root names, read from its tail. Rejects with `read_restarted` if the
 * block is gone: the root was replaced meanwhile.
 */
export async function readDirectory(
  store: BlobStore,
  dayMs: number,
  shard: number,
  block: RootBlock,
): Promise<BlockDirectory> {
  const key = blockKey(dayMs, shard, block.id);
  const start = Math.max(0, block.bytes - TAIL_BYTES);
  const tail = await store.get(key, { start, end: block.bytes });
  if (tail === null) throw blockGone(key);
  const directoryAt = blockDirectoryAt(tail.subarray(-BLOCK_FOOTER_BYTES), block.bytes);
  if (directoryAt >= start) {
    return readBlockDirectory(tail.subarray(directoryAt - start), directoryAt);
  }
  const whole = await store.get(key, { start: directoryAt, end: block.bytes });
  if (whole === null) throw blockGone(key);
  return readBlockDirectory(whole, directoryAt);
}

/** The bytes of one section, not checked yet. Rejects with `read_restarted` if the block is gone. */
export async function readSectionBytes(
  store: BlobStore,
  dayMs: number,
  shard: number,
  block: RootBlock,
  entry: BlockEntry,
): Promise<Uint8Array> {
  const key = blockKey(dayMs, shard, block.id);
  const bytes = await store.get(key, { start: entry.at, end: entry.end });
  if (bytes === null) throw blockGone(key);
  return bytes;
}

/**
 * A section whose checksum does not fit, as far as it still decodes; undefined where nothing does.
 * Whoever reads it must not believe anything that is said only once.
 */
export async function readDamagedSection(
  store: BlobStore,
  dayMs: number,
  shard: number,
  block: RootBlock,
  entry: BlockEntry,
): Promise<BlockSectionView | undefined> {
  try {
    const bytes = await readSectionBytes(store, dayMs, shard, block, entry);
    return decodeBlockSection(bytes, entry, false);
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (error.reason === 'corrupt_block') return undefined;
    throw error;
  }
}

/** Every section of a block. Rejects with `read_restarted` if the block is gone. */
export async function readBlockSections(
  store: BlobStore,
  dayMs: number,
  shard: number,
  block: RootBlock,
): Promise<{ readonly entry: BlockEntry; readonly view: BlockSectionView }[]> {
  const key = blockKey(dayMs, shard, block.id);
  const bytes = await store.get(key);
  if (bytes === null) throw blockGone(key);
  return decodeBlock(bytes).sections.map((entry) => ({
    entry,
    view: decodeBlockSection(bytes.subarray(entry.at, entry.end), entry),
  }));
}

function blockGone(key: string): TephraError {
  return new TephraError('read_restarted', `block ${key} was removed while it was read`);
}
