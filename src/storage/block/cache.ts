import type { BlobStore } from '../blob-store/contract.ts';
import { blockKey } from '../keys.ts';
import type { RootBlock } from '../root/encode.ts';
import { decodeBlockSection } from './decode.ts';
import type { BlockDirectory, BlockEntry, BlockSectionView } from './decode.ts';
import { readDirectory, readSectionBytes } from './read.ts';

/**
 * Directories and sections of blocks by use, within a budget of bytes. Blocks never change, so that
 * what is here is true for ever; a section was checked against its checksum when it came in.
 */
export class BlockCache {
  readonly #bytesMax: number;
  readonly #directories = new Map<string, BlockDirectory>();
  readonly #sections = new Map<string, BlockSectionView>();
  #bytes = 0;
  #bytesRead = 0;

  /** `bytesMax`: budget of section bytes. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that came from the store so far. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** The directory of a block. Rejects with `read_restarted` if it is gone. */
  async directory(
    store: BlobStore,
    dayMs: number,
    shard: number,
    block: RootBlock,
  ): Promise<BlockDirectory> {
    const key = blockKey(dayMs, shard, block.id);
    const known = take(this.#directories, key);
    if (known !== undefined) return known;
    const directory = await readDirectory(store, dayMs, shard, block);
    this.#directories.set(key, directory);
    if (this.#directories.size > DIRECTORIES_KEPT) dropOldest(this.#directories);
    return directory;
  }

  /** A checked section of a block. Rejects with `read_restarted`, `corrupt_block`. */
  async section(
    store: BlobStore,
    dayMs: number,
    shard: number,
    block: RootBlock,
    entry: BlockEntry,
  ): Promise<BlockSectionView> {
    const key = `${blockKey(dayMs, shard, block.id)}@${entry.at}`;
    const known = take(this.#sections, key);
    if (known !== undefined) return known;
    const bytes = await readSectionBytes(store, dayMs, shard, block, entry);
    this.#bytesRead += bytes.byteLength;
    const view = decodeBlockSection(bytes, entry);
    if (!this.#sections.has(key)) {
      this.#sections.set(key, view);
      this.#bytes += bytes.byteLength;
    }
    while (this.#bytes > this.#bytesMax && this.#sections.size > 0) {
      this.#bytes -= dropOldest(this.#sections)?.bytes.byteLength ?? 0;
    }
    return view;
  }
}

/** Directories in memory; one is some hundred bytes a service. */
const DIRECTORIES_KEPT = 4_096;

/** The value, moved to the young end. */
function take<T>(map: Map<string, T>, key: string): T | undefined {
  const value = map.get(key);
  if (value === undefined) return undefined;
  map.delete(key);
  map.set(key, value);
  return value;
}

function dropOldest<T>(map: Map<string, T>): T | undefined {
  const oldest = map.entries().next();
  if (oldest.done === true) return undefined;
  map.delete(oldest.value[0]);
  return oldest.value[1];
}
