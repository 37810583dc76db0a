import { join } from 'node:path';
import { utf8 } from '../../base/bytes.ts';
import { TephraError } from '../../base/errors.ts';
import type { FileSystem } from '../../base/file-system.ts';
import { levelCode, levelText, type LevelHandle, openLevel } from '../blob-store/level/handle.ts';

/** Names of what the lock keeps in a data directory. */
export const LOCK_FILES = ['lock', 'owner.json', 'owner.json.new'] as const;

const BUFFER_BYTES = 64 * 1024;

/** Who holds a data directory; only for the message to the next one who tries. */
export interface Owner {
  readonly pid: number;
  readonly host: string;
  /** ISO time. */
  readonly startedAt: string;
  /** Address of the port, once it is open. */
  readonly listen?: string;
}

/** A held lock. */
export interface DirectoryLock {
  /** Replaces what the next one reads. */
  describe(owner: Owner): Promise<void>;
  /** Lets go. */
  release(): Promise<void>;
}

// LevelDB refuses a second open in this process too, but by doing so gives up the first one's lock.
const HELD = new Set<string>();

/**
 * Takes the lock of the directory `path` (a real path) for the life of the process: a tiny LevelDB
 * in `lock/`, whose own file lock the kernel frees when the process ends however it ends. Its LOCK
 * file must never be opened by anybody else: closing it again frees the lock. Throws
 * `data_dir_in_use` naming the holder, or `data_dir_unusable`.
 */
export async function lockDirectory(
  fs: FileSystem,
  path: string,
  owner: Owner,
): Promise<DirectoryLock> {
  const file = join(path, 'owner.json');
  if (HELD.has(path)) throw await inUse(fs, file, path);
  HELD.add(path);
  let level: LevelHandle;
  try {
    level = await openLock(fs, join(path, 'lock'));
  } catch (error) {
    HELD.delete(path);
    if (levelCode(error) === 'LEVEL_LOCKED') throw await inUse(fs, file, path);
    throw new TephraError(
      'data_dir_unusable',
      `${join(path, 'lock')} does not open: ${levelText(error)}; ` +
        'make the directory writable, and remove lock/ if it is damaged: it holds no data',
      { cause: error },
    );
  }
  const lock: DirectoryLock = {
    async describe(present) {
      await fs.writeFile(`${file}.new`, utf8(`${JSON.stringify(present)}\n`));
      await fs.rename(`${file}.new`, file);
    },
    async release() {
      await level.close();
      HELD.delete(path);
    },
  };
  try {
    await lock.describe(owner);
  } catch (error) {
    await lock.release();
    throw error;
  }
  return lock;
}

/**
 * Opens the LevelDB of the lock. LevelDB does not sync all that a fresh one consists of, so that a
 * power cut can leave one that does not open: as it holds no data, all of it but its LOCK file is then
 * made anew. LOCK stays what it is, so that of two who do this at once one is refused.
 */
async function openLock(fs: FileSystem, folder: string): Promise<LevelHandle> {
  const options = { bufferBytes: BUFFER_BYTES, mode: 'either' } as const;
  try {
    return await openLevel(folder, options);
  } catch (error) {
    if (levelCode(error) === 'LEVEL_LOCKED') throw error;
    try {
      for (const { name } of await fs.readdir(folder)) {
        if (name !== 'LOCK') await fs.remove(join(folder, name));
      }
    } catch {
      // What keeps it from being made anew is the same that kept it from opening.
      throw error;
    }
    return openLevel(folder, options);
  }
}

async function inUse(fs: FileSystem, file: string, path: string): Promise<TephraError> {
  const owner = await readOwner(fs, file);
  // The holder has only just started where there is no file: the message does without.
  let holder = 'held by another process';
  if (owner !== undefined) {
    holder = `held by pid ${owner.pid} on host ${owner.host} since ${owner.startedAt}`;
    if (owner.listen !== undefined) holder += ` (listening on ${owner.listen})`;
  }
  return new TephraError('data_dir_in_use', `${holder}: ${path}`);
}

async function readOwner(fs: FileSystem, file: string): Promise<Owner | undefined> {
  try {
    const value: unknown = JSON.parse(Buffer.from(await fs.readFile(file)).toString('utf8'));
    return isOwner(value) ? value : undefined;
  } catch {
    // Missing or half written; it only serves a message.
    return undefined;
  }
}

function isOwner(value: unknown): value is Owner {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    typeof value.pid === 'number' &&
    'host' in value &&
    typeof value.host === 'string' &&
    'startedAt' in value &&
    typeof value.startedAt === 'string' &&
    (!('listen' in value) || typeof value.listen === 'string')
  );
}
