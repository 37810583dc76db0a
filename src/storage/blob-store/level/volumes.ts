import { dirname, join } from 'node:path';
import type { Clock, Timers } from '../../../base/clock.ts';
import { TephraError } from '../../../base/errors.ts';
import type { FileSystem } from '../../../base/file-system.ts';
import { LIMITS } from '../../../base/limits.ts';
import type { Random } from '../../../base/random.ts';
import { compareVolumes } from '../key.ts';
import { type AbortSlots, openAbortSlots } from './abort-slots.ts';
import type { WriteCounters } from './commit-queue.ts';
import { DiskSpace } from './disk-space.ts';
import { levelText, type openLevel, writeError } from './handle.ts';
import type { KnownDamage, OpenVolume } from './open-volume.ts';
import type { SuspectCheck } from './suspect.ts';
import { recordTables } from './table-sizes.ts';
import { VolumeEntry } from './volume-entry.ts';
import { discardVolume, ensureDirectory, scanVolumes } from './volume-folders.ts';
import { VolumeOpening } from './volume-opening.ts';
import { VolumeTidying } from './volume-tidying.ts';

/** Whether an operation looks, writes where there is a volume, or makes one to write in. */
export type Intent = 'read' | 'update' | 'create';

/** What a registry of volumes needs. */
export interface VolumesOptions {
  /** Directory of the store: `volumes/`, `slots` and `strikes.json` lie in it. */
  readonly path: string;
  /** Hexadecimal id of the store, repeated in every volume. */
  readonly storeId: string;
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly suspectCheck: SuspectCheck;
  /** Opens the LevelDB of a volume; tests give handles that fail. */
  readonly openHandle: typeof openLevel;
  /** Examines every volume before it is opened. */
  readonly suspectAll?: boolean;
  /** Bytes that must be free before writes go on after the disk was full. */
  readonly spaceNeeded: () => number;
  /** Refuses writes from the start until there is that space. */
  readonly startsFull: boolean;
}

/**
 * The one owner of all LevelDB handles: opens a volume when an operation needs it, lends it out with
 * a count, closes it only when nobody uses it. States of a volume (volume-entry.ts):
 *
 *     closed -> opening -> open -> closing -> closed       opened once per process, whatever fails
 *     any    -> quarantined                                damaged: its operations reject, others serve
 *     any    -> dropping -> gone                           new operations wait, then find nothing
 */
export class Volumes {
  readonly #options: VolumesOptions;
  readonly #root: string;
  readonly #slots: AbortSlots;
  readonly #entries = new Map<string, VolumeEntry>();
  readonly #counters: WriteCounters = { bytesWritten: 0, syncBatches: 0, pendingWrites: 0 };
  readonly #damage: KnownDamage = { degradedRoots: new Set(), strangeKeys: new Set() };
  readonly #space: DiskSpace;
  readonly #opening: VolumeOpening;
  readonly #tidying: VolumeTidying;
  #closing: Promise<void> | undefined;

