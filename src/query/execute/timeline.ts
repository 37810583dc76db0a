import { DAY_MS, MINUTE_MS } from '../../base/time.ts';
import type { Label } from '../../profile/labels.ts';
import { formatProfileType, parseProfileType } from '../../profile/profile-type.ts';
import { minuteRange, readMinute, readMinutePushes } from '../../storage/block/decode.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import { projectRow } from '../labels/merge.ts';
import type { SeriesRequest } from '../request.ts';
import { parseSelector } from '../selector/parse.ts';
import { SeriesBuckets } from '../series/buckets.ts';
import type { SeriesPart } from '../series/part.ts';
import type { QueryContext } from './context.ts';
import { daysOf, readDay } from './day.ts';
import type { ServiceDay, Wanted } from './day.ts';

/**
 * The timeline of these shards. Reads the list of pushes beside each minute column and never a column:
 * exact at any step, also where the raw tier is gone.
 */
export async function timelinePart(
  context: QueryContext,
  request: SeriesRequest,
): Promise<SeriesPart> {
  parseProfileType(request.profileType);
  const buckets = new SeriesBuckets(request);
  const wanted: Wanted = {
    tenant: request.tenant,
    profileType: request.profileType,
    matchers: parseSelector(request.selector),
    startMs: buckets.afterMs + 1,
    endMs: buckets.untilMs,
  };
  for (const state of context.shards) {
    for (const dayMs of daysOf(wanted.startMs, wanted.endMs)) {
      for (const day of await readDay(context, state, dayMs, wanted)) {
        await addDay(context, buckets, day, wanted, request.groupBy);
      }
    }
  }
  return buckets.part();
}

async function addDay(
  context: QueryContext,
  buckets: SeriesBuckets,
  day: ServiceDay,
  wanted: Wanted,
  groupBy: readonly string[],
): Promise<void> {
  const canonicalGroups = new Groups(day.canonical.dictionary, groupBy);
  const firstMinute = Math.floor((Math.max(wanted.startMs, day.dayMs) - day.dayMs) / MINUTE_MS);
  const lastMs = Math.min(wanted.endMs, day.dayMs + DAY_MS - 1);
  const lastMinute = Math.floor((lastMs - day.dayMs) / MINUTE_MS);
  for (const block of day.blocks) {
    for (const family of block.families) {
      const types = [...family.series.entries()].filter(([, id]) => day.series.has(id));
      if (types.length === 0) continue;
      const { from, to } = minuteRange(family, firstMinute, lastMinute);
      for (let i = from; i < to; i++) {
        const minute = readMinute(block, family, i);
        const minuteMs = day.dayMs + minute.minute * MINUTE_MS;
        for (const { offsetMs, totals } of readMinutePushes(block, minute)) {
          for (const [t, id] of types) {
            buckets.add(canonicalGroups.of(id), minuteMs + offsetMs, totals[t] ?? 0n);
          }
        }
        await context.pause.here();
      }
    }
  }
  for (const { section, series } of day.head) {
    const groups = new Groups(section.scope.dictionary, groupBy);
    for (const push of section.view.pushes) {
      for (const type of push.types) {
        if (series.has(type.series)) {
          buckets.add(groups.of(type.series), push.startMs, type.total);
        }
      }
    }
  }
}

/** Grouped labels of the series of a dictionary, made once each. */
class Groups {
  readonly #dictionary: Dictionary;
  readonly #groupBy: readonly string[];
  readonly #labels = new Map<number, readonly Label[]>();

  constructor(dictionary: Dictionary, groupBy: readonly string[]) {
    this.#dictionary = dictionary;
    this.#groupBy = groupBy.toSorted();
  }

  of(series: number): readonly Label[] {
    let labels = this.#labels.get(series);
    if (labels === undefined) {
      const { labels: all, type } = this.#dictionary.seriesRow(series);
      labels = projectRow({ labels: all, type: formatProfileType(type) }, this.#groupBy);
      this.#labels.set(series, labels);
    }
    return labels;
  }
}
