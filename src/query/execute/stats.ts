import { DAY_MS, MINUTE_MS } from '../../base/time.ts';
import { parseMinutesVolume } from '../../storage/keys.ts';
import { readPartition } from '../../storage/shard/partition.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';
import type { ProfileStats } from '../request.ts';
import type { QueryContext } from './context.ts';

/** No profiles. */
const NO_STATS: ProfileStats = { hasProfiles: false, oldestMs: 0, newestMs: 0 };

/**
 * When the oldest and the newest profile of a tenant begin, to the minute. Reads roots and directories
 * of the first and the last day with data, and the head; no column.
 */
export async function profileStats(context: QueryContext, tenant: string): Promise<ProfileStats> {
  const parts: ProfileStats[] = [];
  for (const state of context.shards) {
    parts.push(headStats(state, tenant));
    const volumes = await state.store.listVolumes('minutes');
    const days = volumes.flatMap((volume) => parseMinutesVolume(volume) ?? []);
    // Each shard has its own days: those without it cost one read of a root that is not there.
    for (const order of [days, days.toReversed()]) {
      for (const dayMs of order) {
        const stats = await dayStats(context, state, dayMs, tenant);
        await context.pause.here();
        if (!stats.hasProfiles) continue;
        parts.push(stats);
        break;
      }
    }
  }
  return joinStats(parts);
}

/** The stats of several parts together. */
export function joinStats(parts: readonly ProfileStats[]): ProfileStats {
  const filled = parts.filter(({ hasProfiles }) => hasProfiles);
  if (filled.length === 0) return NO_STATS;
  return {
    hasProfiles: true,
    oldestMs: Math.min(...filled.map(({ oldestMs }) => oldestMs)),
    newestMs: Math.max(...filled.map(({ newestMs }) => newestMs)),
  };
}

function headStats({ head }: ShardState, tenant: string): ProfileStats {
  let oldestMs = Infinity;
  let newestMs = -Infinity;
  for (const section of head.all()) {
    if (section.tenant !== tenant) continue;
    oldestMs = Math.min(oldestMs, section.minMs);
    newestMs = Math.max(newestMs, section.maxMs);
  }
  return oldestMs > newestMs ? NO_STATS : { hasProfiles: true, oldestMs, newestMs };
}

async function dayStats(
  context: QueryContext,
  state: ShardState,
  dayMs: number,
  tenant: string,
): Promise<ProfileStats> {
  const partition = { dayMs, shard: state.shard, shardCount: state.shardCount };
  const { root } = await readPartition(state.store, partition);
  if (root.dropped) return NO_STATS;
  let first = DAY_MS / MINUTE_MS;
  let last = -1;
  for (const block of root.blocks) {
    const directory = await context.cache.directory(state.store, dayMs, state.shard, block);
    for (const entry of directory.sections) {
      if (entry.tenant !== tenant) continue;
      first = Math.min(first, entry.firstMinute);
      last = Math.max(last, entry.lastMinute);
    }
  }
  if (last < 0) return NO_STATS;
  return {
    hasProfiles: true,
    oldestMs: dayMs + first * MINUTE_MS,
    newestMs: dayMs + last * MINUTE_MS,
  };
}
