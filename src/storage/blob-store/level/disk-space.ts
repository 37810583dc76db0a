import { TephraError } from '../../../base/errors.ts';
import type { FileSystem } from '../../../base/file-system.ts';

/** What a {@link DiskSpace} needs. */
export interface DiskSpaceOptions {
  readonly fs: FileSystem;
  /** Folder on the disk in question. */
  readonly path: string;
  /** Bytes that must be free before writes go on after the disk was full. */
  readonly needed: () => number;
  /** Refuses writes from the start until there is that space. */
  readonly startsFull: boolean;
  /** Makes the volumes ready for writes again; before it resolves nothing is written. */
  readonly resume: () => Promise<void>;
}

/** Whether the disk was full when something was written, and when writes go on. */
export class DiskSpace {
  readonly #options: DiskSpaceOptions;
  #full: boolean;
  #resuming: Promise<void> | undefined;

  constructor(options: DiskSpaceOptions) {
    this.#options = options;
    this.#full = options.startsFull;
  }

  /** Whether writes are refused. */
  get full(): boolean {
    return this.#full;
  }

  /** Whether they are, and nobody makes the volumes ready again yet. */
  get waiting(): boolean {
    return this.#full && this.#resuming === undefined;
  }

  /** A write met a full disk. */
  ranOut(): void {
    this.#full = true;
  }

  /** Throws `storage_full` while there is too little space; then lets writes go on. */
  async expect(): Promise<void> {
    const { fs, path } = this.#options;
    const free = await fs.freeBytes(path);
    const needed = this.#options.needed();
    if (free < needed) {
      throw new TephraError(
        'storage_full',
        `${path} has ${free} bytes free; writes go on at ${needed}`,
      );
    }
    this.#resuming ??= this.#resume().finally(() => (this.#resuming = undefined));
    await this.#resuming;
  }

  /** Whether there are so many bytes beside what is needed, and writes are let in. */
  async hasRoom(bytes: number): Promise<boolean> {
    const { fs, path, needed } = this.#options;
    return !this.#full && (await fs.freeBytes(path)) >= needed() + bytes;
  }

  async #resume(): Promise<void> {
    await this.#options.resume();
    this.#full = false;
  }
}
