import { readdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { systemFileSystem } from '../../../src/base/file-system.ts';
import { lockDirectory } from '../../../src/storage/data-directory/lock.ts';
import { temporaryDirectory } from '../blob-store/open-level.ts';

const OWNER = { pid: 1, host: 'h', startedAt: '2026-03-14T00:00:00.000Z' };

describe('the lock of a data directory', () => {
  it.each(['MANIFEST', 'CURRENT'])(
    'is made anew where a power cut emptied its %s',
    async (file) => {
      const path = await temporaryDirectory();
      await (await lockDirectory(systemFileSystem, path, OWNER)).release();
      const folder = join(path, 'lock');
      for (const name of await readdir(folder)) {
        if (name.startsWith(file)) await truncate(join(folder, name), 0);
      }
      const lock = await lockDirectory(systemFileSystem, path, OWNER);
      await expect(lockDirectory(systemFileSystem, path, OWNER)).rejects.toThrow('data_dir_in_use');
      await lock.release();
    },
  );
});
