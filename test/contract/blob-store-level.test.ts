import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { systemFileSystem } from '../../src/base/file-system.ts';
import { systemRandom } from '../../src/base/random.ts';
import {
  type LevelBlobStore,
  openLevelBlobStore,
} from '../../src/storage/blob-store/level/blob-store.ts';
import { describeBlobStore } from './blob-store.ts';

// Real fsyncs on a disk that other tests use at the same time.
jest.setTimeout(60_000);

describeBlobStore('LevelDB', async () => {
  const path = await mkdtemp(join(tmpdir(), 'tephra-contract-'));
  const open = (): Promise<LevelBlobStore> =>
    openLevelBlobStore({
      path,
      storeId: '00'.repeat(16),
      fs: systemFileSystem,
      clock: systemClock,
      timers: systemTimers,
      random: systemRandom,
    });
  let store = await open();
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await open();
      return store;
    },
    close: async () => {
      await store.close();
      await rm(path, { recursive: true, force: true });
    },
  };
});