  private constructor(options: VolumesOptions, root: string, slots: AbortSlots) {
    this.#options = options;
    this.#root = root;
    this.#slots = slots;
    const { fs, clock, timers, spaceNeeded, startsFull } = options;
    this.#space = new DiskSpace({
      fs,
      path: root,
      needed: spaceNeeded,
      startsFull,
      resume: () => this.#resume(),
    });
    this.#opening = new VolumeOpening(options, this.#space, this.#counters, this.#damage);
    this.#tidying = new VolumeTidying({
      entries: this.#entries,
      clock,
      timers,
      close: (entry) => this.#close(entry),
      hasRoom: (bytes) => this.#space.hasRoom(bytes),
    });
  }

  /** Reads the catalogue, which is the directory, and tidies up after a crash. */
  static async open(options: VolumesOptions): Promise<Volumes> {
    const { fs, path, clock } = options;
    const root = join(path, 'volumes');
    await ensureDirectory(fs, root);
    const names = await scanVolumes(fs, root);
    const { slots, suspects } = await openAbortSlots(fs, path, names, clock.nowMs());
    const volumes = new Volumes(options, root, slots);
    for (const name of names) {
      const entry = volumes.#addEntry(name, true);
      entry.struck = suspects.has(name);
      entry.suspect = entry.struck || options.suspectAll === true;
    }
    volumes.#tidying.start();
    return volumes;
  }

  /** Names of the volumes that exist, quarantined ones too, in the order of their keys. */
  names(): string[] {
    const names: string[] = [];
    for (const entry of this.#entries.values()) if (entry.exists) names.push(entry.name);
    return names.sort(compareVolumes);
  }

  /**
   * Runs `operation` on the volume. An absent one is made for `create`; else the result is then
   * undefined. Rejects with `volume_quarantined`, `unknown_format_version`, `storage_full`,
   * `overloaded`, or what the operation rejects with.
   */
  async use<T>(
    name: string,
    intent: Intent,
    operation: (volume: OpenVolume) => Promise<T>,
  ): Promise<T | undefined> {
    const entry = await this.#acquire(name, intent);
    if (entry?.volume === undefined) return undefined;
    const { volume } = entry;
    try {
      return await operation(volume);
    } finally {
      if (volume.poison?.reason === 'storage_full') this.#space.ranOut();
      this.#release(entry);
    }
  }

  /** Forgets a volume. Rejects with `write_unknown` if it stays in use for LIMITS.volumeDropWaitMs. */
  async drop(name: string): Promise<void> {
    if (this.#closing !== undefined) throw closedError();
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    entry.dropping ??= this.#drop(entry).finally(() => (entry.dropping = undefined));
    await entry.dropping;
  }

  /** Gauges, see LevelStoreStats. */
  stats(): WriteCounters & {
    openVolumes: number;
    quarantined: { name: string; why: string }[];
    degradedRoots: string[];
    strangeKeys: string[];
    diskFull: boolean;
    compactions: number;
  } {
    const all = [...this.#entries.values()];
    return {
      ...this.#counters,
      openVolumes: all.filter((entry) => entry.volume !== undefined).length,
      quarantined: all.flatMap(({ name, quarantine }) =>
        quarantine === undefined ? [] : [{ name, why: quarantine }],
      ),
      degradedRoots: [...this.#damage.degradedRoots],
      strangeKeys: [...this.#damage.strangeKeys],
      diskFull: this.#space.full,
      compactions: this.#tidying.compactions,
    };
  }

  /**
   * Closes volumes that nobody used for a while, and has those written anew of which much was removed.
   * One at a time; never rejects. It comes by itself each minute.
   */
  tidy(): Promise<void> {
    return this.#tidying.run();
  }

  /** Refuses new operations, waits for those under way, closes every handle. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    await this.#tidying.stop();
    for (const entry of this.#entries.values()) {
      await entry.dropping?.catch(() => {});
      await entry.settled();
      await entry.unused();
      this.#close(entry);
      await entry.settled();
    }
    this.#slots.close();
  }

  async #acquire(name: string, intent: Intent): Promise<VolumeEntry | undefined> {
    for (;;) {
      if (this.#closing !== undefined) throw closedError();
      const entry =
        this.#entries.get(name) ?? (intent === 'create' ? this.#addEntry(name) : undefined);
      if (entry === undefined) return undefined;
      if (entry.dropping !== undefined) {
        await entry.dropping.catch(() => {});
      } else if (entry.quarantine !== undefined) {
        throw new TephraError('volume_quarantined', entry.quarantine);
      } else if (entry.closing !== undefined) {
        await entry.closing;
      } else if (entry.volume === undefined) {
        if (intent !== 'create' && !entry.exists) return undefined;
        await this.#opened(entry);
      } else {
        const usable = this.#usable(entry, entry.volume, intent);
        if (usable === true) {
          entry.pin();
          return entry;
        }
        await usable;
      }
    }
  }

  /**
   * Whether an open volume may be lent out now; else waits until it is worth looking again. A yes is
   * no promise, because what was looked at must still hold when the volume is taken.
   */
  #usable(entry: VolumeEntry, volume: OpenVolume, intent: Intent): true | Promise<void> {
    const { poison } = volume;
    if (poison === undefined) {
      // Another volume met the full disk: this one's log may be the next to break.
      return this.#space.full && intent !== 'read' ? this.#space.expect() : true;
    }
    // A full disk cannot be opened, only read on: recovery must write a table.
    if (poison.reason === 'storage_full' && this.#space.waiting) {
      return intent === 'read' ? true : this.#space.expect();
    }
    return (async () => {
      await entry.unused();
      if (entry.volume === volume) this.#close(entry);
    })();
  }

  /**
   * Reopens what was read on without space, and undoes there what had failed. Before anything is
   * written anywhere: what was told to be absent may be sent again, and be stored in another volume.
   */
  async #resume(): Promise<void> {
    for (const entry of this.#entries.values()) {
      if (entry.volume?.poison !== undefined) {
        await entry.unused();
        if (entry.volume?.poison !== undefined) this.#close(entry);
      }
      await entry.closing;
      if (entry.undo.length === 0 || entry.dropping !== undefined) continue;
      try {
        await this.#opened(entry);
      } catch (error) {
        // What is set aside shows nothing any more.
        if (entry.quarantine === undefined) throw error;
      }
    }
  }

  /** Opens a volume; all who ask meanwhile wait for the same. */
  #opened(entry: VolumeEntry): Promise<void> {
    entry.opening ??= this.#open(entry).finally(() => (entry.opening = undefined));
    return entry.opening;
  }

  #release(entry: VolumeEntry): void {
    entry.usedMs = this.#options.clock.monotonicMs();
    entry.unpin();
    const { volume } = entry;
    if (!entry.inUse && volume?.poison !== undefined && volume.poison.reason !== 'storage_full') {
      this.#close(entry);
    }
    this.#tidying.trim();
  }

  #addEntry(name: string, exists = false): VolumeEntry {
    const entry = new VolumeEntry(name, this.#slots.slotFor(name), exists);
    this.#entries.set(name, entry);
    return entry;
  }

  async #open(entry: VolumeEntry): Promise<void> {
    const path = this.#pathOf(entry);
    if (!entry.exists) {
      try {
        await this.#opening.create(entry, path);
        entry.exists = true;
      } catch (error) {
        this.#entries.delete(entry.name);
        throw error;
      }
    }
    entry.volume = await this.#opening.open(entry, path);
    entry.removedBefore = 0;
    entry.writtenBefore = 0;
    entry.usedMs = this.#options.clock.monotonicMs();
  }

  /** Begins to close an open volume that nobody uses. */
  #close(entry: VolumeEntry): void {
    const { volume } = entry;
    if (volume === undefined || entry.inUse) return;
    entry.volume = undefined;
    if (volume.undo.length > 0) entry.undo = volume.undo;
    entry.closing = (async () => {
      try {
        await volume.close();
        // Advice only: without it the next open does what it can.
        await recordTables(this.#options.fs, this.#pathOf(entry)).catch(() => {});
      } catch (error) {
        // Whether the handle still holds its lock is unknown, and a second open would destroy it.
        entry.quarantine = `${entry.name} does not close: ${levelText(error)}; restart the server`;
      } finally {
        entry.closing = undefined;
      }
    })();
  }

  async #drop(entry: VolumeEntry): Promise<void> {
    const { fs, random } = this.#options;
    // Entered in the same turn as `dropping` was set: from here on nobody else gets the volume.
    await entry.settled();
    const inTime = await this.#unusedInTime(entry);
    if (!inTime) {
      throw new TephraError('write_unknown', `${entry.name} is not dropped: it stays in use`);
    }
    this.#close(entry);
    await entry.settled();
    if (!entry.exists) return;
    try {
      const trash = await discardVolume(fs, random, this.#pathOf(entry));
      this.#entries.delete(entry.name);
      await fs.syncDirectory(dirname(trash));
      // What cannot be removed now is out of sight, and goes at the next start.
      await fs.remove(trash).catch(() => {});
    } catch (error) {
      throw writeError(`dropping ${entry.name}`, error);
    }
  }

  /** Waits for the operations under way, at most LIMITS.volumeDropWaitMs. */
  #unusedInTime(entry: VolumeEntry): Promise<boolean> {
    return new Promise((resolve) => {
      const { timers } = this.#options;
      const cancel = timers.after(LIMITS.volumeDropWaitMs, () => resolve(false));
      void (async () => {
        await entry.unused();
        cancel();
        resolve(true);
      })();
    });
  }

  #pathOf(entry: VolumeEntry): string {
    return join(this.#root, entry.kind, entry.period);
  }
}

function closedError(): TephraError {
  return new TephraError('draining', 'the store is closed');
}
