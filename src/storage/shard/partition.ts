import { bytesEqual } from '../../base/bytes.ts';
import type { Random } from '../../base/random.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { rootName } from '../keys.ts';
import { decodeRoot } from '../root/decode.ts';
import { emptyRoot, encodeRoot } from '../root/encode.ts';
import type { PartitionRoot } from '../root/encode.ts';
import type { ShardState } from './shard-state.ts';

/** One day of one shard in the minutes tier. */
export interface Partition {
  /** Start of the UTC day, Unix ms. */
  readonly dayMs: number;
  readonly shard: number;
  readonly shardCount: number;
}

/** A root as it was read, with the token that its replacement must show. */
export interface PartitionState {
  readonly token: string | null;
  readonly root: PartitionRoot;
}

/** The partition's root; an empty one with a null token where nothing was committed yet. */
export async function readPartition(
  store: BlobStore,
  partition: Partition,
): Promise<PartitionState> {
  const name = rootName(partition.dayMs, partition.shardCount, partition.shard);
  const stored = await store.readRoot(name);
  if (stored === null) return { token: null, root: emptyRoot() };
  return { token: stored.token, root: decodeRoot(stored.bytes) };
}

/**
 * Whether the present root still names what was read from an earlier one and not found. Nothing that a
 * root names is ever removed, so a blob that is gone then was not removed but lost.
 */
export async function stillNames(
  of: Pick<ShardState, 'store' | 'shard' | 'shardCount'>,
  dayMs: number,
  isNamed: (root: PartitionRoot) => boolean,
): Promise<boolean> {
  const { store, shard, shardCount } = of;
  return isNamed((await readPartition(store, { dayMs, shard, shardCount })).root);
}

/**
 * Replaces the root by `change` applied to `state`, with the next generation and a commit id of its
 * own. `unknown` is settled here by reading the root back: our commit id there means that it was ours.
 * Resolves to the new state, or null if somebody else was faster: read again and start over.
 */
export async function commitPartition(
  store: BlobStore,
  random: Random,
  partition: Partition,
  state: PartitionState,
  change: Partial<PartitionRoot>,
): Promise<PartitionState | null> {
  const name = rootName(partition.dayMs, partition.shardCount, partition.shard);
  const root: PartitionRoot = {
    ...state.root,
    ...change,
    gen: state.root.gen + 1,
    commit: random.bytes(16),
  };
  const result = await store.casRoot(name, state.token, encodeRoot(root));
  switch (result.outcome) {
    case 'ok':
      return { token: result.token, root };
    case 'conflict':
      return null;
    case 'unknown': {
      const now = await readPartition(store, partition);
      return bytesEqual(now.root.commit, root.commit) ? now : null;
    }
  }
}
