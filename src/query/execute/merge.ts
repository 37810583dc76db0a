import { DAY_MS, MINUTE_MS } from '../../base/time.ts';
import { labelValue } from '../../profile/labels.ts';
import { parseProfileType } from '../../profile/profile-type.ts';
import { CUT_LABEL } from '../../profile/sample-labels.ts';
import { minuteRange, readMinute, readMinutePushes } from '../../storage/block/decode.ts';
import type { BlockSectionView, FamilyView, MinuteView } from '../../storage/block/decode.ts';
import type { PushEntry } from '../../storage/block/pushes.ts';
import { SharedReads } from '../../storage/block/shared-reads.ts';
import { readEntriesHeader } from '../../storage/column/decode.ts';
import type { TypeColumn } from '../../storage/column/entries.ts';
import { ValueSums } from '../../storage/column/sum.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import type { PushView } from '../../storage/fragment/decode.ts';
import { NO_NOTES } from '../request.ts';
import type { MergeRequest, QueryNotes } from '../request.ts';
import { parseSelector } from '../selector/parse.ts';
import type { QueryContext } from './context.ts';
import { saveFamily } from './damaged-section.ts';
import type { SavedPush } from './damaged-section.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';
import { readDay } from './day.ts';
import type { ServiceDay, Wanted } from './day.ts';
import { eachDay } from './days.ts';
import { IdFilter } from './id-filter.ts';
import { Instants } from './instants.ts';
import type { InstantCounts } from './instants.ts';
import type { RawPush } from './raw-pushes.ts';

/** Sums of stacks in one dictionary. */
export interface DictionarySums {
  readonly dictionary: Dictionary;
  readonly sums: ValueSums;
}

/** A merge before its trees are joined. */
export interface MergedSums {
  readonly parts: readonly DictionarySums[];
  /** Value whose stacks could not be read; in no part. */
  readonly damagedValue: bigint;
  /** Without what only the trees tell: total, damaged, truncated, folded. */
  readonly notes: QueryNotes;
  /** Empty unless asked for. */
  readonly instants: InstantCounts;
}

/**
 * Sums every matching profile that starts within the range, per stack and dictionary. A minute inside
 * the range is one column; a minute that an edge cuts is read push by push from the raw tier, or, where
 * that is gone, counts whole if it starts in the range (and the notes say so). Ids of profiles, spans
 * and traces are known to the raw tier alone: then every minute is read push by push.
 */
export async function mergeSums(context: QueryContext, request: MergeRequest): Promise<MergedSums> {
  const [merged] = await mergeSides([context], [request]);
  return merged as MergedSums;
}

/**
 * {@link mergeSums} of several requests, each with its own context over the same shards. What several of
 * them need is read once.
 */
export async function mergeSides(
  contexts: readonly QueryContext[],
  requests: readonly MergeRequest[],
): Promise<MergedSums[]> {
  const sides = requests.map((request, i) => {
    parseProfileType(request.profileType);
    const wanted: Wanted = { ...request, matchers: parseSelector(request.selector) };
    const context = contexts[i] as QueryContext;
    return { context, wanted, merge: new Merge(context, wanted, request) };
  });
  const [first] = contexts;
  if (first === undefined) return [];
  const read = async (state: ShardState, dayMs: number): Promise<(() => Promise<void>)[]> => {
    const cache = sides.length === 1 ? first.cache : new SharedReads(first.cache);
    const found: (() => Promise<void>)[] = [];
    for (const { context, wanted, merge } of sides) {
      if (wanted.startMs >= dayMs + DAY_MS || wanted.endMs < dayMs) continue;
      for (const day of await readDay({ ...context, cache }, state, dayMs, wanted)) {
        found.push(() => merge.add(day));
      }
    }
    return found;
  };
  const ranges = sides.map(({ wanted }) => wanted);
  for await (const add of eachDay(first, ranges, read)) await add();
  return sides.map(({ merge }) => merge.finish());
}

