import { closeSync, openSync, writeSync } from 'node:fs';
import * as node from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * The part of the file system that Tephra uses, as an argument, so that tests can fail any call.
 * Every method rejects with Node's system errors (tell them by `isErrno`). Only stores and the data
 * directory hold one; LevelDB does its own I/O below this.
 */
export interface FileSystem {
  /** The whole file. */
  readFile(path: string): Promise<Uint8Array>;
  /** Creates or overwrites a file (mode 0600). Not durable before {@link FileSystem.syncFile}. */
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  /** Makes the bytes of a file durable. */
  syncFile(path: string): Promise<void>;
  /** Makes the names in a directory durable: what was created, renamed or removed in it. */
  syncDirectory(path: string): Promise<void>;
  /** Renames within one file system; replaces a file, never a directory with something in it. */
  rename(from: string, to: string): Promise<void>;
  /** Gives a file a second name on the same file system. Rejects EEXIST. */
  link(from: string, to: string): Promise<void>;
  /** Creates one directory (mode 0700); its parent must be there. Rejects EEXIST. */
  mkdir(path: string): Promise<void>;
  /** What is in a directory, in no order; symbolic links are not followed. */
  readdir(path: string): Promise<readonly DirectoryEntry[]>;
  /** Removes a file or a directory with all in it; an absent one is no error. */
  remove(path: string): Promise<void>;
  /** Kind and size of what the path leads to; follows symbolic links. */
  stat(path: string): Promise<FileStat>;
  /** The path without symbolic links and dots. */
  realpath(path: string): Promise<string>;
  /** Bytes that this user may still write on the file system that holds `path`. */
  freeBytes(path: string): Promise<number>;
  /** Cuts a file, or fills it with zeros, to `sizeBytes`. */
  truncate(path: string, sizeBytes: number): Promise<void>;
  /** Makes a file of `sizeBytes` zeros that take room on the disk, durably, `stepBytes` at a time. */
  allocate(path: string, sizeBytes: number, stepBytes: number): Promise<void>;
  /** Opens a file for small writes at fixed places; creates it where missing, keeps its bytes. */
  openPositioned(path: string): PositionedFile;
  /**
   * Opens a new file for writing and reading and takes its name away at once: its room is free again
   * when it is closed, or when the process ends in whatever way. Rejects EEXIST.
   */
  openScratch(path: string): Promise<ScratchHandle>;
}

/** What a path is. */
export type FileKind = 'file' | 'directory' | 'symlink' | 'other';

/** A row of {@link FileSystem.readdir}. */
export interface DirectoryEntry {
  readonly name: string;
  readonly kind: FileKind;
}

/** The answer of {@link FileSystem.stat}. */
export interface FileStat {
  readonly kind: FileKind;
  /** Bytes. */
  readonly size: number;
}

/**
 * An open file that takes a few bytes at an offset. Synchronous: a handful of bytes into the page
 * cache costs microseconds, and the order against what follows is then plain.
 */
export interface PositionedFile {
  /** Writes into the page cache, which outlives the process but not the machine. */
  writeAt(offset: number, bytes: Uint8Array): void;
  /** Releases the descriptor. */
  close(): void;
}

/** An open file without a name. */
export interface ScratchHandle {
  /** Writes all of `bytes` at `offset`. */
  writeAt(offset: number, bytes: Uint8Array): Promise<void>;
  /** Fills `into` with what is at `offset`; resolves to how many bytes there were. */
  readAt(offset: number, into: Uint8Array): Promise<number>;
  /** Waits for what is under way, then gives the room back. */
  close(): Promise<void>;
}

interface KindTests {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

function kindOf(tests: KindTests): FileKind {
  if (tests.isFile()) return 'file';
  if (tests.isDirectory()) return 'directory';
  return tests.isSymbolicLink() ? 'symlink' : 'other';
}

async function sync(path: string): Promise<void> {
  const handle = await node.open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The machine's file system, by `node:fs`. */
export const systemFileSystem: FileSystem = {
  readFile: async (path) => new Uint8Array(await node.readFile(path)),
  writeFile: (path, bytes) => node.writeFile(path, bytes, { mode: 0o600 }),
  syncFile: sync,
  syncDirectory: sync,
  rename: (from, to) => node.rename(from, to),
  link: (from, to) => node.link(from, to),
  mkdir: (path) => node.mkdir(path, { mode: 0o700 }),
  async readdir(path) {
    const entries = await node.readdir(path, { withFileTypes: true });
    return entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) }));
  },
  remove: (path) => node.rm(path, { recursive: true, force: true }),
  async stat(path) {
    const stats = await node.stat(path);
    return { kind: kindOf(stats), size: stats.size };
  },
  realpath: (path) => node.realpath(path),
  async freeBytes(path) {
    const stats = await node.statfs(path);
    return stats.bavail * stats.bsize;
  },
  truncate: (path, sizeBytes) => node.truncate(path, sizeBytes),
  async allocate(path, sizeBytes, stepBytes) {
    const handle = await node.open(path, 'w', 0o600);
    try {
      const zeros = new Uint8Array(Math.min(stepBytes, sizeBytes));
      for (let left = sizeBytes; left > 0; left -= zeros.byteLength) {
        await handle.write(zeros, 0, Math.min(left, zeros.byteLength));
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  openPositioned(path) {
    let descriptor: number;
    try {
      descriptor = openSync(path, 'r+', 0o600);
    } catch {
      // Missing, or unwritable: then this second try throws the reason.
      descriptor = openSync(path, 'w+', 0o600);
    }
    return {
      writeAt(offset, bytes) {
        writeSync(descriptor, bytes, 0, bytes.byteLength, offset);
      },
      close: () => closeSync(descriptor),
    };
  },
  async openScratch(path) {
    const handle = await node.open(path, 'wx+', 0o600);
    try {
      await node.unlink(path);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return {
      async writeAt(offset, bytes) {
        // A disk that becomes full takes a part first, and fails the rest.
        for (let done = 0; done < bytes.byteLength;) {
          const left = bytes.byteLength - done;
          done += (await handle.write(bytes, done, left, offset + done)).bytesWritten;
        }
      },
      async readAt(offset, into) {
        let done = 0;
        while (done < into.byteLength) {
          const left = into.byteLength - done;
          const { bytesRead } = await handle.read(into, done, left, offset + done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return done;
      },
      close: () => handle.close(),
    };
  },
};

/**
 * Replaces a small file so that a crash leaves either the old bytes or the new ones: temporary file
 * beside it, fsync, rename, fsync of the directory. One caller at a time per path.
 */
export async function replaceFile(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  await fs.writeFile(temporary, bytes);
  await fs.syncFile(temporary);
  await fs.rename(temporary, path);
  await fs.syncDirectory(dirname(path));
}
