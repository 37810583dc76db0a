import { sleep } from '../../../base/clock.ts';
import { TephraError } from '../../../base/errors.ts';
import type { DiskSpace } from './disk-space.ts';
import type { WriteCounters } from './commit-queue.ts';
import {
  isDiskFull,
  isInputOutput,
  isOutOfFiles,
  levelCode,
  type LevelHandle,
  type LevelOptions,
  levelText,
  writeError,
} from './handle.ts';
import { openGuarded } from './log-guard.ts';
import { type KnownDamage, OpenVolume } from './open-volume.ts';
import { checkTables, forgetTables, recordTables } from './table-sizes.ts';
import type { VolumeEntry } from './volume-entry.ts';
import { createVolume } from './volume-folders.ts';
import { checkMarker } from './volume-marker.ts';
import { bufferBytes, isHot } from './volume-options.ts';
import type { VolumesOptions } from './volumes.ts';

/** How often a volume is opened that meets I/O errors, and the pause before the next time. */
const OPEN_ATTEMPTS = 3;
const OPEN_PAUSE_MS = 100;

/** Makes and opens volumes, and sorts out why one does not open. */
export class VolumeOpening {
  readonly #options: VolumesOptions;
  readonly #space: DiskSpace;
  readonly #counters: WriteCounters;
  readonly #damage: KnownDamage;

  /** `counters` and `damage` are shared by all volumes that it opens. */
  constructor(
    options: VolumesOptions,
    space: DiskSpace,
    counters: WriteCounters,
    damage: KnownDamage,
  ) {
    this.#options = options;
    this.#space = space;
    this.#counters = counters;
    this.#damage = damage;
  }

  /** Makes the directory of a volume at `path`. Rejects with `storage_full`, `write_unknown`. */
  async create(entry: VolumeEntry, path: string): Promise<void> {
    const { fs, clock, random, storeId } = this.#options;
    const { kind, period, name } = entry;
    try {
      if (this.#space.full) await this.#space.expect();
      const bytes = bufferBytes(kind, isHot(kind, period, clock.nowMs()));
      await createVolume(fs, random, path, { storeId, kind, period }, bytes);
    } catch (error) {
      const refused = writeError(`creating ${name}`, error);
      if (refused.reason === 'storage_full') this.#space.ranOut();
      throw refused;
    }
  }

  /**
   * Opens the volume in the directory at `path`. Rejects with `volume_quarantined` where it is set aside
   * now, `unknown_format_version`, `storage_full`, `overloaded`, `data_dir_in_use`.
   */
  async open(entry: VolumeEntry, path: string): Promise<OpenVolume> {
    const { fs, clock, random, storeId } = this.#options;
    const { kind, period, name } = entry;
    const hot = isHot(kind, period, clock.nowMs());
    const options = { bufferBytes: bufferBytes(kind, hot), mode: 'existing' } as const;
    entry.bufferBytes = options.bufferBytes;
    // Opening replays the log and may abort as well.
    entry.pin();
    try {
      const level = await this.#persist(async () => {
        await checkMarker(fs, path, { storeId, kind, period });
        await checkTables(fs, path);
        return undo(entry, await this.#openTables(entry, path, options));
      });
      return new OpenVolume(name, level, this.#counters, random, this.#damage);
    } catch (error) {
      throw this.#openError(entry, error);
    } finally {
      entry.unpin();
    }
  }

  /** What the disk refuses once may be no damage; what it refuses time and again is set aside. */
  async #persist<T>(open: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await open();
      } catch (error) {
        if (attempt === OPEN_ATTEMPTS || !isInputOutput(error)) throw error;
        await sleep(this.#options.timers, OPEN_PAUSE_MS);
      }
    }
  }

  /** From a good opening on LevelDB changes tables; one that it refuses stays as it is. */
  async #openTables(entry: VolumeEntry, path: string, options: LevelOptions): Promise<LevelHandle> {
    const { fs, openHandle } = this.#options;
    const wasRecorded = await forgetTables(fs, path);
    try {
      if (entry.suspect) await this.#examine(entry, path);
      return await openGuarded(fs, path, () => openHandle(path, options));
    } catch (error) {
      if (wasRecorded) await recordTables(fs, path).catch(() => {});
      throw error;
    }
  }

  async #examine(entry: VolumeEntry, path: string): Promise<void> {
    const verdict = await this.#options.suspectCheck(path);
    if (verdict === 'aborts') {
      throw new TephraError('volume_quarantined', 'reading it ends the process');
    }
    if (verdict === 'damaged' && entry.struck) {
      throw new TephraError(
        'volume_quarantined',
        'the process died of it twice, and it is damaged',
      );
    }
    entry.suspect = false;
  }

  /** Sorts out why a volume does not open: what may pass by itself, and what is damage. */
  #openError(entry: VolumeEntry, error: unknown): TephraError {
    const { name } = entry;
    if (error instanceof TephraError && error.reason !== 'volume_quarantined') return error;
    const text = error instanceof TephraError ? error.detail : levelText(error);
    if (isDiskFull(error)) {
      this.#space.ranOut();
      return new TephraError('storage_full', `opening ${name}: ${text}`, { cause: error });
    }
    if (isOutOfFiles(error)) return new TephraError('overloaded', `opening ${name}: ${text}`);
    if (levelCode(error) === 'LEVEL_LOCKED') {
      return new TephraError('data_dir_in_use', `${name} is open in another process`);
    }
    entry.quarantine =
      `${name} is set aside, nothing in it was changed: ${text}; ` +
      'restore its directory from a backup, or move it away to give its data up';
    return new TephraError('volume_quarantined', entry.quarantine, { cause: error });
  }
}

/** Puts a volume that was just opened back to what it showed before; closes it where that fails. */
async function undo(entry: VolumeEntry, level: LevelHandle): Promise<LevelHandle> {
  if (entry.undo.length === 0) return level;
  try {
    await level.batch([...entry.undo], { sync: true });
  } catch (error) {
    await level.close();
    throw error;
  }
  entry.undo = [];
  return level;
}
