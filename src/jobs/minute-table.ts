import { MINUTE_MS } from '../base/time.ts';
import { readMinute, readMinutePushes } from '../storage/block/decode.ts';
import type { BlockSectionView } from '../storage/block/decode.ts';
import type { BlockSection, FamilyColumns, MinuteColumn } from '../storage/block/encode.ts';
import { type PushRef, tickTotals } from '../storage/block/pushes.ts';
import { columnCount } from '../storage/column/types.ts';
import type { ScopeMap } from '../storage/dictionary/scope-map.ts';
import { SectionWalk } from '../storage/fragment/walk.ts';
import type { HeadSection } from '../storage/shard/head.ts';
import { MinuteRows } from './minute-rows.ts';
import type { Layout, RowTables } from './minute-rows.ts';
import { TypeHeads } from './type-heads.ts';

interface FamilyTable {
  readonly series: readonly number[];
  readonly minutes: Map<number, MinuteRows>;
}

/** How pushes with these types are taken in. */
interface KnownTypes {
  readonly family: FamilyTable;
  readonly layout: number;
}

/**
 * Collects the pushes and minute columns of one (tenant, service) of a partition and merges them to
 * one column a minute and family. What comes in is only referred to; merging happens in `families`.
 */
export class MinuteTable {
  readonly #families = new Map<string, FamilyTable>();
  readonly #tables: RowTables = { sources: [], refs: [], layouts: [] };
  readonly #layouts = new Map<string, number>();
  /** By the translation of their series. */
  readonly #heads = new Map<ScopeMap | undefined, TypeHeads<KnownTypes>>();

  /**
   * Adds the pushes of a head section. `map` translates the writer's ids; undefined where they are
   * canonical already.
   */
  addSection(section: HeadSection, map: ScopeMap | undefined): void {
    const { bytes, dayMs, arrivalHourMs, incarnation, seq } = section;
    const { sources, refs } = this.#tables;
    const toStack = map === undefined ? undefined : (id: number): number => map.stack(id);
    const source = sources.push({ bytes, toStack }) - 1;
    const ref = refs.push({ arrivalHourMs, incarnation, seq, canonical: map === undefined }) - 1;
    const heads = this.#headsOf(map);
    for (const walk = new SectionWalk(bytes, section); walk.next();) {
      const { family, layout } = heads.of(bytes, walk.typesAt, walk.typesEnd);
      const sinceDay = walk.startMs - dayMs;
      const minute = Math.floor(sinceDay / MINUTE_MS);
      const rows = this.#at(family, minute);
      const ticksAt = rows.addTicks(walk.ticks);
      for (let group = 0; group < walk.groupAt.length; group++) {
        const [at, end] = [walk.groupAt[group] as number, walk.groupEnd[group] as number];
        rows.addInput(source, at, end, layout, ticksAt);
      }
      rows.addPush(sinceDay - minute * MINUTE_MS, ref, walk.index, layout, ticksAt);
    }
  }

  /** Adds all minute columns of a block's section. */
  addBlock(section: BlockSectionView): void {
    const { sources } = this.#tables;
    const source = sources.push({ bytes: section.bytes, toStack: undefined }) - 1;
    for (const view of section.families) {
      const family = this.#family(view.series);
      for (let i = 0; i < view.minutes.length; i++) {
        const minute = readMinute(section, view, i);
        const layout = this.#layout(minute.types);
        const rows = this.#at(family, minute.minute);
        const totals = minute.types.map(({ total }) => total);
        const ticksAt = rows.addTicks(ticksOf(minute.types, totals));
        rows.addInput(source, minute.entriesAt, minute.entriesEnd, layout, ticksAt);
        for (const push of readMinutePushes(section, minute)) {
          const at = rows.addTicks(ticksOf(minute.types, push.totals));
          rows.addPush(push.offsetMs, this.#ref(push.ref), push.ref.index, layout, at);
        }
      }
    }
  }

  /** The merged families with their minutes within `[firstMinute, untilMinute)`, if there are any. */
  *families(firstMinute: number, untilMinute: number): Iterable<FamilyColumns> {
    for (const { series, minutes } of this.#families.values()) {
      const columns: MinuteColumn[] = [];
      for (const minute of [...minutes.keys()].toSorted((a, b) => a - b)) {
        if (minute < firstMinute || minute >= untilMinute) continue;
        columns.push((minutes.get(minute) as MinuteRows).merge(minute, series));
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

  #headsOf(map: ScopeMap | undefined): TypeHeads<KnownTypes> {
    let heads = this.#heads.get(map);
    if (heads === undefined) {
      heads = new TypeHeads((types) => {
        const series = types.map((type) =>
          map === undefined ? type.series : map.series(type.series),
        );
        return { family: this.#family(series), layout: this.#layout(types) };
      });
      this.#heads.set(map, heads);
    }
    return heads;
  }

  #family(series: readonly number[]): FamilyTable {
    const key = series.join(',');
    let family = this.#families.get(key);
    if (family === undefined) {
      family = { series, minutes: new Map() };
      this.#families.set(key, family);
    }
    return family;
  }

  #at({ minutes }: FamilyTable, minute: number): MinuteRows {
    let rows = minutes.get(minute);
    if (rows === undefined) {
      rows = new MinuteRows(this.#tables);
      minutes.set(minute, rows);
    }
    return rows;
  }

  #layout(types: Layout['types']): number {
    const key = types.map(({ grain, column }) => `${column}*${grain}`).join(',');
    let layout = this.#layouts.get(key);
    if (layout === undefined) {
      const own = types.map(({ grain, column }) => ({ grain, column }));
      layout = this.#tables.layouts.push({ types: own, columns: columnCount(own) }) - 1;
      this.#layouts.set(key, layout);
    }
    return layout;
  }

  /** Pushes of a fragment come in runs. */
  #ref({ arrivalHourMs, incarnation, seq, canonical }: PushRef): number {
    const { refs } = this.#tables;
    const last = refs.at(-1);
    const isLast =
      last?.seq === seq &&
      last.incarnation === incarnation &&
      last.arrivalHourMs === arrivalHourMs &&
      last.canonical === canonical;
    return isLast ? refs.length - 1 : refs.push({ arrivalHourMs, incarnation, seq, canonical }) - 1;
  }
}

/** Sums of the ticks of each column, low and high 32 bits in turn. */
function ticksOf(types: Layout['types'], totals: readonly bigint[]): number[] {
  const lanes: number[] = [];
  for (const tick of tickTotals(types, totals)) {
    lanes.push(Number(tick & 0xffff_ffffn), Number(tick >> 32n));
  }
  return lanes;
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
