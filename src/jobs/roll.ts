import { TephraError } from '../base/errors.ts';
import type { Pause } from '../base/slice.ts';
import { HOUR_MS } from '../base/time.ts';
import { mergeSegments, openSegment } from '../storage/dictionary/segment.ts';
import type { SegmentPart } from '../storage/dictionary/segment.ts';
import { segmentKey } from '../storage/keys.ts';
import type { RootBlock, RootSegment } from '../storage/root/encode.ts';
import { commitPartition, readPartition } from '../storage/shard/partition.ts';
import { putSegment, withSeries } from '../storage/shard/put-segment.ts';
import { readUndamaged } from '../storage/shard/read-undamaged.ts';
import type { ShardState } from '../storage/shard/shard-state.ts';
import { putBlock } from './absorb.ts';
import { sectionsOfHour, tableOf } from './minute-table.ts';
import type { ServiceTables } from './minute-table.ts';
import { groupsBySize } from './new-rows.ts';
import { packSections } from './pack.ts';
import { isHourClosed } from './schedule.ts';

/** What a roll is governed by. */
export interface RollOptions {
  readonly pause: Pause;
  readonly nowMs: number;
  readonly hourCloseDelayMs: number;
  /** When the partition was rolled last, Unix ms; undefined = never by this process. */
  readonly rolledMs: number | undefined;
  readonly lateIntervalMs: number;
  /** Bytes of segments that are joined to one, at most. */
  readonly segmentBytes: number;
}

/** What one roll did. */
export interface RollReport {
  /** Hours of the day that were packed. */
  readonly hours: readonly number[];
  readonly blocksBefore: number;
  readonly blocksAfter: number;
}

/** Segments of a partition that a roll leaves standing; more are merged into one. */
const SEGMENTS_STANDING = 4;

const NOTHING: RollReport = { hours: [], blocksBefore: 0, blocksAfter: 0 };

/**
 * Packs the unrolled blocks of closed hours, an hour to a block, and merges segments. Rolled blocks
 * are never merged with unrolled ones other than here, since what a roll covered is what the coarser
 * rungs will be told about. (Their delta goes to the outbox once those rungs exist.)
 */
export async function rollPartition(
  state: ShardState,
  dayMs: number,
  options: RollOptions,
): Promise<RollReport> {
  const partition = state.partition(dayMs);
  const before = await readPartition(state.store, partition);
  const { root } = before;
  if (root.dropped) return NOTHING;
  // A damaged block stays as it is: what it still holds is answered from it.
  const unrolled = root.blocks.filter(
    (block) => isRollDue(block, dayMs, options) && !state.damagedBlocks.has(block.id),
  );
  if (unrolled.length === 0) return NOTHING;
  const late = unrolled.some(({ hours }) => hours.some((hour) => (root.rolledBy[hour] ?? 0) > 0));
  const { rolledMs } = options;
  if (late && rolledMs !== undefined && options.nowMs - rolledMs < options.lateIntervalMs) {
    return NOTHING;
  }
  const hours = [...new Set(unrolled.flatMap((block) => block.hours))].toSorted((a, b) => a - b);
  const added: RootBlock[] = [];
  for (const hour of hours) {
    const tables: ServiceTables = new Map();
    for (const block of unrolled) {
      if (!block.hours.includes(hour)) continue;
      const stored = await readUndamaged(state, dayMs, block);
      // Known now: the next run does without it.
      if (stored === undefined) return NOTHING;
      for (const { entry, view } of stored) {
        tableOf(tables, entry.tenant, entry.service).addBlock(view);
        await options.pause.here();
      }
    }
    for (const packed of packSections(await sectionsOfHour(tables, hour, options.pause))) {
      added.push(await putBlock(state, dayMs, [hour], packed, true));
    }
  }
  const segments = await mergeStanding(state, dayMs, root.segments, options.segmentBytes);
  const roll = root.roll + 1;
  const gone = new Set(unrolled.map(({ id }) => id));
  const committed = await commitPartition(state.store, state.random, partition, before, {
    blocks: [...root.blocks.filter(({ id }) => !gone.has(id)), ...added],
    segments,
    roll,
    rolledBy: root.rolledBy.map((last, hour) => (hours.includes(hour) ? roll : last)),
    trash: [
      ...root.trash,
      ...[...gone].map((id) => ({ id, sinceMs: options.nowMs })),
      ...root.segments
        .filter((segment) => !segments.includes(segment))
        .map(({ id }) => ({ id, sinceMs: options.nowMs })),
    ],
  });
  // A conflict leaves what was put to the sweep; the next run starts from the new root.
  if (committed === null) return NOTHING;
  return { hours, blocksBefore: unrolled.length, blocksAfter: added.length };
}

function isRollDue(block: RootBlock, dayMs: number, options: RollOptions): boolean {
  return (
    !block.rolled &&
    block.hours.every((hour) => isHourClosed(dayMs + hour * HOUR_MS, options, options.nowMs))
  );
}

/** One segment in place of many, so that a dictionary loads by few reads, and the root stays small. */
async function mergeStanding(
  state: ShardState,
  dayMs: number,
  segments: readonly RootSegment[],
  bytesMax: number,
): Promise<readonly RootSegment[]> {
  if (segments.length <= SEGMENTS_STANDING) return segments;
  const merged: RootSegment[] = [];
  for (const run of groupsBySize(segments, ({ bytes }) => bytes, bytesMax)) {
    const parts = run.length === 1 ? undefined : await partsOf(state, dayMs, run);
    if (parts === undefined) merged.push(...run);
    else merged.push(await putSegment(state, dayMs, mergeSegments(parts).map(withSeries)));
  }
  return merged;
}

/** All slices in order; undefined if one is damaged: merging must not spread the damage. */
async function partsOf(
  state: ShardState,
  dayMs: number,
  segments: readonly RootSegment[],
): Promise<SegmentPart[] | undefined> {
  const parts: SegmentPart[] = [];
  try {
    for (const { id } of segments) {
      const bytes = await state.store.get(segmentKey(dayMs, state.shard, id));
      if (bytes === null) return undefined;
      const segment = openSegment(bytes);
      for (const entry of segment.entries) {
        const { tenant, service, from, to } = entry;
        parts.push({ tenant, service, from, to, slice: segment.slice(entry) });
      }
    }
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (error.reason === 'corrupt_block') return undefined;
    throw error;
  }
  return parts;
}
