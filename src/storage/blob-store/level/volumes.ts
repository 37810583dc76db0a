import { dirname, join } from 'node:path';
import { type Clock, sleep, type Timers } from '../../../base/clock.ts';
import { TephraError } from '../../../base/errors.ts';
import type { FileSystem } from '../../../base/file-system.ts';
import { LIMITS } from '../../../base/limits.ts';
import type { Random } from '../../../base/random.ts';
import { Compactor, compactionSpace, isWorthALook } from './compaction.ts';
import { compareVolumes } from '../key.ts';
import { type AbortSlots, openAbortSlots } from './abort-slots.ts';
import type { WriteCounters } from './commit-queue.ts';
import {
  isDiskFull,
  isInputOutput,
  isOutOfFiles,
  levelCode,
  type LevelHandle,
  type LevelOptions,
  levelText,
  type openLevel,
  writeError,
} from './handle.ts';
import { openGuarded } from './log-guard.ts';
import { type KnownDamage, OpenVolume } from './open-volume.ts';
import type { SuspectCheck } from './suspect.ts';
import { createVolume, discardVolume, ensureDirectory, scanVolumes } from './volume-folders.ts';
import { checkMarker } from './volume-marker.ts';
import { bufferBytes, isHot } from './volume-options.ts';
import { checkTables, forgetTables, recordTables } from './table-sizes.ts';
import { VolumeEntry } from './volume-entry.ts';

