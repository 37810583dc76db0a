import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { hex } from '../../base/bytes.ts';
import type { Clock, Timers } from '../../base/clock.ts';
import { isErrno, isErrorLike, TephraError } from '../../base/errors.ts';
import { type FileSystem, replaceFile } from '../../base/file-system.ts';
import type { Random } from '../../base/random.ts';
import { type LevelBlobStore, openLevelBlobStore } from '../blob-store/level/blob-store.ts';
import { isDiskFull } from '../blob-store/level/handle.ts';
import type { SuspectCheck } from '../blob-store/level/suspect.ts';
import { LIMITS } from '../../base/limits.ts';
import { Scratch } from '../scratch/scratch.ts';
import type { Finding } from '../ledger/finding.ts';
import type { LedgerStore } from '../ledger/ledger-store.ts';
import { openLedger } from '../ledger/open-ledger.ts';
import { type Ballast, openBallast } from './ballast.ts';
import { createHighWater } from './high-water.ts';
import { type DirectoryLock, LOCK_FILES, lockDirectory, type Owner } from './lock.ts';
import { decodeStoreFile, encodeStoreFile, type StoreFile } from './store-file.ts';

/** What {@link openDataDirectory} needs. */
export interface DataDirectoryOptions {
  /** The directory; made if it is missing and its parent is there. */
  readonly path: string;
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** See LevelBlobStoreOptions. */
  readonly suspectCheck?: SuspectCheck;
  /** Bytes of the ballast, 0 for none; LIMITS.ballastBytes unless given. */
  readonly ballastBytes?: number | undefined;
}

/** An open data directory: nobody else has it open. Must be closed. */
export interface DataDirectory {
  /** Its real path. */
  readonly path: string;
  /** 32 hexadecimal digits, the same for the life of the directory. */
  readonly storeId: string;
  /** Higher than at every open before, and durable already. */
  readonly incarnation: number;
  /** Everything that is stored goes through here: it keeps the ledger. */
  readonly store: LedgerStore;
  /** What is below: gauges, and the pages themselves. */
  readonly level: LevelBlobStore;
  /** For answers that are too large for memory. */
  readonly scratch: Scratch;
  /** Everything that is known to be damaged, lost or set aside. */
  findings(): readonly Finding[];
  /** To be called each second: saves the marks of the ledger, keeps the ballast. */
  tend(): Promise<void>;
  /** A higher incarnation, durable already: for a writer that takes over from one that died. */
  nextIncarnation(): Promise<number>;
  /** Tells the address of the port to whoever is refused the directory. */
  announce(listen: string): Promise<void>;
  /** Saves the ledger, closes the store, then lets go of the directory. */
  close(): Promise<void>;
}

// A directory that crashed in the middle of its first start holds no more than these; `lost+found`
// is what a fresh file system has.
const HARMLESS = new Set<string>([...LOCK_FILES, 'ballast', 'store.json.new', 'lost+found']);

/**
 * Opens a data directory (docs/format/data-directory.md). Refuses, and has then changed nothing:
 * a newer format (`unknown_format_version`); what is no directory, not writable, damaged, or full of
 * somebody else's files (`data_dir_unusable`). `data_dir_in_use` where another holds it.
 */
export async function openDataDirectory(options: DataDirectoryOptions): Promise<DataDirectory> {
  try {
    return await open(options);
  } catch (error) {
    throw explain(options.path, error);
  }
}

