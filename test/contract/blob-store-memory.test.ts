import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';
import { describeBlobStore } from './blob-store.ts';

describeBlobStore('memory', async () => {
  let store = new MemoryBlobStore();
  return {
    store,
    reopen: async () => {
      store = new MemoryBlobStore({ state: store.snapshot() });
      return store;
    },
    close: async () => {},
  };
});
