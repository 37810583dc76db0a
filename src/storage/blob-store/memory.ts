import { assert } from '../../base/assert.ts';
import { bytesEqual } from '../../base/bytes.ts';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import {
  type BlobInfo,
  type BlobStore,
  type ByteRange,
  type CasOutcome,
  type Root,
  volumeOf,
} from './contract.ts';
import { assertKey, assertPrefix, assertVolume, compareKeys, volumeMatches } from './key.ts';
import { MemoryState } from './memory-state.ts';

/** Operations of a store that a fault plan or a scheduler may tell apart. */
export type StoreOperation = Exclude<keyof BlobStore, 'probe'>;

/**
 * What happens to one operation. `fail_before`: rejects (casRoot: outcome `unknown`) and nothing was
 * stored. `fail_after`: stored, but rejects all the same. `delay`: takes effect once `until` has
 * resolved. `corrupt`: a read rejects with `corrupt_block`.
 */
export type Fault =
  | 'ok'
  | 'fail_before'
  | 'fail_after'
  | 'corrupt'
  | { readonly delay: Promise<void> };

/**
 * Decides the fate of each operation as it is called. `key` is the blob, root or volume, the prefix
 * of a listing, and the first key of `remove` and `hasMarkers` ('' if there is none).
 */
export type FaultPlan = (operation: StoreOperation, key: string) => Fault;

/** Resolves when the operation may take effect: lets a simulation choose the order. */
export type Scheduler = (operation: StoreOperation, key: string) => Promise<void>;

/** All optional: without any it is a plain store in memory. */
export interface MemoryBlobStoreOptions {
  readonly faults?: FaultPlan;
  readonly scheduler?: Scheduler;
  /** What a store before this one left, see {@link MemoryBlobStore.snapshot}. */
  readonly state?: MemoryState;
}

interface Pending {
  readonly operation: StoreOperation;
  readonly key: string;
  readonly apply: () => unknown;
}

/**
 * A BlobStore in memory with injected faults, for simulations. Every operation takes effect at one
 * instant, by default a microtask after the call; before that a crash may lose it.
 */
export class MemoryBlobStore implements BlobStore {
  readonly #faults: FaultPlan;
  readonly #scheduler: Scheduler;
  readonly #state: MemoryState;
  readonly #pending = new Set<Pending>();
  #crashed = false;

  constructor(options: MemoryBlobStoreOptions = {}) {
    this.#faults = options.faults ?? (() => 'ok');
    this.#scheduler = options.scheduler ?? (() => Promise.resolve());
    this.#state = options.state ?? new MemoryState();
  }

