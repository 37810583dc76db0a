import type { Clock, Timers } from './base/clock.ts';
import { TephraError } from './base/errors.ts';
import type { FileSystem } from './base/file-system.ts';
import type { Random } from './base/random.ts';
import type { OfflineDirectory } from './storage/data-directory/open-offline.ts';
import { openOffline, tryOpen } from './storage/data-directory/open-offline.ts';
import type { Finding } from './storage/ledger/finding.ts';
import { describe } from './storage/verify/describe.ts';
import { verifyStore, type VerifyProgress } from './storage/verify/verify-directory.ts';

/** What looking at a data directory without a server needs. */
export interface OfflineDeps {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly fs: FileSystem;
}

/** What {@link verifyDirectory} found. */
export interface Verified {
  readonly findings: readonly Finding[];
  readonly progress: VerifyProgress;
}

/**
 * Reads all of a data directory that nobody serves, and tells what is damaged or lost. Throws as
 * `openOffline` does.
 */
export async function verifyDirectory(
  path: string,
  deep: boolean,
  deps: OfflineDeps,
  onProgress: (progress: VerifyProgress) => void,
): Promise<Verified> {
  let progress: VerifyProgress = { volumes: 0, volumesDone: 0, blobs: 0, bytes: 0 };
  return using(path, deps, true, async ({ store, highWater, incarnation }) => ({
    findings: await verifyStore({
      store,
      random: deps.random,
      marks: () => highWater.read(),
      incarnation,
      stats: () => store.stats(),
      deep,
      onProgress: (next) => {
        progress = next;
        onProgress(next);
      },
    }),
    progress,
  }));
}

/**
 * Whether a server could open a data directory: its file is read and its lock taken for a moment, its
 * volumes stay closed. Throws as `openOffline` does.
 */
export async function tryDataDirectory(
  path: string,
  deps: OfflineDeps,
): Promise<{ readonly incarnation: number }> {
  return tryOpen({ path, ...deps });
}

/** A blob or root of a data directory, by its key, as readable lines. Throws `not_found`. */
export async function inspectKey(path: string, key: string, deps: OfflineDeps): Promise<string[]> {
  return using(path, deps, false, async ({ store }) => {
    const bytes = (await store.get(key)) ?? (await store.readRoot(key))?.bytes;
    if (bytes === undefined) throw new TephraError('not_found', `${path} holds no ${key}`);
    return describe(bytes);
  });
}

/** The bytes of a blob or root as readable lines. Throws `corrupt_block`. */
export function inspectBytes(bytes: Uint8Array): string[] {
  return describe(bytes);
}

/** Keys of the blobs and names of the roots that begin with `prefix`. */
export async function listKeys(
  path: string,
  prefix: string,
  deps: OfflineDeps,
): Promise<readonly string[]> {
  return using(path, deps, false, async ({ store }) => [
    ...(await store.listRoots(prefix)),
    ...(await store.list(prefix)).map(({ key }) => key),
  ]);
}

async function using<T>(
  path: string,
  deps: OfflineDeps,
  examine: boolean,
  work: (directory: OfflineDirectory) => Promise<T>,
): Promise<T> {
  const directory = await openOffline({ path, examine, ...deps });
  try {
    return await work(directory);
  } finally {
    await directory.close();
  }
}
