import { DAY_MS, floorTo } from '../../base/time.ts';
import { parseMinutesVolume, rootName } from '../../storage/keys.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';
import type { QueryContext } from './context.ts';

/** Times that a query asks for, Unix ms, both inclusive. */
export interface TimeRange {
  readonly startMs: number;
  readonly endMs: number;
}

/** Days of a range that are read without asking which there are. */
const DAYS_UNASKED = 400;

/** Days whose roots are fetched before their turn: a volume takes milliseconds to open. */
const DAYS_AHEAD = 4;

/**
 * What `read` gives of each partition of the ranges, day by day: all shards of a day in turn, so that no
 * volume is opened for each of them. The next partition is read while the caller works on one.
 */
export async function* eachDay<T>(
  context: QueryContext,
  ranges: readonly TimeRange[],
  read: (state: ShardState, dayMs: number) => Promise<readonly T[]>,
): AsyncGenerator<T, void, undefined> {
  const partitions = await partitionsOf(context.shards, ranges);
  let announced = 0;
  const begin = (at: number): Promise<readonly T[]> | undefined => {
    const partition = partitions[at];
    if (partition === undefined) return undefined;
    const { state, dayMs } = partition;
    for (; announced < partitions.length; announced++) {
      const ahead = partitions[announced] as Partition;
      if (ahead.dayMs > dayMs + DAYS_AHEAD * DAY_MS) break;
      const { shard, shardCount } = ahead.state;
      context.expectRoot?.(rootName(ahead.dayMs, shardCount, shard));
    }
    const reading = read(state, dayMs);
    // Nobody waits for it where the caller ends before its turn.
    reading.catch(() => {});
    return reading;
  };
  let next = begin(0);
  for (let at = 1; next !== undefined; at++) {
    const found = await next;
    next = begin(at);
    yield* found;
    await context.pause.here();
  }
}

interface Partition {
  readonly state: ShardState;
  readonly dayMs: number;
}

/** Partitions of the ranges, by day. */
async function partitionsOf(
  shards: readonly ShardState[],
  ranges: readonly TimeRange[],
): Promise<Partition[]> {
  const partitions: Partition[] = [];
  for (const state of shards) {
    const days = new Set<number>();
    for (const range of ranges) for (const dayMs of await daysOf(state, range)) days.add(dayMs);
    for (const dayMs of days) partitions.push({ state, dayMs });
  }
  return partitions.sort((a, b) => a.dayMs - b.dayMs);
}

/**
 * Days of a range, ascending. Of a long one only those from the first to the last that this shard can
 * have: a range may reach to the end of time.
 */
async function daysOf(state: ShardState, range: TimeRange): Promise<number[]> {
  let from = floorTo(range.startMs, DAY_MS);
  let to = range.endMs;
  if (to - from > DAYS_UNASKED * DAY_MS) {
    let first = Infinity;
    let last = -Infinity;
    const note = (dayMs: number): void => {
      first = Math.min(first, dayMs);
      last = Math.max(last, dayMs);
    };
    // The head first: what is absorbed meanwhile is in a volume that is listed afterwards.
    for (const { dayMs } of state.head.all()) note(dayMs);
    for (const volume of await state.store.listVolumes('minutes')) {
      const dayMs = parseMinutesVolume(volume);
      if (dayMs !== undefined) note(dayMs);
    }
    from = Math.max(from, first);
    to = Math.min(to, last);
  }
  const days: number[] = [];
  for (let day = from; day <= to; day += DAY_MS) days.push(day);
  return days;
}
