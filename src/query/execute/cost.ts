import { DAY_MS, MINUTE_MS } from '../../base/time.ts';
import { minuteRange, readMinute } from '../../storage/block/decode.ts';
import { labelsKey } from '../labels/label-sets.ts';
import { formatProfileType } from '../../profile/profile-type.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import type { QueryCost, Selection, TierCost } from '../request.ts';
import { parseSelector } from '../selector/parse.ts';
import type { QueryContext } from './context.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';
import { readDay } from './day.ts';
import type { ServiceDay, Wanted } from './day.ts';
import { eachDay } from './days.ts';

/** A selection of one type, or of all. */
export interface CostRequest extends Selection {
  readonly profileType: string | undefined;
}

/** Nothing to read. */
const NO_COST: TierCost = {
  blocks: 0,
  series: 0,
  profiles: 0,
  indexBytes: 0,
  columnBytes: 0,
  symbolBytes: 0,
};

/** What one host would have to read for a query; reads what a timeline reads, and no column. */
export async function queryCost(context: QueryContext, request: CostRequest): Promise<QueryCost> {
  const wanted: Wanted = { ...request, matchers: parseSelector(request.selector) };
  const minutes = new Tier();
  const raw = new Tier();
  const shards = new Set<number>();
  const read = (state: ShardState, dayMs: number): Promise<ServiceDay[]> =>
    readDay(context, state, dayMs, wanted);
  for await (const day of eachDay(context, [wanted], read)) {
    shards.add(day.state.shard);
    addBlocks(minutes, day, wanted);
    addHead(raw, day, wanted);
    await context.pause.here();
  }
  return { minutes: minutes.cost(), raw: raw.cost(), shards: shards.size };
}

/** The costs of several hosts together. */
export function joinCosts(parts: readonly QueryCost[]): QueryCost {
  return parts.reduce(
    (sum, part) => ({
      minutes: addTier(sum.minutes, part.minutes),
      raw: addTier(sum.raw, part.raw),
      shards: sum.shards + part.shards,
    }),
    { minutes: NO_COST, raw: NO_COST, shards: 0 },
  );
}

function addTier(a: TierCost, b: TierCost): TierCost {
  return {
    blocks: a.blocks + b.blocks,
    series: a.series + b.series,
    profiles: a.profiles + b.profiles,
    indexBytes: a.indexBytes + b.indexBytes,
    columnBytes: a.columnBytes + b.columnBytes,
    symbolBytes: a.symbolBytes + b.symbolBytes,
  };
}

class Tier {
  readonly #series = new Set<string>();
  readonly #dictionaries = new Set<Dictionary>();
  blocks = 0;
  profiles = 0;
  indexBytes = 0;
  columnBytes = 0;

  addSeries(dictionary: Dictionary, id: number): void {
    const { labels, type } = dictionary.seriesRow(id);
    this.#series.add(`${formatProfileType(type)}/${labelsKey(labels)}`);
    this.#dictionaries.add(dictionary);
  }

  cost(): TierCost {
    const { blocks, profiles, indexBytes, columnBytes } = this;
    let symbolBytes = 0;
    for (const { bytesInMemory } of this.#dictionaries) symbolBytes += bytesInMemory;
    const series = this.#series.size;
    return { blocks, series, profiles, indexBytes, columnBytes, symbolBytes };
  }
}

function addBlocks(tier: Tier, day: ServiceDay, { startMs, endMs }: Wanted): void {
  const firstMs = Math.max(startMs, day.dayMs);
  const lastMs = Math.min(endMs, day.dayMs + DAY_MS - 1);
  const minuteOf = (timeMs: number): number => Math.floor((timeMs - day.dayMs) / MINUTE_MS);
  for (const block of day.blocks) {
    let isRead = false;
    for (const family of block.families) {
      const matching = family.series.filter((id) => day.series.has(id));
      if (matching.length === 0) continue;
      const { from, to } = minuteRange(family, minuteOf(firstMs), minuteOf(lastMs));
      if (from < to) for (const id of matching) tier.addSeries(day.canonical.dictionary, id);
      for (let i = from; i < to; i++) {
        const minute = readMinute(block, family, i);
        isRead = true;
        tier.profiles += minute.pushCount;
        tier.indexBytes += minute.entriesAt - minute.pushesAt;
        tier.columnBytes += minute.entriesEnd - minute.entriesAt;
      }
    }
    if (isRead) tier.blocks++;
  }
}

function addHead(tier: Tier, day: ServiceDay, { startMs, endMs }: Wanted): void {
  for (const { section, series } of day.head) {
    let isRead = false;
    for (const push of section.view.pushes) {
      if (push.startMs < startMs || push.startMs > endMs) continue;
      const matching = push.types.filter((type) => series.has(type.series));
      if (matching.length === 0) continue;
      isRead = true;
      tier.profiles++;
      for (const type of matching) tier.addSeries(section.scope.dictionary, type.series);
      for (const { at, end } of push.groups) tier.columnBytes += end - at;
    }
    if (isRead) tier.blocks++;
  }
}
