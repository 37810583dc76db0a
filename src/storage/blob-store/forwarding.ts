import type { BlobInfo, BlobStore, ByteRange, CasOutcome, Root } from './contract.ts';

/** Hands every call on to another store: the base of stores that stand in front of one and change a part. */
export class ForwardingStore implements BlobStore {
  protected readonly store: BlobStore;

  /** `store`: the one behind it. */
  constructor(store: BlobStore) {
    this.store = store;
  }

  put(key: string, bytes: Uint8Array, markers?: readonly string[]): Promise<void> {
    return this.store.put(key, bytes, markers);
  }

  get(key: string, range?: ByteRange): Promise<Uint8Array | null> {
    return this.store.get(key, range);
  }

  size(key: string): Promise<number | null> {
    return this.store.size(key);
  }

  list(prefix: string, after?: string): Promise<readonly BlobInfo[]> {
    return this.store.list(prefix, after);
  }

  remove(keys: readonly string[]): Promise<void> {
    return this.store.remove(keys);
  }

  hasMarkers(markers: readonly string[]): Promise<readonly boolean[]> {
    return this.store.hasMarkers(markers);
  }

  readRoot(name: string): Promise<Root | null> {
    return this.store.readRoot(name);
  }

  casRoot(name: string, token: string | null, bytes: Uint8Array): Promise<CasOutcome> {
    return this.store.casRoot(name, token, bytes);
  }

  listRoots(prefix: string): Promise<readonly string[]> {
    return this.store.listRoots(prefix);
  }

  listVolumes(kind: string): Promise<readonly string[]> {
    return this.store.listVolumes(kind);
  }

  dropVolume(volume: string): Promise<void> {
    return this.store.dropVolume(volume);
  }

  probe(): Promise<void> {
    return this.store.probe();
  }
}
