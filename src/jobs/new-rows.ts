import { ByteReader } from '../base/bytes.ts';
import { lengthsAtLeast } from '../storage/dictionary/lengths.ts';
import type { TableLengths } from '../storage/dictionary/lengths.ts';
import type { Dictionary } from '../storage/dictionary/dictionary.ts';
import type { SeriesRow } from '../storage/dictionary/rows.ts';
import { payloadBytes } from '../storage/dictionary/slice.ts';
import type { RootSegment } from '../storage/root/encode.ts';
import type { HeadSection } from '../storage/shard/head.ts';
import { putSegment } from '../storage/shard/put-segment.ts';
import type { PartWithSeries } from '../storage/shard/put-segment.ts';
import type { ShardState } from '../storage/shard/shard-state.ts';

/** Rows of a service that become canonical. */
export interface NewRows {
  readonly tenant: string;
  readonly service: string;
  readonly dictionary: Dictionary;
  /** Lengths before them. */
  readonly from: TableLengths;
  /** Lengths at which a slice may end, ascending; the last one is where they end. */
  readonly cuts: readonly TableLengths[];
}

/** Things in their order, in groups of at most `bytesMax`; one that is larger is alone. */
export function groupsBySize<T>(
  things: readonly T[],
  sizeOf: (thing: T) => number,
  bytesMax: number,
): T[][] {
  const groups: T[][] = [];
  let bytes = 0;
  for (const thing of things) {
    const size = sizeOf(thing);
    const group = groups.at(-1);
    if (group === undefined || bytes + size > bytesMax) {
      groups.push([thing]);
      bytes = 0;
    } else group.push(thing);
    bytes += size;
  }
  return groups;
}

/** Bytes of the rows that came with a section. What waited for long may have more than fit into a blob. */
export function rowBytes({ bytes, at, end }: HeadSection): number {
  return payloadBytes(new ByteReader(bytes, 'section', at, end).block());
}

/** Segments with the new rows of all services, about `bytesMax` each; none if there are none. */
export async function putRows(
  state: ShardState,
  dayMs: number,
  services: readonly NewRows[],
  bytesMax: number,
): Promise<RootSegment[]> {
  const segments: RootSegment[] = [];
  let parts: PartWithSeries[] = [];
  let bytes = 0;
  const close = async (): Promise<void> => {
    if (parts.length > 0) segments.push(await putSegment(state, dayMs, parts));
    parts = [];
    bytes = 0;
  };
  for (const { tenant, service, dictionary, from: start, cuts } of services) {
    let from = start;
    for (const to of cuts) {
      if (lengthsAtLeast(from, to)) continue;
      const slice = dictionary.encodeSlice(from, to);
      if (bytes + slice.byteLength > bytesMax) await close();
      const series: SeriesRow[] = [];
      for (let id = from.series; id < to.series; id++) series.push(dictionary.seriesRow(id));
      parts.push({ tenant, service, from, to, slice, series });
      bytes += slice.byteLength;
      from = to;
    }
  }
  await close();
  return segments;
}
