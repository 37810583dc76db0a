import { ERRORS, TephraError } from '../base/errors.ts';
import { DAY_MS, HOUR_MS, RAW_VOLUME_MS } from '../base/time.ts';
import { parseMinutesVolume, parseRawVolume, rawVolume } from '../storage/keys.ts';
import { commitPartition, readPartition } from '../storage/shard/partition.ts';
import type { ShardState } from '../storage/shard/shard-state.ts';

/** How long each rung is kept. */
export interface RetentionRules {
  /** Raw tier: from the end of the volume's arrival. */
  readonly rawRetentionMs: number;
  /** Minutes: from the end of the day. */
  readonly minutesRetentionMs: number;
}

/** Nothing is dropped within a day of the last write that it could have taken. */
const QUIET_MS = 24 * HOUR_MS;

/** Whether a volume is past its retention: nothing may still be written to it, for a day by now. */
export function isPastRetention(volume: string, rules: RetentionRules, nowMs: number): boolean {
  const raw = parseRawVolume(volume);
  if (raw !== undefined) {
    return nowMs - (raw + RAW_VOLUME_MS) >= Math.max(rules.rawRetentionMs, QUIET_MS);
  }
  const day = parseMinutesVolume(volume);
  if (day === undefined) return false;
  return nowMs - (day + DAY_MS) >= rules.minutesRetentionMs + QUIET_MS;
}

/**
 * Prepares a volume that is past its retention for removal, as far as this shard is concerned. A raw
 * volume may go when nothing of it waits in the head; a day of minutes when nothing waits for it
 * and its root says `dropped`, so that whatever comes later is ignored. Resolves to whether the
 * shard holds the volume back.
 */
export async function releaseVolume(state: ShardState, volume: string): Promise<boolean> {
  const day = parseMinutesVolume(volume);
  if (day === undefined) {
    // What is on its way into it would be acknowledged, and gone.
    if (state.puttingTo === volume) return true;
    for (const section of state.head.all()) {
      if (rawVolume(section.arrivalHourMs) === volume) return true;
    }
    state.releasedVolumes.add(volume);
    return false;
  }
  if (state.head.list(day).length > 0) return true;
  try {
    return await releaseDay(state, day);
  } catch (thrown) {
    const { reason } = TephraError.from(thrown);
    // Damaged or set aside: its time has come all the same.
    if (reason === 'corrupt_block' || reason === 'volume_quarantined') return false;
    // Its root cannot be marked now, as on a full disk. What needs no mark goes, and makes room.
    if (ERRORS[reason].retry) return true;
    throw thrown;
  }
}

/** Marks the root of a day as dropped; resolves to whether the shard holds the day back. */
async function releaseDay(state: ShardState, day: number): Promise<boolean> {
  const partition = state.partition(day);
  const before = await readPartition(state.store, partition);
  if (before.token === null || before.root.dropped) return false;
  if (before.root.outbox.length > 0) return true;
  const dropped = await commitPartition(state.store, state.random, partition, before, {
    dropped: true,
  });
  return dropped === null;
}
