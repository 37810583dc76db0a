import type { LabelSet } from '../../profile/labels.ts';
import type { ProfileType } from '../../profile/profile-type.ts';
import type { SeriesRow } from './rows.ts';

/** About what a row costs beside its characters: objects, key, map entry. */
const ROW_BYTES = 160;

/** The table of series: labels and type. Rows are self-contained, so that labels need no strings. */
export class SeriesTable {
  readonly rows: SeriesRow[] = [];
  readonly #ids = new Map<string, number>();
  #indexed = 0;
  #bytes = 0;

  /** Rows. */
  get count(): number {
    return this.rows.length;
  }

  /** Bytes held, by estimate. */
  get bytesInMemory(): number {
    return this.#bytes;
  }

  /** Id of a series; labels are sorted by the caller. */
  intern(labels: LabelSet, type: ProfileType): number {
    this.#index();
    const key = seriesKey(labels, type);
    const found = this.#ids.get(key);
    if (found !== undefined) return found;
    const id = this.rows.length;
    this.push({ labels: labels.map(([name, value]) => [name, value] as const), type: { ...type } });
    this.#ids.set(key, id);
    this.#indexed = id + 1;
    return id;
  }

  /** Adds a row as it is. */
  push(row: SeriesRow): void {
    this.rows.push(row);
    let size = ROW_BYTES;
    for (const [name, value] of row.labels) size += 96 + 2 * (name.length + value.length);
    this.#bytes += size;
  }

  #index(): void {
    for (let id = this.#indexed; id < this.rows.length; id++) {
      const row = this.rows[id] as SeriesRow;
      const key = seriesKey(row.labels, row.type);
      if (!this.#ids.has(key)) this.#ids.set(key, id);
    }
    this.#indexed = this.rows.length;
  }
}

/** One text for a series, the same for equal series only: every part carries its length. */
export function seriesKey(labels: LabelSet, type: ProfileType): string {
  let key = '';
  for (const [name, value] of labels) key += `${name.length}:${name}${value.length}:${value}`;
  for (const part of typeParts(type)) key += `|${part.length}:${part}`;
  return key;
}

/** The five parts of a type in the order of its id. */
export function typeParts(type: ProfileType): readonly string[] {
  return [type.name, type.type, type.unit, type.periodType, type.periodUnit];
}