async function open(options: DataDirectoryOptions): Promise<DataDirectory> {
  const { fs, clock, timers, random } = options;
  const path = await prepare(fs, resolve(options.path));
  const owner: Owner = {
    pid: process.pid,
    host: hostname(),
    startedAt: new Date(clock.nowMs()).toISOString(),
  };
  const ballastBytes = options.ballastBytes ?? LIMITS.ballastBytes;
  const ballast = await openBallast(fs, join(path, 'ballast'), ballastBytes);
  const lock = await lockDirectory(fs, path, owner).catch(async (error: unknown) => {
    // Whoever is refused by a holder hears of that first: the ballast is ours.
    if (!isDiskFull(error)) throw error;
    await ballast.free();
    return lockDirectory(fs, path, owner);
  });
  try {
    const startsFull = (await fs.freeBytes(path)) < LIMITS.diskFreeBytesMin;
    if (startsFull) await ballast.free();
    // Read again: the holder before us may have raised it since `prepare` looked.
    const before = await readStoreFile(fs, path);
    const file: StoreFile = {
      storeId: before?.storeId ?? hex(random.bytes(16)),
      incarnation: (before?.incarnation ?? 0) + 1,
    };
    await replaceFile(fs, join(path, 'store.json'), encodeStoreFile(file));
    let { incarnation } = file;
    let raised: Promise<unknown> = Promise.resolve();
    const raise = async (): Promise<number> => {
      const next = incarnation + 1;
      await replaceFile(
        fs,
        join(path, 'store.json'),
        encodeStoreFile({ ...file, incarnation: next }),
      );
      incarnation = next;
      return next;
    };
    // Empty but for what a crash left between two calls: its files have no names.
    await fs.remove(join(path, 'answers'));
    const scratch = new Scratch({ directory: join(path, 'answers'), fs, timers, random });
    const { suspectCheck } = options;
    const store = await openLevelBlobStore({
      path,
      storeId: file.storeId,
      fs,
      clock,
      timers,
      random,
      spaceNeeded: () => LIMITS.diskFreeBytesMin + ballast.missingBytes(),
      startsFull,
      ...(suspectCheck === undefined ? {} : { suspectCheck }),
    });
    const ledger = await openLedger({
      store,
      highWater: createHighWater(fs, join(path, 'high-water')),
      isFirst: file.incarnation === 1,
      nowMs: clock.nowMs(),
    }).catch(async (error: unknown) => {
      // It has opened volumes, and this process may try again.
      await store.close();
      throw error;
    });
    return {
      path,
      storeId: file.storeId,
      incarnation: file.incarnation,
      store: ledger,
      level: store,
      scratch,
      findings: () => [
        ...ledger.findings(),
        ...store.stats().quarantined.map(({ name, why }): Finding => ({
          kind: 'quarantined',
          what: name,
          detail: why,
        })),
      ],
      async tend() {
        await ledger.save();
        if (ballast.missingBytes() > 0) await ballast.refill(await fs.freeBytes(path));
      },
      nextIncarnation() {
        // One after the other: two writers must never get the same number.
        const result = raised.then(raise, raise);
        raised = result;
        return result;
      },
      announce: (listen) => lock.describe({ ...owner, listen }),
      async close() {
        await scratch.close();
        await close(fs, path, store, ledger, ballast, lock);
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function close(
  fs: FileSystem,
  path: string,
  store: LevelBlobStore,
  ledger: { save(): Promise<void> },
  ballast: Ballast,
  lock: DirectoryLock,
): Promise<void> {
  try {
    if (store.stats().diskFull && (await fs.freeBytes(path)) < LIMITS.diskFreeBytesMin) {
      await ballast.free();
    }
    await ledger.save();
  } finally {
    await store.close();
    await lock.release();
  }
}

/** Makes sure that `path` is ours to use, changing nothing that is there; returns its real path. */
async function prepare(fs: FileSystem, path: string): Promise<string> {
  try {
    await fs.mkdir(path);
    await fs.syncDirectory(dirname(path));
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
  if ((await fs.stat(path)).kind !== 'directory') {
    throw new TephraError('data_dir_unusable', `${path} is not a directory: name another path`);
  }
  const real = await fs.realpath(path);
  if ((await readStoreFile(fs, real)) === undefined) {
    const foreign = (await fs.readdir(real)).find((entry) => !HARMLESS.has(entry.name));
    if (foreign !== undefined) {
      throw new TephraError(
        'data_dir_unusable',
        `${path} holds other files (${foreign.name}) and no store.json: name an empty directory`,
      );
    }
  }
  return real;
}

/** What `store.json` in the directory `path` says, undefined where there is none. */
export async function readStoreFile(fs: FileSystem, path: string): Promise<StoreFile | undefined> {
  const file = join(path, 'store.json');
  let bytes: Uint8Array;
  try {
    bytes = await fs.readFile(file);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  return decodeStoreFile(bytes, file);
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'make its parent directory first',
  ENOTDIR: 'a part of the path is a file: name another path',
  EACCES: 'give this user the right to read and write it, or name another path',
  EPERM: 'give this user the right to read and write it, or name another path',
  EROFS: 'it is on a read-only file system: name another path',
  ENOSPC: 'the disk is full: free some space',
};

/** System errors become `data_dir_unusable` with the path and what to do. */
function explain(path: string, error: unknown): TephraError {
  if (error instanceof TephraError) return error;
  if (!isErrorLike(error) || typeof error.code !== 'string') return TephraError.from(error);
  const advice = ADVICE[error.code] ?? 'see to the disk, or name another path';
  return new TephraError('data_dir_unusable', `${path}: ${advice} (${error.message})`, {
    cause: error,
  });
}
