import type { BlobStore } from '../blob-store/contract.ts';
import type { RootBlock } from '../root/encode.ts';
import type { BlockReads, SectionPlace } from './cache.ts';
import type { BlockDirectory, BlockSectionView } from './decode.ts';
import type { SectionTotals } from './totals.ts';

/** Reads that keep the sections that were read through them: for what reads the same ones soon again. */
export class SharedReads implements BlockReads {
  readonly #reads: BlockReads;
  readonly #sections = new Map<string, Promise<BlockSectionView>>();

  constructor(reads: BlockReads) {
    this.#reads = reads;
  }

  directory(
    store: BlobStore,
    dayMs: number,
    shard: number,
    block: RootBlock,
  ): Promise<BlockDirectory> {
    return this.#reads.directory(store, dayMs, shard, block);
  }

  section(...place: SectionPlace): Promise<BlockSectionView> {
    const [, dayMs, shard, block, entry] = place;
    const key = `${dayMs}/${shard}/${block.id}@${entry.at}`;
    let section = this.#sections.get(key);
    if (section === undefined) {
      section = this.#reads.section(...place);
      this.#sections.set(key, section);
      // Read again by who asks again.
      section.catch(() => this.#sections.delete(key));
    }
    return section;
  }

  totals(...place: SectionPlace): Promise<SectionTotals> {
    return this.#reads.totals(...place);
  }
}
