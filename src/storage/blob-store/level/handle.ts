import { Level } from 'level';
import { isErrorLike, TephraError } from '../../../base/errors.ts';

/** What LevelDB in Node has and in a browser has not: the type of `Level` is for both. */
interface LevelTables {
  /** Bytes of the tables between two keys. */
  approximateSize(start: string, end: string): Promise<number>;
  /** Merges the tables between two keys, so that what was removed is gone from the disk. */
  compactRange(start: string, end: string): Promise<void>;
}

/** An open LevelDB with text keys and byte values. */
export type LevelHandle = Level<string, Uint8Array> & LevelTables;

/** One write of a batch. */
export type LevelWrite =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

/** How to open a LevelDB. */
export interface LevelOptions {
  /** Bytes of its write buffer, and so of its log. */
  readonly bufferBytes: number;
  /**
   * `new` makes one and refuses an old one; `existing` refuses to make one, because LevelDB would
   * start empty and delete all tables where only its CURRENT file is lost; `either` is for the lock.
   */
  readonly mode: 'new' | 'existing' | 'either';
}

/**
 * Opens the LevelDB at `path`, which must not be open anywhere in this process: a refused second
 * open would release the lock of the first. Rejects with LevelDB's own error (see {@link levelCode}).
 */
export async function openLevel(path: string, options: LevelOptions): Promise<LevelHandle> {
  const level = new Level<string, Uint8Array>(path, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    createIfMissing: options.mode !== 'existing',
    errorIfExists: options.mode === 'new',
    // Ticks and ids are dense already; snappy costs 2.5 times the scan and hides no damage.
    compression: false,
    writeBufferSize: options.bufferBytes,
    // Smaller tables reach over less, and are moved rather than merged.
    maxFileSize: 8 * 1024 * 1024,
    // Our page cache is the cache.
    cacheSize: 1024 * 1024,
    maxOpenFiles: 64,
  }) as LevelHandle;
  await level.open();
  return level;
}

/** LevelDB's code in an error or its causes (`LEVEL_CORRUPTION`, `LEVEL_LOCKED`, ...), if any. */
export function levelCode(error: unknown): string | undefined {
  const cause = causeOf(error);
  const inner = cause === undefined ? undefined : levelCode(cause);
  if (inner !== undefined) return inner;
  return isErrorLike(error) && typeof error.code === 'string' ? error.code : undefined;
}

/** The texts of an error and its causes. */
export function levelText(error: unknown): string {
  const cause = causeOf(error);
  const text = isErrorLike(error) ? error.message : String(error);
  return cause === undefined ? text : `${text}: ${levelText(cause)}`;
}

/** Whether the disk is full. LevelDB tells it in its message only, which is strerror's. */
export function isDiskFull(error: unknown): boolean {
  return levelCode(error) === 'ENOSPC' || levelText(error).includes('No space left on device');
}

/** Whether the process has as many files open as it may. */
export function isOutOfFiles(error: unknown): boolean {
  return levelCode(error) === 'EMFILE' || levelText(error).includes('Too many open files');
}

/** Whether the disk failed a call, other than for lack of space or files: damage is told by other codes. */
export function isInputOutput(error: unknown): boolean {
  const code = levelCode(error);
  return (
    (code === 'LEVEL_IO_ERROR' || code === 'EIO') && !isDiskFull(error) && !isOutOfFiles(error)
  );
}

/** What a failed write means: `storage_full` or `write_unknown`. */
export function writeError(what: string, error: unknown): TephraError {
  if (error instanceof TephraError) return error;
  const reason = isDiskFull(error) ? 'storage_full' : 'write_unknown';
  return new TephraError(reason, `${what}: ${levelText(error)}`, { cause: error });
}

/** What a failed read means: `overloaded` where descriptors ran out, else `corrupt_block`. */
export function readError(what: string, error: unknown): TephraError {
  if (error instanceof TephraError) return error;
  const reason = isOutOfFiles(error) ? 'overloaded' : 'corrupt_block';
  return new TephraError(reason, `${what}: ${levelText(error)}`, { cause: error });
}

function causeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'cause' in error ? error.cause : undefined;
}
