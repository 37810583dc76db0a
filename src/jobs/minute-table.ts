import { MINUTE_MS } from '../base/time.ts';
import { readMinute, readMinutePushes } from '../storage/block/decode.ts';
import type { BlockSectionView } from '../storage/block/decode.ts';
import type { BlockSection, FamilyColumns, MinuteColumn } from '../storage/block/encode.ts';
import type { PushEntry } from '../storage/block/pushes.ts';
import { seriesColumn } from '../storage/column/entries.ts';
import { mergeEntries } from '../storage/column/merge.ts';
import type { MergeInput } from '../storage/column/merge.ts';
import type { HeadSection } from '../storage/shard/head.ts';
import type { ScopeMap } from '../storage/dictionary/scope-map.ts';

interface MinuteInputs {
  readonly inputs: MergeInput[];
  readonly pushes: PushEntry[];
}

interface FamilyTable {
  readonly series: readonly number[];
  readonly minutes: Map<number, MinuteInputs>;
}

/**
 * Collects the pushes and minute columns of one (tenant, service) of a partition and merges them to
 * one column a minute and family. What comes in is only referred to; merging happens in `finish`.
 */
export class MinuteTable {
  readonly #families = new Map<string, FamilyTable>();

  /**
   * Adds the pushes of a head section. `map` translates the writer's ids; undefined where they are
   * canonical already.
   */
  addSection(section: HeadSection, map: ScopeMap | undefined): void {
    const toStack = map === undefined ? undefined : (id: number): number => map.stack(id);
    for (const push of section.view.pushes) {
      const series = push.types.map((type) =>
        map === undefined ? type.series : map.series(type.series),
      );
      const sinceDay = push.startMs - section.dayMs;
      const minute = Math.floor(sinceDay / MINUTE_MS);
      const inputs = this.#at(series, minute);
      for (const { at, end } of push.groups) {
        inputs.inputs.push({ bytes: section.bytes, at, end, types: push.types, toStack });
      }
      inputs.pushes.push({
        offsetMs: sinceDay - minute * MINUTE_MS,
        totals: push.types.map((type) => type.total),
        ref: {
          arrivalHourMs: section.arrivalHourMs,
          incarnation: section.incarnation,
          seq: section.seq,
          index: push.index,
          canonical: map === undefined,
        },
      });
    }
  }

  /** Adds all minute columns of a block's section. */
  addBlock(section: BlockSectionView): void {
    for (const family of section.families) {
      for (let i = 0; i < family.minutes.length; i++) {
        const minute = readMinute(section, family, i);
        const inputs = this.#at(family.series, minute.minute);
        inputs.inputs.push({
          bytes: section.bytes,
          at: minute.entriesAt,
          end: minute.entriesEnd,
          types: minute.types,
          toStack: undefined,
        });
        inputs.pushes.push(...readMinutePushes(section, minute));
      }
    }
  }

  /** The merged families with their minutes within `[firstMinute, untilMinute)`, if there are any. */
  *families(firstMinute: number, untilMinute: number): Iterable<FamilyColumns> {
    for (const { series, minutes } of this.#families.values()) {
      const columns: MinuteColumn[] = [];
      for (const minute of [...minutes.keys()].toSorted((a, b) => a - b)) {
        if (minute < firstMinute || minute >= untilMinute) continue;
        const { inputs, pushes } = minutes.get(minute) as MinuteInputs;
        const merged = mergeEntries(inputs);
        columns.push({
          minute,
          types: merged.types.map((type, i) => seriesColumn(series[i] as number, type)),
          pushes: pushes.toSorted((a, b) => a.offsetMs - b.offsetMs),
          entries: merged.entries,
        });
      }
      if (columns.length > 0) yield { series, minutes: columns };
    }
  }

  /** Hours of the day with minutes. */
  hours(): Set<number> {
    const hours = new Set<number>();
    for (const { minutes } of this.#families.values()) {
      for (const minute of minutes.keys()) hours.add(Math.floor(minute / 60));
    }
    return hours;
  }

  #at(series: readonly number[], minute: number): MinuteInputs {
    const key = series.join(',');
    let family = this.#families.get(key);
    if (family === undefined) {
      family = { series, minutes: new Map() };
      this.#families.set(key, family);
    }
    let inputs = family.minutes.get(minute);
    if (inputs === undefined) {
      inputs = { inputs: [], pushes: [] };
      family.minutes.set(minute, inputs);
    }
    return inputs;
  }
}

/** All that a block holds of each service, by {@link serviceKey}. */
export type ServiceTables = Map<
  string,
  { readonly tenant: string; readonly service: string; readonly table: MinuteTable }
>;

/** Key of a service in maps. */
export function serviceKey(tenant: string, service: string): string {
  return `${tenant.length}/${tenant}/${service}`;
}

/** The table of a service; made where it is missing. */
export function tableOf(tables: ServiceTables, tenant: string, service: string): MinuteTable {
  const key = serviceKey(tenant, service);
  let entry = tables.get(key);
  if (entry === undefined) {
    entry = { tenant, service, table: new MinuteTable() };
    tables.set(key, entry);
  }
  return entry.table;
}

/** Sections of one hour, merged; yields control between families. */
export async function sectionsOfHour(
  tables: ServiceTables,
  hour: number,
  pause: { here(): Promise<void> | undefined },
): Promise<BlockSection[]> {
  const sections: BlockSection[] = [];
  for (const { tenant, service, table } of tables.values()) {
    const families: FamilyColumns[] = [];
    for (const family of table.families(hour * 60, hour * 60 + 60)) {
      families.push(family);
      await pause.here();
    }
    if (families.length > 0) sections.push({ tenant, service, families });
  }
  return sections;
}
