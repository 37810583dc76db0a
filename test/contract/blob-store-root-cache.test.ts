import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';
import { RootCachingStore } from '../../src/storage/blob-store/root-cache.ts';
import { describeBlobStore } from './blob-store.ts';

describeBlobStore('a store that remembers roots', async () => {
  let inner = new MemoryBlobStore();
  return {
    store: new RootCachingStore(inner, 1_000),
    reopen: async () => {
      inner = new MemoryBlobStore({ state: inner.snapshot() });
      return new RootCachingStore(inner, 1_000);
    },
    close: async () => {},
  };
});
