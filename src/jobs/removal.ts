import {
  blockKey,
  blockPrefix,
  outlineKey,
  outlinePrefix,
  parseBlockKey,
  parseOutlineKey,
  parseSegmentKey,
  segmentKey,
  segmentPrefix,
} from '../storage/keys.ts';
import { commitPartition, readPartition } from '../storage/shard/partition.ts';
import type { ShardState } from '../storage/shard/shard-state.ts';

/**
 * Removes what has lain in a partition's trash for longer than the grace, which no query outlives, and
 * then takes it off the root. Resolves to how many blobs were removed.
 */
export async function emptyTrash(
  state: ShardState,
  dayMs: number,
  nowMs: number,
  graceMs: number,
): Promise<number> {
  const partition = state.partition(dayMs);
  const before = await readPartition(state.store, partition);
  const old = before.root.trash.filter(({ sinceMs }) => nowMs - sinceMs >= graceMs);
  if (old.length === 0) return 0;
  // An id names a block, or a segment and its outline; it is random, so that other keys are absent.
  await state.store.remove(
    old.flatMap(({ id }) => [
      blockKey(dayMs, state.shard, id),
      segmentKey(dayMs, state.shard, id),
      outlineKey(dayMs, state.shard, id),
    ]),
  );
  const gone = new Set(old.map(({ id }) => id));
  await commitPartition(state.store, state.random, partition, before, {
    trash: before.root.trash.filter(({ id }) => !gone.has(id)),
  });
  return old.length;
}

/**
 * Removes blobs that no root names: what a commit left behind that lost its race or its process. The
 * generation is raised between listing and removing, so that a commit which began before the listing
 * cannot name one of them any more. Resolves to how many were removed.
 */
export async function sweepOrphans(state: ShardState, dayMs: number): Promise<number> {
  const partition = state.partition(dayMs);
  const blocks = await state.store.list(blockPrefix(dayMs, state.shard));
  const segments = await state.store.list(segmentPrefix(dayMs, state.shard));
  const outlines = await state.store.list(outlinePrefix(dayMs, state.shard));
  if (blocks.length + segments.length + outlines.length === 0) return 0;
  const before = await readPartition(state.store, partition);
  const { root } = before;
  const named = new Set([
    ...root.blocks.map(({ id }) => id),
    ...root.segments.map(({ id }) => id),
    ...root.trash.map(({ id }) => id),
    ...root.outbox.map(({ id }) => id),
  ]);
  const orphans = [
    ...blocks.filter(({ key }) => !named.has(parseBlockKey(key)?.id ?? '')),
    ...segments.filter(({ key }) => !named.has(parseSegmentKey(key)?.id ?? '')),
    ...outlines.filter(({ key }) => !named.has(parseOutlineKey(key)?.id ?? '')),
  ].map(({ key }) => key);
  if (orphans.length === 0) return 0;
  const raised = await commitPartition(state.store, state.random, partition, before, {});
  if (raised === null) return 0;
  await state.store.remove(orphans);
  return orphans.length;
}