const IDLE_CHECK_MS = 60_000;
/** How often a volume is opened that meets I/O errors, and the pause before the next time. */
const OPEN_ATTEMPTS = 3;
const OPEN_PAUSE_MS = 100;

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
  #diskFull = false;
  #resuming: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #cancelIdleCheck: () => void = () => {};
  #tidying: Promise<void> | undefined;
  readonly #compactor: Compactor;

  private constructor(options: VolumesOptions, root: string, slots: AbortSlots) {
    this.#options = options;
    this.#diskFull = options.startsFull;
    this.#root = root;
    this.#slots = slots;
    this.#compactor = new Compactor({
      entries: this.#entries,
      clock: options.clock,
      mayCompact: (entry) => this.#mayCompact(entry),
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
    volumes.#scheduleTidying();
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
      if (volume.poison?.reason === 'storage_full') this.#diskFull = true;
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
      diskFull: this.#diskFull,
      compactions: this.#compactor.count,
    };
  }

  /**
   * Closes volumes that nobody used for a while, and has those written anew of which much was removed.
   * One at a time; never rejects. It comes by itself each minute.
   */
  tidy(): Promise<void> {
    this.#closeIdle();
    this.#tidying ??= this.#compactAll().finally(() => (this.#tidying = undefined));
    return this.#tidying;
  }

  /** Refuses new operations, waits for those under way, closes every handle. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    this.#cancelIdleCheck();
    await this.#tidying;
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
      return this.#diskFull && intent !== 'read' ? this.#expectSpace() : true;
    }
    // A full disk cannot be opened, only read on: recovery must write a table.
    if (poison.reason === 'storage_full' && this.#diskFull && this.#resuming === undefined) {
      return intent === 'read' ? true : this.#expectSpace();
    }
    return (async () => {
      await entry.unused();
      if (entry.volume === volume) this.#close(entry);
    })();
  }

  /** Throws `storage_full` while there is too little space; then lets writes go on. */
  async #expectSpace(): Promise<void> {
    const free = await this.#options.fs.freeBytes(this.#root);
    const needed = this.#options.spaceNeeded();
    if (free < needed) {
      throw new TephraError(
        'storage_full',
        `${this.#root} has ${free} bytes free; writes go on at ${needed}`,
      );
    }
    this.#resuming ??= this.#resume().finally(() => (this.#resuming = undefined));
    await this.#resuming;
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
    this.#diskFull = false;
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
    this.#trim();
  }

  #addEntry(name: string, exists = false): VolumeEntry {
    const entry = new VolumeEntry(name, this.#slots.slotFor(name), exists);
    this.#entries.set(name, entry);
    return entry;
  }

  async #open(entry: VolumeEntry): Promise<void> {
    const { fs, clock, random, storeId } = this.#options;
    const { kind, period, name } = entry;
    const path = this.#pathOf(entry);
    const marker = { storeId, kind, period };
    const hot = isHot(kind, period, clock.nowMs());
    const options = { bufferBytes: bufferBytes(kind, hot), mode: 'existing' } as const;
    if (!entry.exists) {
      try {
        if (this.#diskFull) await this.#expectSpace();
        await createVolume(fs, random, path, marker, options.bufferBytes);
        entry.exists = true;
      } catch (error) {
        this.#entries.delete(name);
        const refused = writeError(`creating ${name}`, error);
        if (refused.reason === 'storage_full') this.#diskFull = true;
        throw refused;
      }
    }
    // Opening replays the log and may abort as well.
    entry.pin();
    try {
      const level = await this.#persist(async () => {
        await checkMarker(fs, path, marker);
        await checkTables(fs, path);
        return undo(entry, await this.#openTables(entry, path, options));
      });
      entry.volume = new OpenVolume(name, level, this.#counters, random, this.#damage);
      entry.removedBefore = 0;
      entry.writtenBefore = 0;
      entry.usedMs = clock.monotonicMs();
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
      this.#diskFull = true;
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

  /** Closes the least recently used volumes above the limit; hot ones stay. */
  #trim(): void {
    const open = [...this.#entries.values()].filter(isSound);
    let excess = open.length - LIMITS.volumesOpenMax;
    if (excess <= 0) return;
    const nowMs = this.#options.clock.nowMs();
    open.sort((a, b) => a.usedMs - b.usedMs);
    for (const entry of open) {
      if (excess <= 0) return;
      if (entry.inUse || isHot(entry.kind, entry.period, nowMs)) continue;
      this.#close(entry);
      excess--;
    }
  }

  #scheduleTidying(): void {
    this.#cancelIdleCheck = this.#options.timers.after(IDLE_CHECK_MS, () => {
      void this.tidy();
      this.#scheduleTidying();
    });
  }

  #closeIdle(): void {
    for (const entry of this.#entries.values()) {
      if (isSound(entry) && this.#isIdle(entry) && !isWorthALook(entry, true)) this.#close(entry);
    }
  }

  async #compactAll(): Promise<void> {
    for (const entry of this.#entries.values()) {
      if (!isSound(entry) || !isWorthALook(entry, this.#isIdle(entry))) continue;
      entry.pin();
      await this.#compactor.compact(entry);
      entry.unpin();
      if (isSound(entry) && (entry.tough || this.#isIdle(entry))) this.#close(entry);
    }
    this.#compactor.checked();
  }

  #isIdle({ usedMs, kind, period }: VolumeEntry): boolean {
    const { clock } = this.#options;
    return (
      usedMs <= clock.monotonicMs() - LIMITS.volumeIdleMs && !isHot(kind, period, clock.nowMs())
    );
  }

  /** Whether a volume may be written anew now, as far as the store and the disk go. */
  async #mayCompact(entry: VolumeEntry): Promise<boolean> {
    const { dropping } = entry;
    if (this.#closing !== undefined || dropping !== undefined || !isSound(entry)) return false;
    const { fs, spaceNeeded } = this.#options;
    return !this.#diskFull && (await fs.freeBytes(this.#root)) >= compactionSpace(spaceNeeded());
  }
}

/** Whether it is open, and may be closed and opened again: on a full disk it could not be. */
function isSound({ volume }: VolumeEntry): boolean {
  return volume !== undefined && volume.poison === undefined;
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

function closedError(): TephraError {
  return new TephraError('draining', 'the store is closed');
}
