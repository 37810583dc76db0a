/**
 * When a volume is written anew. LevelDB gives the space of what was removed back only when it happens
 * to merge the tables that hold it, which for blocks of random names may be never. It does one thing at
 * a time for all volumes of the process: while it merges, a write buffer that fills makes writes wait.
 */
import type { Clock } from '../../../base/clock.ts';
import { LIMITS } from '../../../base/limits.ts';
import type { VolumeUsage } from './open-volume.ts';
import type { VolumeEntry } from './volume-entry.ts';
import { isHot } from './volume-options.ts';

/** Bytes that must have been removed before it is worth looking how much of a volume is of no use. */
const LOOK_BYTES = 1024 * 1024;
/** What is of no use may be a fourth of the rest: then each byte is written anew five times at most. */
const WASTE_SHARE = 1 / 4;

/** Writes volumes anew, a range at a time. */
export class Compactor {
  /** Volumes that were written anew. */
  count = 0;
  readonly #entries: ReadonlyMap<string, VolumeEntry>;
  readonly #clock: Clock;
  readonly #mayCompact: (entry: VolumeEntry) => Promise<boolean>;

  constructor(options: {
    entries: ReadonlyMap<string, VolumeEntry>;
    clock: Clock;
    /** Asked before each range. */
    mayCompact: (entry: VolumeEntry) => Promise<boolean>;
  }) {
    this.#entries = options.entries;
    this.#clock = options.clock;
    this.#mayCompact = options.mayCompact;
  }

  /**
   * Looks at an open volume that the caller has pinned, and writes it anew where much is of no use. Never
   * rejects; where something was in the way, a later look goes on.
   */
  async compact(entry: VolumeEntry): Promise<void> {
    const { volume } = entry;
    if (volume === undefined) return;
    try {
      const { removedBytes } = volume;
      if (isWasteful(await volume.usage(), this.#buffered(entry))) {
        const mayGoOn = async (): Promise<boolean> =>
          !this.#isBufferFilling(entry) && (await this.#mayCompact(entry));
        if (!(await volume.compact(LIMITS.compactRangeBytes, mayGoOn))) return;
        this.count++;
      }
      entry.looked = true;
      entry.removedBefore = removedBytes;
    } catch {
      // LevelDB takes no more writes on this handle. What is damaged is told by those who read it.
      entry.tough = true;
    }
  }

  /** A check is over: how fast buffers fill is counted from here. */
  checked(): void {
    for (const entry of this.#entries.values()) entry.writtenBefore = entry.volume?.written ?? 0;
  }

  /**
   * Bytes in the write buffer and not in tables. LevelDB takes another buffer when one is full, so this
   * is where the present one stands, about.
   */
  #buffered({ volume, bufferBytes }: VolumeEntry): number {
    return volume === undefined ? 0 : volume.written % bufferBytes;
  }

  /**
   * Whether the write buffer of a hot volume may be full before a range of `compacted` is done. Its own is
   * emptied first.
   */
  #isBufferFilling(compacted: VolumeEntry): boolean {
    const nowMs = this.#clock.nowMs();
    for (const entry of this.#entries.values()) {
      const { volume, kind, period, bufferBytes: most } = entry;
      if (volume === undefined || entry === compacted || !isHot(kind, period, nowMs)) continue;
      const filled = this.#buffered(entry);
      const grown = volume.written - entry.writtenBefore;
      // Over half full, and full at the next check if it goes on filling as since the last.
      if (filled > most / 2 && filled + grown >= most) return true;
    }
    return false;
  }
}

/** Whether to look at an open volume. Of raw ones nothing is ever removed but the whole. */
export function isWorthALook(entry: VolumeEntry, idle: boolean): boolean {
  const { volume, kind, tough } = entry;
  if (volume === undefined || kind === 'raw' || tough) return false;
  // What was removed before this process began is not counted.
  if (!entry.looked) return true;
  return volume.removedBytes - entry.removedBefore >= (idle ? 1 : LOOK_BYTES);
}

/** Bytes that it needs on the disk: what it writes lies beside what it reads. */
export const COMPACTION_BYTES = 2 * LIMITS.compactRangeBytes;

function isWasteful({ tableBytes, liveBytes }: VolumeUsage, bufferedBytes: number): boolean {
  const waste = tableBytes + bufferedBytes - liveBytes;
  return waste >= LOOK_BYTES && waste > liveBytes * WASTE_SHARE;
}
