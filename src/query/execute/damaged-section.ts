import { TephraError } from '../../base/errors.ts';
import { DAY_MS, MINUTE_MS } from '../../base/time.ts';
import { minuteRange, readMinute, readMinutePushes } from '../../storage/block/decode.ts';
import type { BlockSectionView, FamilyView } from '../../storage/block/decode.ts';
import type { PushEntry } from '../../storage/block/pushes.ts';

/** A push of a damaged section whose time and totals can be believed. */
export interface SavedPush extends PushEntry {
  readonly startMs: number;
}

/** What can be told of one family of a damaged section, in a range. */
export interface SavedFamily {
  readonly pushes: readonly SavedPush[];
  /** Minutes of which nothing can be told. */
  readonly lostMinutes: number;
}

/**
 * Reads the totals of a section whose checksum does not fit. A minute says its totals twice, for the
 * column and push by push: where both agree they are believed. Its stacks are said once, so they are not.
 */
export function saveFamily(
  section: BlockSectionView,
  family: FamilyView,
  dayMs: number,
  range: { readonly startMs: number; readonly endMs: number },
): SavedFamily {
  const firstMs = Math.max(range.startMs, dayMs);
  const lastMs = Math.min(range.endMs, dayMs + DAY_MS - 1);
  const minuteOf = (timeMs: number): number => Math.floor((timeMs - dayMs) / MINUTE_MS);
  const { from, to } = minuteRange(family, minuteOf(firstMs), minuteOf(lastMs));
  const pushes: SavedPush[] = [];
  let lostMinutes = 0;
  for (let i = from; i < to; i++) {
    const saved = saveMinute(section, family, i);
    if (saved === undefined) lostMinutes++;
    else {
      const minuteMs = dayMs + (family.minutes[i] as number) * MINUTE_MS;
      for (const push of saved) {
        const startMs = minuteMs + push.offsetMs;
        if (startMs >= range.startMs && startMs <= range.endMs) pushes.push({ ...push, startMs });
      }
    }
  }
  return { pushes, lostMinutes };
}

function saveMinute(
  section: BlockSectionView,
  family: FamilyView,
  i: number,
): PushEntry[] | undefined {
  try {
    const minute = readMinute(section, family, i);
    const pushes = readMinutePushes(section, minute);
    const agrees = minute.types.every(
      ({ total }, t) => total === pushes.reduce((sum, { totals }) => sum + (totals[t] ?? 0n), 0n),
    );
    return agrees ? pushes : undefined;
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (error.reason === 'corrupt_block') return undefined;
    throw error;
  }
}