class Merge {
  readonly #context: QueryContext;
  readonly #wanted: Wanted;
  readonly #ids: IdFilter | undefined;
  readonly #instants: Instants | undefined;
  readonly #sums = new Map<Dictionary, ValueSums>();
  /** Series whose labels were cut, by dictionary. */
  readonly #cut = new Map<Dictionary, Set<number>>();
  #damagedValue = 0n;
  readonly #notes = {
    profiles: 0,
    wholeMinutes: 0,
    edgeAddedValue: 0n,
    edgeDroppedValue: 0n,
    damagedStacks: 0,
    damagedSections: 0,
    lostMinutes: 0,
    cutLabelsValue: 0n,
    unreadProfiles: 0,
  };

  constructor(context: QueryContext, wanted: Wanted, request: MergeRequest) {
    this.#context = context;
    this.#wanted = wanted;
    this.#ids = IdFilter.of(request);
    this.#instants = request.countInstants === true ? new Instants() : undefined;
  }

  async add(day: ServiceDay): Promise<void> {
    this.#notes.damagedStacks += day.canonical.damagedStacks;
    this.#notes.damagedSections += day.damaged.length + day.lost;
    for (const block of day.blocks) {
      for (const family of block.families) {
        const types = matchingTypes(family.series, day.series);
        if (types.length > 0) await this.#addFamily(day, block, family, types);
      }
    }
    for (const block of day.damaged) {
      for (const family of block.families) {
        const types = matchingTypes(family.series, day.series);
        if (types.length > 0) await this.#addDamaged(day, block, family, types);
      }
    }
    for (const { section, series } of day.head) {
      const { bytes, scope } = section;
      for (const push of section.view.pushes) {
        if (!this.#isInRange(push.startMs)) continue;
        const types = push.types.filter((type) => series.has(type.series));
        this.#addPush({ push, bytes, dictionary: scope.dictionary }, types);
        await this.#context.pause.here();
      }
    }
  }

  async #addFamily(
    day: ServiceDay,
    block: BlockSectionView,
    family: FamilyView,
    types: readonly number[],
  ): Promise<void> {
    const { startMs, endMs } = this.#wanted;
    const firstMs = Math.max(startMs, day.dayMs);
    const lastMs = Math.min(endMs, day.dayMs + DAY_MS - 1);
    const { from, to } = minuteRange(
      family,
      Math.floor((firstMs - day.dayMs) / MINUTE_MS),
      Math.floor((lastMs - day.dayMs) / MINUTE_MS),
    );
    for (let i = from; i < to; i++) {
      const minute = readMinute(block, family, i);
      const minuteMs = day.dayMs + minute.minute * MINUTE_MS;
      if (this.#ids !== undefined) {
        await this.#addSingly(day, block, minute, minuteMs, types);
      } else if (minuteMs >= startMs && minuteMs + MINUTE_MS - 1 <= endMs) {
        this.#addColumn(day, block, minute, minuteMs, types);
      } else {
        await this.#addEdge(day, block, minute, minuteMs, types);
      }
      await this.#context.pause.here();
    }
  }

  #addColumn(
    day: ServiceDay,
    block: BlockSectionView,
    minute: MinuteView,
    minuteMs: number,
    types: readonly number[],
  ): void {
    const header = readEntriesHeader(block.bytes, minute.entriesAt, minute.entriesEnd);
    const { dictionary } = day.canonical;
    const sums = this.#sumsOf(dictionary);
    for (const t of types) {
      const type = minute.types[t] as TypeColumn;
      sums.add(block.bytes, header, type);
      this.#count(dictionary, type.series, minuteMs, minute.pushCount, type.total);
    }
  }

  /** A minute that an edge of the range cuts. */
  async #addEdge(
    day: ServiceDay,
    block: BlockSectionView,
    minute: MinuteView,
    minuteMs: number,
    types: readonly number[],
  ): Promise<void> {
    const pushes = readMinutePushes(block, minute);
    const inside = pushes.filter(({ offsetMs }) => this.#isInRange(minuteMs + offsetMs));
    if (inside.length === 0) return;
    if (inside.length === pushes.length) {
      this.#addColumn(day, block, minute, minuteMs, types);
      return;
    }
    const raw = await this.#readRaw(day, inside);
    if (raw !== undefined) {
      for (const found of raw) this.#addPush(found, typesAt(found, types));
      return;
    }
    this.#notes.wholeMinutes++;
    const within = valueOf(inside, types);
    if (minuteMs >= this.#wanted.startMs) {
      this.#addColumn(day, block, minute, minuteMs, types);
      this.#notes.edgeAddedValue += valueOf(pushes, types) - within;
    } else {
      this.#notes.edgeDroppedValue += within;
    }
  }

  /** A minute of which only some profiles, spans or traces are wanted. */
  async #addSingly(
    day: ServiceDay,
    block: BlockSectionView,
    minute: MinuteView,
    minuteMs: number,
    types: readonly number[],
  ): Promise<void> {
    for (const { offsetMs, ref } of readMinutePushes(block, minute)) {
      if (!this.#isInRange(minuteMs + offsetMs)) continue;
      const raw = await this.#context.raw.read(day, ref, this.#context.budget);
      if (raw === undefined) this.#notes.unreadProfiles++;
      else this.#addPush(raw, typesAt(raw, types));
      await this.#context.pause.here();
    }
  }

  /** A section that fails its checksum: from the raw tier, else by its totals alone. */
  async #addDamaged(
    day: ServiceDay,
    block: BlockSectionView,
    family: FamilyView,
    types: readonly number[],
  ): Promise<void> {
    const { pushes, lostMinutes } = saveFamily(block, family, day.dayMs, this.#wanted);
    this.#notes.lostMinutes += lostMinutes;
    for (const push of pushes) {
      const raw = await this.#context.raw.read(day, push.ref, this.#context.budget);
      if (raw !== undefined && isSame(raw.push, push)) {
        this.#addPush(raw, typesAt(raw, types));
      } else if (this.#ids !== undefined) {
        this.#notes.unreadProfiles++;
      } else {
        this.#notes.profiles++;
        this.#damagedValue += valueOf([push], types);
      }
      await this.#context.pause.here();
    }
  }

  #addPush({ push, bytes, dictionary }: RawPush, types: readonly (TypeColumn | undefined)[]): void {
    const sums = this.#sumsOf(dictionary);
    for (const type of types) {
      if (type === undefined) continue;
      if (this.#ids === undefined) addPush(sums, bytes, push, type);
      else if (!this.#ids.add(sums, bytes, push, type)) continue;
      this.#count(dictionary, type.series, push.startMs, 1, type.total);
    }
  }

  #count(
    dictionary: Dictionary,
    series: number,
    timeMs: number,
    profiles: number,
    value: bigint,
  ): void {
    this.#notes.profiles += profiles;
    this.#instants?.add(dictionary, series, timeMs, profiles);
    if (this.#isCut(dictionary, series)) this.#notes.cutLabelsValue += value;
  }

  #isCut(dictionary: Dictionary, series: number): boolean {
    let cut = this.#cut.get(dictionary);
    if (cut === undefined) {
      cut = new Set();
      for (let id = 0; id < dictionary.lengths.series; id++) {
        const { labels } = dictionary.seriesRow(id);
        if (labelValue(labels, CUT_LABEL) !== undefined) cut.add(id);
      }
      this.#cut.set(dictionary, cut);
    }
    return cut.size > 0 && cut.has(series);
  }

  /** All of the pushes, or undefined if one is no longer in the raw tier. */
  async #readRaw(day: ServiceDay, inside: readonly PushEntry[]): Promise<RawPush[] | undefined> {
    const found: RawPush[] = [];
    for (const { ref } of inside) {
      const push = await this.#context.raw.read(day, ref, this.#context.budget);
      if (push === undefined) return undefined;
      found.push(push);
    }
    return found;
  }

  finish(): MergedSums {
    const { blocksRead, bytesRead } = this.#context.budget;
    const parts: DictionarySums[] = [];
    let total = this.#damagedValue;
    for (const [dictionary, sums] of this.#sums) {
      total += sums.total;
      parts.push({ dictionary, sums });
    }
    const saturated = total >= 1n << 63n;
    return {
      parts,
      damagedValue: this.#damagedValue,
      notes: {
        ...NO_NOTES,
        ...this.#notes,
        ...this.#context.losses.notes(),
        saturated,
        blocksRead,
        bytesRead,
      },
      instants: this.#instants?.finish() ?? new Map<number, number>(),
    };
  }

  #isInRange(timeMs: number): boolean {
    return timeMs >= this.#wanted.startMs && timeMs <= this.#wanted.endMs;
  }

  #sumsOf(dictionary: Dictionary): ValueSums {
    let sums = this.#sums.get(dictionary);
    if (sums === undefined) {
      sums = new ValueSums(() => dictionary.lengths.stacks);
      this.#sums.set(dictionary, sums);
    }
    return sums;
  }
}

