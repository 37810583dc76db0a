import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { mapAtOnce } from '../../base/at-once.ts';
import { DAY_MS, HOUR_MS } from '../../base/time.ts';
import { parseProfileType } from '../../profile/profile-type.ts';
import type { ProfileType } from '../../profile/profile-type.ts';
import type { SectionPlace } from '../../storage/block/cache.ts';
import type { BlockEntry, BlockSectionView, HourSeries } from '../../storage/block/decode.ts';
import { readDamagedSection } from '../../storage/block/read.ts';
import type { SectionTotals } from '../../storage/block/totals.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import { isAbsorbed } from '../../storage/root/absorbed.ts';
import type { PartitionRoot, RootBlock } from '../../storage/root/encode.ts';
import type { Canonical } from '../../storage/shard/canonical.ts';
import type { HeadSection } from '../../storage/shard/head.ts';
import { readPartition, stillNames } from '../../storage/shard/partition.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';
import { blockKey, rootName } from '../../storage/keys.ts';
import { matchesSeries } from '../selector/matcher.ts';
import type { Matcher } from '../selector/matcher.ts';
import { requiredService } from '../selector/required-service.ts';
import { isLoss } from '../losses.ts';
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

/** All that a partition has of one service for a query, read and checked; sections in a form of the reader's. */
export interface ServiceDay<Section = BlockSectionView> extends ServiceIndex {
  readonly blocks: readonly Section[];
  /** Sections that fail their checksum, as far as they decode: see damaged-section.ts. */
  readonly damaged: readonly BlockSectionView[];
  /** Sections of which nothing decodes. */
  readonly lost: number;
}

/** A head section with the series of its scope that match. */
export interface HeadPart {
  readonly section: HeadSection;
  readonly series: ReadonlySet<number>;
}

/**
 * Reads a partition: the list of the head before the root, then the blocks that the root names. A
 * blob that is gone meanwhile starts the partition over; nothing was added up yet. Rejects with
 * `read_restarted` after some tries. What is damaged, missing although the root names it, or set aside
 * costs itself: the rest is answered and `context.losses` says what is lacking.
 */
export function readDay(
  context: QueryContext,
  state: ShardState,
  dayMs: number,
  wanted: Wanted,
): Promise<ServiceDay[]> {
  return readSections(context, state, dayMs, wanted, (...place) => context.cache.section(...place));
}

/** {@link readDay} with the totals of pushes instead of the columns. */
export function readDayTotals(
  context: QueryContext,
  state: ShardState,
  dayMs: number,
  wanted: Wanted,
): Promise<ServiceDay<SectionTotals>[]> {
  return readSections(context, state, dayMs, wanted, (...place) => context.cache.totals(...place));
}

function readSections<Section>(
  context: QueryContext,
  state: ShardState,
  dayMs: number,
  wanted: Wanted,
  read: (...place: SectionPlace) => Promise<Section>,
): Promise<ServiceDay<Section>[]> {
  return repeated(async () => {
    const days: ServiceDay<Section>[] = [];
    for (const { parts, ...index } of await readIndex(context, state, dayMs, wanted)) {
      const blocks: Section[] = [];
      const damaged: BlockSectionView[] = [];
      let lost = 0;
      const placeOf = ({ block, entry }: BlockPart): SectionPlace =>
        [state.store, dayMs, state.shard, block, entry] as const;
      const taken = parts.filter(({ entry }) =>
        entry.hours.some(({ series }) => series.some((id) => index.series.has(id))),
      );
      // What the limit refuses is refused before it is in memory.
      for (const { entry } of taken) context.budget.spend(entry.end - entry.at);
      const found = await mapAtOnce(taken, SECTIONS_AT_ONCE, (part) =>
        unlessDamaged(read(...placeOf(part))),
      );
      for (const [i, part] of taken.entries()) {
        const section = found[i];
        if (section !== undefined) {
          blocks.push(section);
          continue;
        }
        const rest = await unlessDamaged(readDamagedSection(...placeOf(part)));
        if (rest === undefined) {
          lost++;
          loseBlock(context, state, dayMs, part.block, wanted);
        } else damaged.push(rest);
      }
      const has = blocks.length + damaged.length + lost + index.head.length > 0;
      if (has) days.push({ ...index, blocks, damaged, lost });
    }
    return days;
  });
}

/** Sections of a partition that are read at once: the store answers them side by side. */
const SECTIONS_AT_ONCE = 4;

