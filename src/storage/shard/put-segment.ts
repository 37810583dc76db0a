import { type Random, randomName } from '../../base/random.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { encodeOutline } from '../dictionary/outline.ts';
import type { SeriesRow } from '../dictionary/rows.ts';
import { encodeSegment, type SegmentPart } from '../dictionary/segment.ts';
import { decodeRows } from '../dictionary/slice.ts';
import { outlineKey, segmentKey } from '../keys.ts';
import type { RootSegment } from '../root/encode.ts';

/** A slice with the rows of series in it. */
export interface PartWithSeries extends SegmentPart {
  readonly series: readonly SeriesRow[];
}

/** Puts a segment and its outline under a fresh name. No root names it yet. */
export async function putSegment(
  of: { readonly store: BlobStore; readonly random: Random; readonly shard: number },
  dayMs: number,
  parts: readonly PartWithSeries[],
): Promise<RootSegment> {
  const { store, random, shard } = of;
  const bytes = encodeSegment(parts);
  const id = randomName(random);
  await Promise.all([
    store.put(segmentKey(dayMs, shard, id), bytes),
    store.put(outlineKey(dayMs, shard, id), encodeOutline(parts)),
  ]);
  return { id, bytes: bytes.byteLength };
}

/** Adds the series to a slice that is at hand as bytes. Throws `corrupt_block`. */
export function withSeries(part: SegmentPart): PartWithSeries {
  return { ...part, series: decodeRows(part.slice, part.from, part.to).series };
}
