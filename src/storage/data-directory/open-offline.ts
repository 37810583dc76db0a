import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { Clock, Timers } from '../../base/clock.ts';
import { TephraError } from '../../base/errors.ts';
import type { FileSystem } from '../../base/file-system.ts';
import type { Random } from '../../base/random.ts';
import { type LevelBlobStore, openLevelBlobStore } from '../blob-store/level/blob-store.ts';
import type { SuspectCheck } from '../blob-store/level/suspect.ts';
import { readStoreFile } from './data-directory.ts';
import { createHighWater, type HighWater } from './high-water.ts';
import { type DirectoryLock, lockDirectory } from './lock.ts';
import type { StoreFile } from './store-file.ts';

/** What {@link openOffline} needs. */
export interface OfflineOptions {
  readonly path: string;
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly suspectCheck?: SuspectCheck;
  /** Has a child process read each volume first, because a damaged one can end the process. */
  readonly examine?: boolean;
}

/** A data directory that is looked at, and not served. Must be closed. */
export interface OfflineDirectory {
  readonly path: string;
  /** Incarnations so far. */
  readonly incarnation: number;
  readonly store: LevelBlobStore;
  readonly highWater: HighWater;
  close(): Promise<void>;
}

/**
 * Opens an existing data directory to look at it: nobody else may have it open, and nothing of ours is
 * written (LevelDB turns the log of a volume into a table when it opens it). Throws as
 * `openDataDirectory` does.
 */
export async function openOffline(options: OfflineOptions): Promise<OfflineDirectory> {
  const { fs, clock, timers, random, suspectCheck } = options;
  const { path, file, lock } = await lockExisting(options);
  try {
    const store = await openLevelBlobStore({
      path,
      storeId: file.storeId,
      fs,
      clock,
      timers,
      random,
      suspectAll: options.examine === true,
      ...(suspectCheck === undefined ? {} : { suspectCheck }),
    });
    return {
      path,
      incarnation: file.incarnation,
      store,
      highWater: createHighWater(fs, join(path, 'high-water')),
      async close() {
        await store.close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/**
 * Whether an existing data directory could be opened: its file is readable and nobody holds its lock.
 * Throws as {@link openOffline} does.
 */
export async function tryOpen(
  options: Pick<OfflineOptions, 'path' | 'fs' | 'clock'>,
): Promise<{ readonly incarnation: number }> {
  const { file, lock } = await lockExisting(options);
  await lock.release();
  return { incarnation: file.incarnation };
}

async function lockExisting({
  path: named,
  fs,
  clock,
}: Pick<OfflineOptions, 'path' | 'fs' | 'clock'>): Promise<{
  path: string;
  file: StoreFile;
  lock: DirectoryLock;
}> {
  const path = await fs.realpath(resolve(named)).catch((error: unknown) => {
    throw new TephraError('data_dir_unusable', `${named} is not there`, { cause: error });
  });
  const file = await readStoreFile(fs, path);
  if (file === undefined) {
    throw new TephraError('data_dir_unusable', `${named} has no store.json: no data directory`);
  }
  const startedAt = new Date(clock.nowMs()).toISOString();
  const lock = await lockDirectory(fs, path, { pid: process.pid, host: hostname(), startedAt });
  return { path, file, lock };
}
