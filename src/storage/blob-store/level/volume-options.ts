import { LIMITS } from '../../../base/limits.ts';
import { DAY_MS, dayName, floorTo, hourName, RAW_VOLUME_MS } from '../../../base/time.ts';

/**
 * Whether a volume takes writes these days: the present raw volume, the minutes of today and
 * yesterday, hours and days of this month. Hot volumes stay open.
 */
export function isHot(kind: string, period: string, nowMs: number): boolean {
  switch (kind) {
    case 'raw':
      return period === hourName(floorTo(nowMs, RAW_VOLUME_MS));
    case 'minutes':
      return period === dayName(nowMs) || period === dayName(nowMs - DAY_MS);
    default:
      return period === dayName(nowMs).slice(0, 6);
  }
}

/** Bytes of LevelDB's write buffer for a volume that is opened now. */
export function bufferBytes(kind: string, hot: boolean): number {
  if (!hot) return LIMITS.closedBufferBytes;
  return kind === 'raw' ? LIMITS.rawBufferBytes : LIMITS.volumeBufferBytes;
}
