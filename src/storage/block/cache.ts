import { KeptByUse } from '../../base/kept-by-use.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { blockKey } from '../keys.ts';
import type { RootBlock } from '../root/encode.ts';
import { decodeBlockSection } from './decode.ts';
import type { BlockDirectory, BlockEntry, BlockSectionView } from './decode.ts';
import { readDirectory, readSectionBytes } from './read.ts';
import { type SectionTotals, totalsOfSection } from './totals.ts';

/** Where a section lies. */
export type SectionPlace = readonly [
  store: BlobStore,
  dayMs: number,
  shard: number,
  block: RootBlock,
  entry: BlockEntry,
];

/** Reads of blocks that may be answered from memory. */
export interface BlockReads {
  /** The directory of a block. Rejects with `read_restarted` if it is gone. */
  directory(
    store: BlobStore,
    dayMs: number,
    shard: number,
    block: RootBlock,
  ): Promise<BlockDirectory>;

  /** A checked section of a block. Rejects with `read_restarted`, `corrupt_block`. */
  section(...place: SectionPlace): Promise<BlockSectionView>;

  /** The totals of the pushes of a section. Rejects as {@link section}. */
  totals(...place: SectionPlace): Promise<SectionTotals>;
}

/**
 * Directories, sections and totals of sections by use, within a budget of bytes. Blocks never change, so
 * that what is here is true for ever; a section was checked against its checksum when it came in.
 */
export class BlockCache implements BlockReads {
  readonly #bytesMax: number;
  readonly #directories = new KeptByUse<BlockDirectory>();
  readonly #sections = new KeptByUse<BlockSectionView>();
  readonly #totals = new KeptByUse<SectionTotals>();
  #bytesRead = 0;

  /** `bytesMax`: budget of bytes of sections and totals. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that came from the store so far. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  async directory(
    store: BlobStore,
    dayMs: number,
    shard: number,
    block: RootBlock,
  ): Promise<BlockDirectory> {
    const key = blockKey(dayMs, shard, block.id);
    const known = this.#directories.get(key);
    if (known !== undefined) return known;
    const directory = await readDirectory(store, dayMs, shard, block);
    this.#directories.set(key, directory, 1);
    this.#directories.shrink(DIRECTORIES_KEPT);
    return directory;
  }

  async section(...place: SectionPlace): Promise<BlockSectionView> {
    const key = keyOf(place);
    const known = this.#sections.get(key);
    if (known !== undefined) return known;
    const view = await this.#read(place);
    this.#sections.set(key, view, view.bytes.byteLength);
    this.#sections.shrink(this.#bytesMax - this.#totals.cost);
    return view;
  }

  async totals(...place: SectionPlace): Promise<SectionTotals> {
    const key = keyOf(place);
    const known = this.#totals.get(key);
    if (known !== undefined) return known;
    // Not kept as a section: one that is read for its totals is a hundred times as large as they are.
    const totals = totalsOfSection(this.#sections.get(key) ?? (await this.#read(place)));
    this.#totals.set(key, totals, totals.byteLength);
    this.#totals.shrink(this.#bytesMax * TOTALS_SHARE);
    this.#sections.shrink(this.#bytesMax - this.#totals.cost);
    return totals;
  }

  async #read([store, dayMs, shard, block, entry]: SectionPlace): Promise<BlockSectionView> {
    const bytes = await readSectionBytes(store, dayMs, shard, block, entry);
    this.#bytesRead += bytes.byteLength;
    return decodeBlockSection(bytes, entry);
  }
}

/**
 * Share of the budget that totals may take. They have one of their own, because a merge of a long range
 * reads more sections than are kept, and would push them all out.
 */
const TOTALS_SHARE = 1 / 4;

function keyOf([, dayMs, shard, block, entry]: SectionPlace): string {
  return `${blockKey(dayMs, shard, block.id)}@${entry.at}`;
}

/** Directories in memory; one is some hundred bytes a service. */
const DIRECTORIES_KEPT = 4_096;
