import { floorTo, HOUR_MS } from '../../base/time.ts';
import { formatProfileType } from '../../profile/profile-type.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import { labelsKey } from '../labels/label-sets.ts';
import type { SeriesRow } from '../labels/series-label.ts';
import type { LossNotes } from '../losses.ts';
import type { LabelsRequest } from '../request.ts';
import { parseSelector } from '../selector/parse.ts';
import type { QueryContext } from './context.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';
import { readDayIndex } from './day.ts';
import type { ServiceIndex } from './day.ts';
import { eachDay } from './days.ts';

/** What one host has for a question about labels. */
export interface LabelPart {
  readonly rows: readonly SeriesRow[];
  /** What it lacks. */
  readonly losses: LossNotes;
}

/**
 * The distinct series of these shards that match one of the selectors and have a push in one of the
 * UTC hours that the range touches. Whole hours, so that directories of blocks answer: no column and no list of pushes
 * is read.
 */
export async function labelRows(context: QueryContext, request: LabelsRequest): Promise<LabelPart> {
  const startMs = floorTo(request.startMs, HOUR_MS);
  const endMs = floorTo(request.endMs, HOUR_MS) + HOUR_MS - 1;
  const selectors = request.selectors.length === 0 ? ['{}'] : request.selectors;
  const rows = new Map<string, SeriesRow>();
  const add = (dictionary: Dictionary, id: number): void => {
    const { labels, type } = dictionary.seriesRow(id);
    const row = { labels, type: formatProfileType(type) };
    rows.set(`${row.type}/${labelsKey(labels)}`, row);
  };
  for (const selector of selectors) {
    const wanted = {
      tenant: request.tenant,
      matchers: parseSelector(selector),
      profileType: undefined,
      startMs,
      endMs,
    };
    const read = (state: ShardState, dayMs: number): Promise<ServiceIndex[]> =>
      readDayIndex(context, state, dayMs, wanted);
    for await (const day of eachDay(context, [wanted], read)) {
      for (const { hour, series } of day.hours) {
        const hourMs = day.dayMs + hour * HOUR_MS;
        if (hourMs > endMs || hourMs + HOUR_MS <= startMs) continue;
        for (const id of series) if (day.series.has(id)) add(day.canonical.dictionary, id);
      }
      for (const { section, series } of day.head) {
        for (const push of section.view.pushes) {
          if (push.startMs < startMs || push.startMs > endMs) continue;
          for (const type of push.types) {
            if (series.has(type.series)) add(section.scope.dictionary, type.series);
          }
        }
      }
      await context.pause.here();
    }
  }
  return { rows: [...rows.values()], losses: context.losses.notes() };
}
