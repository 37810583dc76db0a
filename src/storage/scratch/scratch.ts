import { join } from 'node:path';
import { hex } from '../../base/bytes.ts';
import type { Timers } from '../../base/clock.ts';
import { isErrno, TephraError } from '../../base/errors.ts';
import type { FileSystem, ScratchHandle } from '../../base/file-system.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Random } from '../../base/random.ts';
import { isDiskFull, isOutOfFiles, levelText } from '../blob-store/level/handle.ts';

/** Bounds of a {@link Scratch}, in bytes and ms. */
export interface ScratchLimits {
  /** Of all files together; one that is alone may be larger. */
  readonly totalBytesMax: number;
  /** Of one file. */
  readonly fileBytesMax: number;
  /** What is left free on the disk. */
  readonly freeBytesMin: number;
  /** A file that was taken and is not read for this long is closed. */
  readonly idleMs: number;
}

/** What a {@link Scratch} is made of. */
export interface ScratchOptions {
  /** Made when it is needed; its parent must be there. */
  readonly directory: string;
  readonly fs: FileSystem;
  readonly timers: Timers;
  readonly random: Random;
  readonly limits?: Partial<ScratchLimits> | undefined;
}

/**
 * The writing end, which may be in another thread: plain data, every method rejects with a TephraError.
 * Its files end with it, but for those that were taken.
 */
export interface ScratchWriter {
  /** Makes a file; resolves to its number. Rejects `storage_full`, `overloaded`, `scratch_failed`. */
  create(): Promise<number>;
  /**
   * Appends the first `length` bytes of `buffer`, which is given away and comes back as the result. Rejects
   * `storage_full`, `overloaded` where other files leave no room, `query_limit` for a file too large, `scratch_failed`.
   */
  append(file: number, buffer: Uint8Array, length: number): Promise<Uint8Array>;
  /** Gives a file up; no error if it is not there. */
  drop(file: number): Promise<void>;
}

/** A file that was written and is to be read. */
export interface TakenFile {
  readonly byteLength: number;
  /**
   * Fills `into` with what is at `offset`; resolves to how many bytes there were. Rejects `canceled` once
   * closed, `scratch_failed`.
   */
  read(offset: number, into: Uint8Array): Promise<number>;
  /** Gives its room back. Idempotent. */
  close(): void;
}

interface Entry {
  readonly handle: ScratchHandle;
  readonly owner: object;
  bytes: number;
  taken: boolean;
  /** Cancels the idle timer. */
  forget: () => void;
}

/** Files without a name, numbered. */
export class Scratch {
  readonly #options: ScratchOptions;
  readonly #limits: ScratchLimits;
  readonly #files = new Map<number, Entry>();
  #bytes = 0;
  #created = 0;
  #closing = Promise.resolve();

