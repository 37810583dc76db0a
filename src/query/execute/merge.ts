import { DAY_MS, MINUTE_MS } from '../../base/time.ts';
import { minuteRange, readMinute, readMinutePushes } from '../../storage/block/decode.ts';
import type { BlockSectionView, FamilyView, MinuteView } from '../../storage/block/decode.ts';
import type { PushEntry } from '../../storage/block/pushes.ts';
import { readEntriesHeader } from '../../storage/column/decode.ts';
import type { TypeColumn } from '../../storage/column/entries.ts';
import { ValueSums } from '../../storage/column/sum.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import type { PushView } from '../../storage/fragment/decode.ts';
import { parseProfileType } from '../../profile/profile-type.ts';
import type { MergeRequest, QueryNotes } from '../request.ts';
import { parseSelector } from '../selector/parse.ts';
import type { QueryContext } from './context.ts';
import { daysOf, readDay } from './day.ts';
import type { ServiceDay, Wanted } from './day.ts';
import type { RawPush } from './raw-pushes.ts';

/** Sums of stacks in one dictionary. */
export interface DictionarySums {
  readonly dictionary: Dictionary;
  readonly sums: ValueSums;
}

/** A merge before its trees are joined. */
export interface MergedSums {
  readonly parts: readonly DictionarySums[];
  readonly notes: QueryNotes;
}

/**
 * Sums every matching profile that starts within the range, per stack and dictionary. A minute inside
 * the range is one column; a minute that an edge cuts is read push by push from the raw tier, or, where
 * that is gone, counts whole if it starts in the range (and the notes say so).
 */
export async function mergeSums(context: QueryContext, request: MergeRequest): Promise<MergedSums> {
  parseProfileType(request.profileType);
  const wanted: Wanted = { ...request, matchers: parseSelector(request.selector) };
  const merge = new Merge(context, wanted);
  for (const state of context.shards) {
    for (const dayMs of daysOf(wanted.startMs, wanted.endMs)) {
      for (const day of await readDay(context, state, dayMs, wanted)) await merge.add(day);
    }
  }
  return merge.finish();
}

class Merge {
  readonly #context: QueryContext;
  readonly #wanted: Wanted;
  readonly #sums = new Map<Dictionary, ValueSums>();
  #wholeMinutes = 0;
  #damagedStacks = 0;

  constructor(context: QueryContext, wanted: Wanted) {
    this.#context = context;
    this.#wanted = wanted;
  }

  async add(day: ServiceDay): Promise<void> {
    this.#damagedStacks += day.canonical.damagedStacks;
    for (const block of day.blocks) {
      for (const family of block.families) {
        const types = matchingTypes(family.series, day.series);
        if (types.length > 0) await this.#addFamily(day, block, family, types);
      }
    }
    for (const { section, series } of day.head) {
      for (const push of section.view.pushes) {
        if (!this.#isInRange(push.startMs)) continue;
        for (const type of push.types) {
          if (series.has(type.series)) {
            addPush(this.#sumsOf(section.scope.dictionary), section.bytes, push, type);
          }
        }
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
      if (minuteMs >= startMs && minuteMs + MINUTE_MS - 1 <= endMs) {
        this.#addColumn(day, block, minute, types);
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
    types: readonly number[],
  ): void {
    const header = readEntriesHeader(block.bytes, minute.entriesAt, minute.entriesEnd);
    const sums = this.#sumsOf(day.canonical.dictionary);
    for (const t of types) sums.add(block.bytes, header, minute.types[t] as TypeColumn);
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
      this.#addColumn(day, block, minute, types);
      return;
    }
    const raw = await this.#readRaw(day, inside);
    if (raw === undefined) {
      this.#wholeMinutes++;
      if (minuteMs >= this.#wanted.startMs) this.#addColumn(day, block, minute, types);
      return;
    }
    for (const { push, bytes, dictionary } of raw) {
      const sums = this.#sumsOf(dictionary);
      for (const t of types) addPush(sums, bytes, push, push.types[t] as TypeColumn);
    }
  }

  /** All of the pushes, or undefined if one is no longer in the raw tier. */
  async #readRaw(day: ServiceDay, inside: readonly PushEntry[]): Promise<RawPush[] | undefined> {
    const found: RawPush[] = [];
    for (const { ref } of inside) {
      const push = await this.#context.raw.read(day, ref);
      if (push === undefined) return undefined;
      found.push(push);
    }
    return found;
  }

  finish(): MergedSums {
    const { blocksRead, bytesRead } = this.#context.budget;
    let saturated = false;
    const parts: DictionarySums[] = [];
    for (const [dictionary, sums] of this.#sums) {
      if (sums.total >= 1n << 63n) saturated = true;
      parts.push({ dictionary, sums });
    }
    return {
      parts,
      notes: {
        wholeMinutes: this.#wholeMinutes,
        damagedStacks: this.#damagedStacks,
        saturated,
        blocksRead,
        bytesRead,
      },
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

/** Adds all groups of a push; its total is counted once. */
function addPush(sums: ValueSums, bytes: Uint8Array, push: PushView, type: TypeColumn): void {
  for (const [g, { at, end }] of push.groups.entries()) {
    sums.add(bytes, readEntriesHeader(bytes, at, end), type, g === 0);
  }
}