/** {@link readDay} without the columns: directories of blocks and the head only. */
export function readDayIndex(
  context: QueryContext,
  state: ShardState,
  dayMs: number,
  wanted: Wanted,
): Promise<ServiceIndex[]> {
  return repeated(() => readIndex(context, state, dayMs, wanted));
}

/** What a read gives, undefined where it is damaged or set aside: damage costs only itself. */
async function unlessDamaged<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (isLoss(error)) return undefined;
    throw error;
  }
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
  const root = await readRoot(context, state, dayMs, wanted);
  if (root === undefined || root.dropped) return [];
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
    const directory = await orLost(context, state, dayMs, block, wanted, () =>
      context.cache.directory(state.store, dayMs, state.shard, block),
    );
    if (directory === undefined) continue;
    for (const entry of directory.sections) {
      if (isWanted(entry.tenant, entry.service)) at(entry.service).blocks.push({ block, entry });
    }
  }
  const indexes: IndexWithParts[] = [];
  for (const [service, { sections, blocks }] of services) {
    const lose = (what: string): void => context.losses.add(lostDay(what, dayMs, wanted));
    let canonical: Canonical;
    try {
      canonical = await state.canonical.load(dayMs, wanted.tenant, service, root);
    } catch (thrown) {
      const error = TephraError.from(thrown);
      if (!isLoss(error)) throw error;
      lose(`names of ${service} in ${rootOf(state, dayMs)}: ${error.detail}`);
      continue;
    }
    const { dictionary } = canonical;
    if (hasNamelessSeries(dictionary)) lose(`labels of ${service} in ${rootOf(state, dayMs)}`);
    const series = matchingSeries(dictionary, dictionary.lengths.series, wanted);
    const head = headPartsOf(sections, canonical, series, wanted);
    if (sections.some(({ scope }) => hasNamelessSeries(scope.dictionary))) {
      lose(`labels of ${service} in what ${rootOf(state, dayMs)} has not absorbed`);
    }
    const parts = series.size === 0 ? [] : blocks;
    const hours = parts.flatMap(({ entry }) => entry.hours);
    const { tenant } = wanted;
    indexes.push({ state, tenant, service, dayMs, canonical, series, hours, head, parts });
  }
  return indexes;
}

/** The root, or undefined where it cannot be read: what it names is lost then. */
async function readRoot(
  context: QueryContext,
  state: ShardState,
  dayMs: number,
  wanted: Wanted,
): Promise<PartitionRoot | undefined> {
  const partition = state.partition(dayMs);
  try {
    return (await readPartition(state.store, partition)).root;
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (!isLoss(error)) throw error;
    context.losses.add(lostDay(rootOf(state, dayMs), dayMs, wanted));
    return undefined;
  }
}

/** What `read` gives, or undefined where the block is damaged or missing: told as a loss then. */
async function orLost<T>(
  context: QueryContext,
  state: ShardState,
  dayMs: number,
  block: RootBlock,
  wanted: Wanted,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (thrown) {
    const error = TephraError.from(thrown);
    const gone =
      error.reason === 'read_restarted' &&
      (await stillNames(state, dayMs, ({ blocks }) => blocks.some(({ id }) => id === block.id)));
    if (!gone && !isLoss(error)) throw error;
    loseBlock(context, state, dayMs, block, wanted);
    return undefined;
  }
}

function loseBlock(
  { losses }: QueryContext,
  { shard }: ShardState,
  dayMs: number,
  block: RootBlock,
  { startMs, endMs }: Wanted,
): void {
  const what = blockKey(dayMs, shard, block.id);
  for (const hour of block.hours) {
    const hourMs = dayMs + hour * HOUR_MS;
    if (hourMs > endMs || hourMs + HOUR_MS <= startMs) continue;
    losses.add({ what, startMs: hourMs, endMs: hourMs + HOUR_MS - 1 });
  }
}

function lostDay(what: string, dayMs: number, { startMs, endMs }: Wanted) {
  return { what, startMs: Math.max(startMs, dayMs), endMs: Math.min(endMs, dayMs + DAY_MS - 1) };
}

function rootOf(state: ShardState, dayMs: number): string {
  return rootName(dayMs, state.shardCount, state.shard);
}

/** Whether rows of series were lost: what belongs to them can match nothing. */
function hasNamelessSeries(dictionary: Dictionary): boolean {
  for (let id = 0; id < dictionary.lengths.series; id++) {
    const { labels, type } = dictionary.seriesRow(id);
    if (labels.length === 0 && type.name === '' && type.type === '') return true;
  }
  return false;
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