/** Indices of a family's types whose series match. */
function matchingTypes(family: readonly number[], series: ReadonlySet<number>): number[] {
  const types: number[] = [];
  for (const [i, id] of family.entries()) if (series.has(id)) types.push(i);
  return types;
}

/** The types of a push at the given places of its family. */
function typesAt({ push }: RawPush, types: readonly number[]): (TypeColumn | undefined)[] {
  return types.map((t) => push.types[t]);
}

/** Value of pushes in the given types. */
function valueOf(pushes: readonly PushEntry[], types: readonly number[]): bigint {
  let sum = 0n;
  for (const { totals } of pushes) for (const t of types) sum += totals[t] ?? 0n;
  return sum;
}

/** Whether a push of the raw tier is the one that a damaged section means. */
function isSame(push: PushView, saved: SavedPush): boolean {
  return (
    push.startMs === saved.startMs &&
    push.types.length === saved.totals.length &&
    push.types.every(({ total }, t) => total === saved.totals[t])
  );
}

/** Adds all groups of a push; its total is counted once. */
function addPush(sums: ValueSums, bytes: Uint8Array, push: PushView, type: TypeColumn): void {
  for (const [g, { at, end }] of push.groups.entries()) {
    sums.add(bytes, readEntriesHeader(bytes, at, end), type, g === 0);
  }
}
