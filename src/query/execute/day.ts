import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { DAY_MS, floorTo, HOUR_MS } from '../../base/time.ts';
import { parseProfileType } from '../../profile/profile-type.ts';
import type { ProfileType } from '../../profile/profile-type.ts';
import type { BlockEntry, BlockSectionView, HourSeries } from '../../storage/block/decode.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import { isAbsorbed } from '../../storage/root/absorbed.ts';
import type { RootBlock } from '../../storage/root/encode.ts';
import type { Canonical } from '../../storage/shard/canonical.ts';
import type { HeadSection } from '../../storage/shard/head.ts';
import { readPartition } from '../../storage/shard/partition.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';
import { matchesSeries } from '../selector/matcher.ts';
import type { Matcher } from '../selector/matcher.ts';
import { requiredService } from '../selector/required-service.ts';
import type { QueryContext } from './context.ts';

/** What a query wants of a partition. */
export interface Wanted {
  readonly tenant: string;
  readonly matchers: readonly Matcher[];
  /** Five-part id; undefined = every type. */
  readonly profileType: string | undefined;
  /** Unix ms, both inclusive. */
  readonly startMs: number;
  readonly endMs: number;
}

/** What a partition has of one service, without its columns. */
export interface ServiceIndex {
  readonly state: ShardState;
  readonly tenant: string;
  readonly service: string;
  readonly dayMs: number;
  readonly canonical: Canonical;
  /** Canonical ids of the series that match. */
  readonly series: ReadonlySet<number>;
  /** Canonical ids of the series with data, by hour; an hour may come several times. */
  readonly hours: readonly HourSeries[];
  readonly head: readonly HeadPart[];
}

/** All that a partition has of one service for a query, read and checked. */
export interface ServiceDay extends ServiceIndex {
  readonly blocks: readonly BlockSectionView[];
}

/** A head section with the series of its scope that match. */
export interface HeadPart {
  readonly section: HeadSection;
  readonly series: ReadonlySet<number>;
}

/** Days of a range, ascending. */
export function daysOf(startMs: number, endMs: number): number[] {
  const days: number[] = [];
  for (let day = floorTo(startMs, DAY_MS); day <= endMs; day += DAY_MS) days.push(day);
  return days;
}

/**
 * Reads a partition: the list of the head before the root, then the blocks that the root names. A
 * blob that is gone meanwhile starts the partition over; nothing was added up yet. Rejects with
 * `read_restarted` after some tries.
 */
export function readDay(
  context: QueryContext,
  state: ShardState,
  dayMs: number,
  wanted: Wanted,
): Promise<ServiceDay[]> {
  return repeated(async () => {
    const days: ServiceDay[] = [];
    for (const { parts, ...index } of await readIndex(context, state, dayMs, wanted)) {
      const blocks: BlockSectionView[] = [];
      for (const { block, entry } of parts) {
        if (!entry.hours.some(({ series }) => series.some((id) => index.series.has(id)))) continue;
        const view = await context.cache.section(state.store, dayMs, state.shard, block, entry);
        context.budget.spend(view.bytes.byteLength);
        blocks.push(view);
      }
      if (blocks.length > 0 || index.head.length > 0) days.push({ ...index, blocks });
    }
    return days;
  });
}

/** {@link readDay} without the columns: directories of blocks and the head only. */
export function readDayIndex(
  context: QueryContext,
  state: ShardState,
  dayMs: number,
  wanted: Wanted,
): Promise<ServiceIndex[]> {
  return repeated(() => readIndex(context, state, dayMs, wanted));
}

async function repeated<T>(read: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await read();
    } catch (thrown) {
      const error = TephraError.from(thrown);
      if (error.reason !== 'read_restarted' || attempt >= LIMITS.queryReadRepeatsMax) throw error;
    }
  }
}

interface IndexWithParts extends ServiceIndex {
  readonly parts: readonly BlockPart[];
}

