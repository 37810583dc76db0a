import { DAY_MS, MINUTE_MS } from '../../base/time.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Label } from '../../profile/labels.ts';
import { parseProfileType } from '../../profile/profile-type.ts';
import { minuteRange, readMinute, readMinutePushes } from '../../storage/block/decode.ts';
import type { BlockSectionView, FamilyView, MinuteView } from '../../storage/block/decode.ts';
import type { PushEntry } from '../../storage/block/pushes.ts';
import { type SectionTotals, seekTime, type Totals } from '../../storage/block/totals.ts';
import { readEntriesHeader } from '../../storage/column/decode.ts';
import type { TypeColumn } from '../../storage/column/entries.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';
import type { PushView } from '../../storage/fragment/decode.ts';
import { NO_NOTES } from '../request.ts';
import type { SeriesRequest } from '../request.ts';
import { parseSelector } from '../selector/parse.ts';
import { SeriesBuckets } from '../series/buckets.ts';
import { HeatCells } from '../series/heat.ts';
import type { SeriesPart } from '../series/part.ts';
import { stepAt, type Steps, stepsOf } from '../series/steps.ts';
import { Below } from './below.ts';
import type { QueryContext } from './context.ts';
import { saveFamily } from './damaged-section.ts';
import { readDay, readDayTotals } from './day.ts';
import type { ServiceDay, ServiceIndex, Wanted } from './day.ts';
import { eachDay } from './days.ts';
import { Exemplars } from './exemplars.ts';
import { Groups } from './groups.ts';
import { groupValue } from './id-filter.ts';

/**
 * The timeline of these shards. Reads the list of pushes beside each minute column and never a column:
 * exact at any step, also where the raw tier is gone. Only the value below a call site needs columns, and
 * the raw tier where a step cuts a minute.
 */
export async function timelinePart(
  context: QueryContext,
  request: SeriesRequest,
): Promise<SeriesPart> {
  parseProfileType(request.profileType);
  const timeline = new Timeline(context, request);
  await timeline.read();
  return timeline.finish();
}

