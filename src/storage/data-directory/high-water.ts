import { isErrno } from '../../base/errors.ts';
import { type FileSystem, replaceFile } from '../../base/file-system.ts';
import { decodeMarks, encodeMarks, type Marks } from '../ledger/marks.ts';

/** The high-water file of a data directory: the marks of the ledger, outside of LevelDB. */
export interface HighWater {
  /** Replaces all marks durably; calls run one after another. Rejects with system errors. */
  write(marks: Marks): Promise<void>;
  /**
   * The marks of the last completed write, undefined where there is no file. Throws `corrupt_block`,
   * or `unknown_format_version` for a newer one.
   */
  read(): Promise<Marks | undefined>;
}

/** The high-water file at `path`. */
export function createHighWater(fs: FileSystem, path: string): HighWater {
  let last: Promise<void> = Promise.resolve();
  return {
    write(marks) {
      const bytes = encodeMarks(marks);
      // A failed write was told to its own caller and does not stop the next.
      last = last.catch(() => {}).then(() => replaceFile(fs, path, bytes));
      return last;
    },
    async read() {
      let bytes: Uint8Array;
      try {
        bytes = await fs.readFile(path);
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return undefined;
        throw error;
      }
      return decodeMarks(bytes);
    },
  };
}