async function readIndex(
  context: QueryContext,
  state: ShardState,
  dayMs: number,
  wanted: Wanted,
): Promise<IndexWithParts[]> {
  const listed = state.head.list(dayMs);
  const partition = { dayMs, shard: state.shard, shardCount: state.shardCount };
  const { root } = await readPartition(state.store, partition);
  if (root.dropped) return [];
  const named = requiredService(wanted.matchers);
  const isWanted = (tenant: string, service: string): boolean =>
    tenant === wanted.tenant && (named === undefined || named.includes(service));

  const services = new Map<string, { sections: HeadSection[]; blocks: BlockPart[] }>();
  const at = (service: string): { sections: HeadSection[]; blocks: BlockPart[] } => {
    let parts = services.get(service);
    if (parts === undefined) services.set(service, (parts = { sections: [], blocks: [] }));
    return parts;
  };
  for (const section of listed) {
    if (section.minMs > wanted.endMs || section.maxMs < wanted.startMs) continue;
    if (!isWanted(section.tenant, section.service)) continue;
    if (isAbsorbed(root, section.incarnation, section.seq)) continue;
    at(section.service).sections.push(section);
  }
  for (const block of root.blocks) {
    if (!touches(block, dayMs, wanted)) continue;
    const directory = await context.cache.directory(state.store, dayMs, state.shard, block);
    for (const entry of directory.sections) {
      if (isWanted(entry.tenant, entry.service)) at(entry.service).blocks.push({ block, entry });
    }
  }
  const indexes: IndexWithParts[] = [];
  for (const [service, { sections, blocks }] of services) {
    const canonical = await state.canonical.load(dayMs, wanted.tenant, service, root);
    const series = matchingSeries(
      canonical.dictionary,
      canonical.dictionary.lengths.series,
      wanted,
    );
    const head = headPartsOf(sections, canonical, series, wanted);
    const parts = series.size === 0 ? [] : blocks;
    const hours = parts.flatMap(({ entry }) => entry.hours);
    const { tenant } = wanted;
    indexes.push({ state, tenant, service, dayMs, canonical, series, hours, head, parts });
  }
  return indexes;
}

interface BlockPart {
  readonly block: RootBlock;
  readonly entry: BlockEntry;
}

function touches(block: RootBlock, dayMs: number, { startMs, endMs }: Wanted): boolean {
  return block.hours.some((hour) => {
    const hourMs = dayMs + hour * HOUR_MS;
    return hourMs <= endMs && hourMs + HOUR_MS > startMs;
  });
}

function headPartsOf(
  sections: readonly HeadSection[],
  canonical: Canonical,
  canonicalSeries: ReadonlySet<number>,
  wanted: Wanted,
): HeadPart[] {
  const byDictionary = new Map<Dictionary, ReadonlySet<number>>();
  const parts: HeadPart[] = [];
  for (const section of sections) {
    const { dictionary } = section.scope;
    let series = byDictionary.get(dictionary);
    if (series === undefined) {
      series =
        dictionary === canonical.dictionary
          ? canonicalSeries
          : matchingSeries(dictionary, dictionary.lengths.series, wanted);
      byDictionary.set(dictionary, series);
    }
    if (series.size > 0) parts.push({ section, series });
  }
  return parts;
}

/** Ids below `count` of the series that match. */
function matchingSeries(dictionary: Dictionary, count: number, wanted: Wanted): Set<number> {
  const type = wanted.profileType === undefined ? undefined : parseProfileType(wanted.profileType);
  const ids = new Set<number>();
  for (let id = 0; id < count; id++) {
    const row = dictionary.seriesRow(id);
    if (type !== undefined && !sameType(row.type, type)) continue;
    if (matchesSeries(wanted.matchers, row.labels, row.type)) ids.add(id);
  }
  return ids;
}

function sameType(a: ProfileType, b: ProfileType): boolean {
  return (
    a.name === b.name &&
    a.type === b.type &&
    a.unit === b.unit &&
    a.periodType === b.periodType &&
    a.periodUnit === b.periodUnit
  );
}