class Timeline {
  readonly #context: QueryContext;
  readonly #wanted: Wanted;
  readonly #buckets: SeriesBuckets;
  readonly #steps: Steps;
  readonly #groups: Groups;
  readonly #below: Below | undefined;
  readonly #exemplars: Exemplars | undefined;
  readonly #heat: HeatCells | undefined;
  readonly #bySpan: boolean;
  readonly #notes = {
    unreadProfiles: 0,
    profiles: 0,
    wholeMinutes: 0,
    damagedSections: 0,
    lostMinutes: 0,
    damagedValue: 0n,
    damagedStacks: 0,
  };

  constructor(context: QueryContext, request: SeriesRequest) {
    this.#context = context;
    this.#buckets = new SeriesBuckets(request);
    this.#steps = stepsOf(request);
    this.#groups = new Groups(request.groupBy);
    const { callSite } = request;
    this.#below = callSite === undefined || callSite.length === 0 ? undefined : new Below(callSite);
    if (request.exemplars === true) {
      this.#exemplars = new Exemplars(request, LIMITS.exemplarsMax);
    }
    this.#heat = request.heat === undefined ? undefined : new HeatCells(request);
    this.#bySpan = request.heat?.of === 'spans';
    this.#wanted = {
      tenant: request.tenant,
      profileType: request.profileType,
      matchers: parseSelector(request.selector),
      startMs: this.#buckets.afterMs + 1,
      endMs: this.#buckets.untilMs,
    };
  }

  async read(): Promise<void> {
    const context = this.#context;
    const wanted = this.#wanted;
    // What asks for spans, stacks or single profiles needs more than totals.
    if (this.#below === undefined && !this.#bySpan && this.#exemplars === undefined) {
      const read = (state: ShardState, dayMs: number): Promise<ServiceDay<SectionTotals>[]> =>
        readDayTotals(context, state, dayMs, wanted);
      for await (const day of eachDay(context, [wanted], read)) {
        for (const section of day.blocks) await this.#addTotals(day, section);
        await this.#addRest(day);
      }
      return;
    }
    const read = (state: ShardState, dayMs: number): Promise<ServiceDay[]> =>
      readDay(context, state, dayMs, wanted);
    for await (const day of eachDay(context, [wanted], read)) {
      for (const block of day.blocks) await this.#addBlock(day, block);
      await this.#addRest(day);
    }
  }

  async finish(): Promise<SeriesPart> {
    const { losses, budget } = this.#context;
    const { blocksRead, bytesRead } = budget;
    const notes = { ...NO_NOTES, ...this.#notes, ...losses.notes(), blocksRead, bytesRead };
    const exemplars = await this.#exemplars?.finish();
    const heat = this.#heat?.finish();
    return { ...this.#buckets.part(), exemplars: exemplars ?? [], heat, notes };
  }

  async #addTotals(day: ServiceIndex, section: SectionTotals): Promise<void> {
    const { dictionary } = day.canonical;
    const { startMs, endMs } = this.#wanted;
    for (const { series, times, totals } of section.families) {
      const from = seekTime(times, startMs - day.dayMs);
      const to = seekTime(times, endMs - day.dayMs + 1);
      for (const [t, id] of series.entries()) {
        if (from === to || !day.series.has(id)) continue;
        const group = this.#groups.of(dictionary, id);
        this.#addRun(group, day.dayMs, times, totals[t] as Totals, from, to);
        await this.#context.pause.here();
      }
    }
  }

  /** Adds totals `[from, to)`, those of one step together. */
  #addRun(
    group: readonly Label[],
    dayMs: number,
    times: Uint32Array,
    totals: Totals,
    from: number,
    to: number,
  ): void {
    for (let i = from; i < to;) {
      const timeMs = dayMs + (times[i] as number);
      const step = stepAt(this.#steps, timeMs);
      const first = i;
      let exact = 0;
      let value = 0n;
      do {
        const total = totals[i] as number | bigint;
        if (this.#heat !== undefined) {
          if (step >= 0) this.#heat.add(group, dayMs + (times[i] as number), BigInt(total));
        } else if (typeof total === 'bigint') value += total;
        else if (exact + total <= Number.MAX_SAFE_INTEGER) exact += total;
        else value += BigInt(total);
        i++;
      } while (i < to && stepAt(this.#steps, dayMs + (times[i] as number)) === step);
      if (step < 0) continue;
      this.#notes.profiles += i - first;
      if (this.#heat === undefined) {
        this.#buckets.add(group, timeMs, value + BigInt(exact), i - first);
      }
    }
  }

  async #addBlock(day: ServiceIndex, block: BlockSectionView): Promise<void> {
    const { startMs, endMs } = this.#wanted;
    const firstMinute = Math.floor((Math.max(startMs, day.dayMs) - day.dayMs) / MINUTE_MS);
    const lastMs = Math.min(endMs, day.dayMs + DAY_MS - 1);
    const lastMinute = Math.floor((lastMs - day.dayMs) / MINUTE_MS);
    for (const family of block.families) {
      const types = typesOf(family, day);
      if (types.length === 0) continue;
      const { from, to } = minuteRange(family, firstMinute, lastMinute);
      for (let i = from; i < to; i++) {
        await this.#addMinute(day, block, readMinute(block, family, i), types);
        await this.#context.pause.here();
      }
    }
  }

  /** What is not in undamaged blocks. */
  async #addRest(day: ServiceDay<unknown>): Promise<void> {
    for (const block of day.damaged) {
      this.#notes.damagedSections++;
      for (const family of block.families) {
        const types = typesOf(family, day);
        if (types.length > 0) await this.#addDamaged(day, block, family, types);
      }
    }
    this.#notes.damagedSections += day.lost;
    if (this.#below !== undefined) this.#notes.damagedStacks += day.canonical.damagedStacks;
    for (const { section, series } of day.head) {
      const { dictionary } = section.scope;
      for (const push of section.view.pushes) {
        for (const type of push.types) {
          if (!series.has(type.series)) continue;
          if (this.#bySpan) {
            this.#addSpans(dictionary, section.bytes, push, type, type.series);
            continue;
          }
          const value = this.#valueOf(dictionary, section.bytes, push, type);
          this.#add(dictionary, type.series, push.startMs, value, 1);
          this.#offer(dictionary, type, push.startMs, () => Promise.resolve(push));
        }
        await this.#context.pause.here();
      }
    }
  }

  async #addMinute(
    day: ServiceIndex,
    block: BlockSectionView,
    minute: MinuteView,
    types: readonly TypeOf[],
  ): Promise<void> {
    const minuteMs = day.dayMs + minute.minute * MINUTE_MS;
    const pushes = readMinutePushes(block, minute);
    if (this.#below !== undefined) {
      await this.#addBelow(day, block, minute, pushes, types, this.#below);
      return;
    }
    for (const push of pushes) {
      const timeMs = minuteMs + push.offsetMs;
      if (this.#bySpan) await this.#addSpansOf(day, push, timeMs, types);
      else this.#addEntry(day, push, timeMs, types);
    }
  }

  /** The spans of a push, which only its fragment knows. */
  async #addSpansOf(
    day: ServiceIndex,
    { ref }: PushEntry,
    timeMs: number,
    types: readonly TypeOf[],
  ): Promise<void> {
    if (stepAt(this.#steps, timeMs) < 0) return;
    const raw = await this.#context.raw.read(day, ref, this.#context.budget);
    if (raw === undefined) {
      this.#notes.unreadProfiles++;
      return;
    }
    for (const [t, series] of types) {
      const type = raw.push.types[t] as TypeColumn;
      this.#addSpans(day.canonical.dictionary, raw.bytes, raw.push, type, series);
    }
  }

  #addSpans(
    dictionary: Dictionary,
    bytes: Uint8Array,
    push: PushView,
    type: TypeColumn,
    series: number,
  ): void {
    for (const { spanId, traceId, at, end } of push.groups) {
      if (spanId === '') continue;
      const value = groupValue(bytes, readEntriesHeader(bytes, at, end), type);
      // A span in which nothing of this type was seen is none.
      if (value === 0n) continue;
      this.#add(dictionary, series, push.startMs, value, 1);
      const read = (): Promise<PushView> => Promise.resolve(push);
      const one = { timestampMs: push.startMs, value, dictionary, series, spanId, traceId, read };
      this.#exemplars?.offer(this.#groups.of(dictionary, series), one);
    }
  }

  #addEntry(day: ServiceIndex, push: PushEntry, timeMs: number, types: readonly TypeOf[]): void {
    const { dictionary } = day.canonical;
    for (const [t, series] of types) {
      const total = push.totals[t] ?? 0n;
      this.#add(dictionary, series, timeMs, total, 1);
      this.#offer(dictionary, { series, total }, timeMs, async () => {
        const raw = await this.#context.raw.read(day, push.ref, this.#context.budget);
        return raw?.push;
      });
    }
  }

  /** The value below the call site: by the column where one step has the whole minute. */
  async #addBelow(
    day: ServiceIndex,
    block: BlockSectionView,
    minute: MinuteView,
    pushes: readonly PushEntry[],
    types: readonly TypeOf[],
    below: Below,
  ): Promise<void> {
    const minuteMs = day.dayMs + minute.minute * MINUTE_MS;
    const { dictionary } = day.canonical;
    const stepOf = ({ offsetMs }: PushEntry): number => stepAt(this.#steps, minuteMs + offsetMs);
    const [first] = pushes;
    if (first === undefined) return;
    const header = readEntriesHeader(block.bytes, minute.entriesAt, minute.entriesEnd);
    const addWhole = (): void => {
      for (const [t, series] of types) {
        const type = minute.types[t] as TypeColumn;
        const value = below.valueOf(dictionary, block.bytes, header, type);
        this.#add(dictionary, series, minuteMs + first.offsetMs, value, pushes.length);
      }
    };
    if (pushes.every((push) => stepOf(push) === stepOf(first))) {
      addWhole();
      return;
    }
    const found: { timeMs: number; value: bigint; series: number }[] = [];
    for (const { offsetMs, ref } of pushes) {
      const timeMs = minuteMs + offsetMs;
      if (stepAt(this.#steps, timeMs) < 0) continue;
      const raw = await this.#context.raw.read(day, ref, this.#context.budget);
      if (raw === undefined) {
        // Its pushes cannot be told apart any more: all of it goes to the step of the first.
        this.#notes.wholeMinutes++;
        addWhole();
        return;
      }
      for (const [t, series] of types) {
        const type = raw.push.types[t] as TypeColumn;
        const value = this.#valueOf(raw.dictionary, raw.bytes, raw.push, type);
        found.push({ timeMs, value, series });
      }
    }
    for (const { timeMs, value, series } of found) this.#add(dictionary, series, timeMs, value, 1);
  }

  async #addDamaged(
    day: ServiceIndex,
    block: BlockSectionView,
    family: FamilyView,
    types: readonly TypeOf[],
  ): Promise<void> {
    const { pushes, lostMinutes } = saveFamily(block, family, day.dayMs, this.#wanted);
    this.#notes.lostMinutes += lostMinutes;
    for (const push of pushes) {
      if (this.#bySpan) await this.#addSpansOf(day, push, push.startMs, types);
      else if (this.#below === undefined) this.#addEntry(day, push, push.startMs, types);
      else for (const [t] of types) this.#notes.damagedValue += push.totals[t] ?? 0n;
      await this.#context.pause.here();
    }
  }

  #valueOf(dictionary: Dictionary, bytes: Uint8Array, push: PushView, type: TypeColumn): bigint {
    if (this.#below === undefined) return type.total;
    let value = 0n;
    for (const { at, end } of push.groups) {
      value += this.#below.valueOf(dictionary, bytes, readEntriesHeader(bytes, at, end), type);
    }
    return value;
  }

  #add(
    dictionary: Dictionary,
    series: number,
    timeMs: number,
    value: bigint,
    profiles: number,
  ): void {
    if (stepAt(this.#steps, timeMs) < 0) return;
    this.#notes.profiles += profiles;
    const group = this.#groups.of(dictionary, series);
    if (this.#heat === undefined) this.#buckets.add(group, timeMs, value, profiles);
    else this.#heat.add(group, timeMs, value);
  }

  #offer(
    dictionary: Dictionary,
    { series, total }: { readonly series: number; readonly total: bigint },
    timestampMs: number,
    read: () => Promise<PushView | undefined>,
  ): void {
    const one = { timestampMs, value: total, dictionary, series, read };
    this.#exemplars?.offer(this.#groups.of(dictionary, series), one);
  }
}

/** Index of a type in its family, and its series. */
type TypeOf = readonly [index: number, series: number];

function typesOf(family: FamilyView, day: ServiceIndex): TypeOf[] {
  return [...family.series.entries()].filter(([, id]) => day.series.has(id));
}
