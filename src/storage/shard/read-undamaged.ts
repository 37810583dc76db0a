import { TephraError } from '../../base/errors.ts';
import type { BlockEntry, BlockSectionView } from '../block/decode.ts';
import { readBlockSections } from '../block/read.ts';
import type { RootBlock } from '../root/encode.ts';
import { stillNames } from './partition.ts';
import type { ShardState } from './shard-state.ts';

/** All sections of a block. */
export type StoredSections = readonly {
  readonly entry: BlockEntry;
  readonly view: BlockSectionView;
}[];

/**
 * Every section of a block that the root names, or undefined where it is damaged or lost; then it is
 * in `state.damagedBlocks` and jobs leave it as it is. Rejects with `read_restarted` if the root was
 * replaced meanwhile.
 */
export async function readUndamaged(
  state: ShardState,
  dayMs: number,
  block: RootBlock,
): Promise<StoredSections | undefined> {
  try {
    return await readBlockSections(state.store, dayMs, state.shard, block);
  } catch (thrown) {
    const error = TephraError.from(thrown);
    const lost =
      error.reason === 'read_restarted' &&
      (await stillNames(state, dayMs, ({ blocks }) => blocks.some(({ id }) => id === block.id)));
    if (!lost && error.reason !== 'corrupt_block') throw error;
    state.damagedBlocks.add(block.id);
    return undefined;
  }
}