  async put(key: string, bytes: Uint8Array, markers: readonly string[] = []): Promise<void> {
    assertKey(key);
    assert(bytes.byteLength <= LIMITS.blobBytesMax, `${key}: blob of ${bytes.byteLength} bytes`);
    const name = volumeOf(key);
    for (const marker of markers) {
      assertKey(marker);
      assert(volumeOf(marker) === name, `marker ${marker} is of another volume than ${key}`);
    }
    const copy = bytes.slice();
    await this.#write('put', key, () => {
      const volume = this.#state.create(name);
      const before = volume.blobs.get(key);
      assert(before === undefined || bytesEqual(before, copy), `${key} put with other bytes`);
      volume.blobs.set(key, copy);
      for (const marker of markers) volume.markers.add(marker);
    });
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array | null> {
    assertKey(key);
    return this.#read('get', key, () => {
      const blob = this.#state.volumes.get(volumeOf(key))?.blobs.get(key);
      if (blob === undefined) return null;
      const start = Math.max(range?.start ?? 0, 0);
      return blob.slice(start, Math.max(start, range?.end ?? blob.byteLength));
    });
  }

  async size(key: string): Promise<number | null> {
    assertKey(key);
    return this.#read(
      'size',
      key,
      () => this.#state.volumes.get(volumeOf(key))?.blobs.get(key)?.byteLength ?? null,
    );
  }

  async list(prefix: string, after = ''): Promise<readonly BlobInfo[]> {
    assertPrefix(prefix);
    return this.#read('list', prefix, () => {
      const rows: BlobInfo[] = [];
      for (const [name, volume] of this.#state.volumes) {
        if (!volumeMatches(name, prefix)) continue;
        for (const [key, { byteLength }] of volume.blobs) {
          if (key.startsWith(prefix) && key > after) rows.push({ key, size: byteLength });
        }
      }
      return rows.sort((a, b) => compareKeys(a.key, b.key));
    });
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (const key of keys) assertKey(key);
    await this.#write('remove', keys[0] ?? '', () => {
      for (const key of keys) this.#state.volumes.get(volumeOf(key))?.blobs.delete(key);
    });
  }

  async hasMarkers(markers: readonly string[]): Promise<readonly boolean[]> {
    for (const marker of markers) assertKey(marker);
    return this.#read('hasMarkers', markers[0] ?? '', () =>
      markers.map(
        (marker) => this.#state.volumes.get(volumeOf(marker))?.markers.has(marker) ?? false,
      ),
    );
  }

  async readRoot(name: string): Promise<Root | null> {
    assertKey(name);
    return this.#read('readRoot', name, () => {
      const root = this.#state.volumes.get(volumeOf(name))?.roots.get(name);
      return root === undefined ? null : { token: root.token, bytes: root.bytes.slice() };
    });
  }

  async casRoot(name: string, token: string | null, bytes: Uint8Array): Promise<CasOutcome> {
    assertKey(name);
    assert(bytes.byteLength <= LIMITS.rootBytesMax, `${name}: root of ${bytes.byteLength} bytes`);
    const copy = bytes.slice();
    try {
      return await this.#write('casRoot', name, (): CasOutcome => {
        const present = this.#state.volumes.get(volumeOf(name))?.roots.get(name);
        if ((present?.token ?? null) !== token) return { outcome: 'conflict' };
        const root = { token: this.#state.nextToken(), bytes: copy };
        this.#state.create(volumeOf(name)).roots.set(name, root);
        return { outcome: 'ok', token: root.token };
      });
    } catch (error) {
      if (error instanceof TephraError && error.reason === 'write_unknown') {
        return { outcome: 'unknown' };
      }
      throw error;
    }
  }

  async listRoots(prefix: string): Promise<readonly string[]> {
    assertPrefix(prefix);
    return this.#read('listRoots', prefix, () => {
      const names: string[] = [];
      for (const volume of this.#state.volumes.values()) {
        for (const name of volume.roots.keys()) if (name.startsWith(prefix)) names.push(name);
      }
      return names.sort(compareKeys);
    });
  }

  async listVolumes(kind: string): Promise<readonly string[]> {
    return this.#read('listVolumes', kind, () => {
      const names = [...this.#state.volumes.keys()];
      return names.filter((name) => name.startsWith(`${kind}/`)).sort(compareKeys);
    });
  }

  async dropVolume(volume: string): Promise<void> {
    assertVolume(volume);
    await this.#write('dropVolume', volume, () => {
      this.#state.volumes.delete(volume);
    });
  }

  async probe(): Promise<void> {
    const bytes = new Uint8Array([1]);
    await this.put('probe/store/blob', bytes);
    await this.get('probe/store/blob');
  }

  /** A copy of what is durable now; operations that have not taken effect are not in it. */
  snapshot(): MemoryState {
    return this.#state.copy();
  }

  /** Goes back to a snapshot, which stays as it is. */
  restore(state: MemoryState): void {
    this.#state.assign(state);
  }

  /**
   * Ends this store as a crash would: of the writes under way those land that `lands` says, in the
   * order of the calls; no operation of it, under way or later, ever settles. Returns what is durable,
   * for the store after the crash.
   */
  crash(lands: (operation: StoreOperation, key: string) => boolean = () => false): MemoryState {
    this.#crashed = true;
    for (const { operation, key, apply } of this.#pending) {
      if (lands(operation, key)) apply();
    }
    this.#pending.clear();
    return this.#state.copy();
  }

  async #read<T>(operation: StoreOperation, key: string, look: () => T): Promise<T> {
    const fault = await this.#turn(operation, key, undefined);
    if (fault === 'corrupt') throw new TephraError('corrupt_block', `${key}: injected damage`);
    if (fault === 'fail_before' || fault === 'fail_after') {
      throw new TephraError('overloaded', `${operation} ${key}: injected failure`);
    }
    return look();
  }

  async #write<T>(operation: StoreOperation, key: string, apply: () => T): Promise<T> {
    const fault = await this.#turn(operation, key, apply);
    if (fault === 'fail_before') {
      throw new TephraError('write_unknown', `${operation} ${key}: injected, not stored`);
    }
    const result = apply();
    if (fault === 'fail_after') {
      throw new TephraError('write_unknown', `${operation} ${key}: injected, stored`);
    }
    return result;
  }

  /** Waits until the operation may take effect, and tells its fault; never resolves after a crash. */
  async #turn(
    operation: StoreOperation,
    key: string,
    apply: (() => unknown) | undefined,
  ): Promise<Fault> {
    if (this.#crashed) return new Promise(() => {});
    const fault = this.#faults(operation, key);
    // A write that will fail before it is stored cannot land in a crash either.
    const pending =
      apply === undefined || fault === 'fail_before' ? undefined : { operation, key, apply };
    if (pending !== undefined) this.#pending.add(pending);
    if (typeof fault === 'object') await fault.delay;
    await this.#scheduler(operation, key);
    if (this.#crashed) return new Promise(() => {});
    if (pending !== undefined) this.#pending.delete(pending);
    return fault;
  }
}
