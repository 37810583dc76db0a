import { isErrno } from '../../base/errors.ts';
import type { FileSystem } from '../../base/file-system.ts';

/**
 * A file that does nothing but take room. When the disk is full it is given up: for LevelDB to replay
 * a log at start, which needs as much room as the log, and for a clean end.
 */
export interface Ballast {
  /** Bytes that are missing in it now; 0 while it is whole. */
  missingBytes(): number;
  /** Gives its room up. */
  free(): Promise<void>;
  /** Takes its room again, where there is plenty: it must never be what fills the disk. */
  refill(freeBytes: number): Promise<void>;
}

/** Bytes of one write. */
const STEP_BYTES = 4 * 1024 * 1024;
/** Room that must be free for the ballast, as a multiple of it. */
const PLENTY = 4;

/** The ballast at `path` of `bytes` (0 = none). */
export async function openBallast(fs: FileSystem, path: string, bytes: number): Promise<Ballast> {
  let present = 0;
  try {
    present = (await fs.stat(path)).size;
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  if (bytes === 0 && present > 0) {
    await fs.remove(path);
    present = 0;
  }
  return {
    missingBytes: () => Math.max(0, bytes - present),
    async free() {
      await fs.remove(path);
      present = 0;
    },
    async refill(freeBytes) {
      if (present >= bytes || freeBytes < bytes * PLENTY) return;
      try {
        // Real bytes: a hole would take no room.
        await fs.allocate(path, bytes, STEP_BYTES);
        present = bytes;
      } catch {
        // Somebody was faster; what was written must not stand in the way.
        await fs.remove(path).catch(() => {});
      }
    },
  };
}