  constructor(options: ScratchOptions) {
    this.#options = options;
    this.#limits = {
      totalBytesMax: LIMITS.answerBytes,
      fileBytesMax: LIMITS.answerFileBytesMax,
      freeBytesMin: LIMITS.answerDiskFreeBytesMin,
      idleMs: LIMITS.answerFileIdleMs,
      ...options.limits,
    };
  }

  /** Files that are there. */
  get files(): number {
    return this.#files.size;
  }

  /** Bytes of the files that are there. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A writing end; `end` drops what it wrote and nobody took. */
  writer(): ScratchWriter & { end(): void } {
    const owner = {};
    let ended = false;
    return {
      create: async () => {
        const file = await this.#create(owner);
        // Its thread died meanwhile.
        if (ended) this.#drop(file);
        return file;
      },
      append: (file, buffer, length) => this.#append(file, buffer, length),
      drop: async (file) => {
        if (this.#files.get(file)?.owner === owner) this.#drop(file);
      },
      end: () => {
        ended = true;
        for (const [file, entry] of this.#files) {
          if (entry.owner === owner && !entry.taken) this.#drop(file);
        }
      },
    };
  }

  /** Takes a file that is complete, from its writer. Throws `worker_died` if it is not there. */
  take(file: number): TakenFile {
    const entry = this.#entry(file, 'worker_died');
    entry.taken = true;
    const touch = (): void => {
      entry.forget();
      entry.forget = this.#options.timers.after(this.#limits.idleMs, () => this.#drop(file));
    };
    touch();
    return {
      byteLength: entry.bytes,
      read: async (offset, into) => {
        const { handle } = this.#entry(file, 'canceled');
        touch();
        try {
          return await handle.readAt(offset, into);
        } catch (error) {
          throw new TephraError('scratch_failed', `reading an answer: ${levelText(error)}`, {
            cause: error,
          });
        }
      },
      close: () => this.#drop(file),
    };
  }

  /** Drops all files and resolves when their room is free. */
  async close(): Promise<void> {
    for (const file of this.#files.keys()) this.#drop(file);
    await this.#closing;
  }

  async #create(owner: object): Promise<number> {
    const { directory, fs, random } = this.#options;
    const file = ++this.#created;
    const path = join(directory, hex(random.bytes(16)));
    const open = (): Promise<ScratchHandle> => fs.openScratch(path);
    try {
      const handle = await open().catch(async (error: unknown) => {
        if (!isErrno(error, 'ENOENT')) throw error;
        await fs.mkdir(directory).catch((second: unknown) => {
          if (!isErrno(second, 'EEXIST')) throw second;
        });
        return open();
      });
      this.#files.set(file, { handle, owner, bytes: 0, taken: false, forget: () => {} });
    } catch (error) {
      throw writeFailure(error);
    }
    return file;
  }

  async #append(file: number, buffer: Uint8Array, length: number): Promise<Uint8Array> {
    const { totalBytesMax, fileBytesMax, freeBytesMin } = this.#limits;
    const entry = this.#entry(file, 'canceled');
    const at = entry.bytes;
    if (at + length > fileBytesMax) {
      throw new TephraError('query_limit', `an answer of more than ${fileBytesMax} bytes`);
    }
    if (this.#bytes > at && this.#bytes + length > totalBytesMax) {
      const held = `${this.#bytes} bytes of answers wait to be read; ask again later`;
      throw new TephraError('overloaded', held);
    }
    // Counted before it is written: two that grow at once see each other.
    entry.bytes += length;
    this.#bytes += length;
    try {
      const free = await this.#options.fs.freeBytes(this.#options.directory);
      if (free < length + freeBytesMin) {
        throw new TephraError('storage_full', `an answer needs room: ${free} bytes are free`);
      }
      await entry.handle.writeAt(at, buffer.subarray(0, length));
    } catch (error) {
      // Given up meanwhile: the handle is closed.
      this.#entry(file, 'canceled');
      throw writeFailure(error);
    }
    return buffer;
  }

  #drop(file: number): void {
    const entry = this.#files.get(file);
    if (entry === undefined) return;
    this.#files.delete(file);
    this.#bytes -= entry.bytes;
    entry.forget();
    // Nothing depends on it, and nobody could do anything about it.
    const closed = entry.handle.close().catch(() => {});
    this.#closing = this.#closing.then(() => closed);
  }

  #entry(file: number, otherwise: 'worker_died' | 'canceled'): Entry {
    const entry = this.#files.get(file);
    if (entry === undefined) throw new TephraError(otherwise, 'the answer was given up');
    return entry;
  }
}

function writeFailure(error: unknown): TephraError {
  if (error instanceof TephraError) return error;
  const what = `writing an answer: ${levelText(error)}`;
  if (isDiskFull(error) || isErrno(error, 'EDQUOT')) {
    return new TephraError('storage_full', what, { cause: error });
  }
  const reason = isOutOfFiles(error) ? 'overloaded' : 'scratch_failed';
  return new TephraError(reason, what, { cause: error });
}
