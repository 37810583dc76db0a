import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, jest } from '@jest/globals';
import { systemClock, systemTimers } from '../../../src/base/clock.ts';
import { systemFileSystem } from '../../../src/base/file-system.ts';
import { systemRandom } from '../../../src/base/random.ts';
import {
  type LevelBlobStore,
  type LevelBlobStoreOptions,
  openLevelBlobStore,
} from '../../../src/storage/blob-store/level/blob-store.ts';
import { type LevelHandle, openLevel } from '../../../src/storage/blob-store/level/handle.ts';

// Real fsyncs on a disk that other tests use at the same time.
jest.setTimeout(60_000);

const made: string[] = [];
const opened: LevelBlobStore[] = [];

afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  for (const path of made.splice(0)) await rm(path, { recursive: true, force: true });
});

/** A fresh directory that goes after the test. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tephra-store-'));
  made.push(path);
  return path;
}

/** A store in `path` that closes after the test. */
export async function openStore(
  path: string,
  options: Partial<LevelBlobStoreOptions> = {},
): Promise<LevelBlobStore> {
  const store = await openLevelBlobStore({
    path,
    storeId: 'ab'.repeat(16),
    fs: systemFileSystem,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    ...options,
  });
  opened.push(store);
  return store;
}

/** Runs `change` on the LevelDB of a volume of a closed store. */
export async function withRawLevel(
  path: string,
  volume: string,
  change: (level: LevelHandle) => Promise<void>,
): Promise<void> {
  const options = { bufferBytes: 1024 * 1024, mode: 'existing' } as const;
  const level = await openLevel(join(path, 'volumes', volume), options);
  await change(level);
  await level.close();
}

/** A digest of names and content of everything below `path`. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  for (const file of files.map((entry) => join(entry.parentPath, entry.name)).sort()) {
    hash.update(`${file}\n`).update(await readFile(file));
  }
  return hash.digest('hex');
}
