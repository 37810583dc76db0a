import { MINUTE_MS } from '../../base/time.ts';
import { formatProfileType } from '../../profile/profile-type.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import { labelsKey } from '../labels/label-sets.ts';

/** Spans in which the profiles of each series are counted; a day holds them whole. */
const SPAN_MS = 5 * MINUTE_MS;

/** By span: its number since 1970, and the largest number of profiles of one series in it. May cross a thread. */
export type InstantCounts = ReadonlyMap<number, number>;

/** Counts profiles by series and span. */
export class Instants {
  /** By series, whatever dictionary it is in; then by span. */
  readonly #bySeries = new Map<string, Map<number, number>>();
  readonly #known = new Map<Dictionary, Map<number, Map<number, number>>>();

  /** `count` profiles of a series at a time. */
  add(dictionary: Dictionary, series: number, timeMs: number, count: number): void {
    const spans = this.#spansOf(dictionary, series);
    const span = Math.floor(timeMs / SPAN_MS);
    spans.set(span, (spans.get(span) ?? 0) + count);
  }

  /** The largest count by span. */
  finish(): InstantCounts {
    return largestOf([...this.#bySeries.values()]);
  }

  #spansOf(dictionary: Dictionary, series: number): Map<number, number> {
    let known = this.#known.get(dictionary);
    if (known === undefined) this.#known.set(dictionary, (known = new Map()));
    let spans = known.get(series);
    if (spans === undefined) {
      const { labels, type } = dictionary.seriesRow(series);
      const key = `${formatProfileType(type)}/${labelsKey(labels)}`;
      spans = this.#bySeries.get(key) ?? new Map<number, number>();
      this.#bySeries.set(key, spans);
      known.set(series, spans);
    }
    return spans;
  }
}

/** The sum over all spans of the largest count that any part has. */
export function instantsOf(parts: readonly InstantCounts[]): number {
  let sum = 0;
  for (const count of largestOf(parts).values()) sum += count;
  return sum;
}

function largestOf(parts: readonly InstantCounts[]): InstantCounts {
  const largest = new Map<number, number>();
  for (const part of parts) {
    for (const [span, count] of part) largest.set(span, Math.max(count, largest.get(span) ?? 0));
  }
  return largest;
}
