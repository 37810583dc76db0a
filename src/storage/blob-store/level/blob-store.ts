import { assert } from '../../../base/assert.ts';
import { utf8 } from '../../../base/bytes.ts';
import type { Clock, Timers } from '../../../base/clock.ts';
import type { FileSystem } from '../../../base/file-system.ts';
import { LIMITS } from '../../../base/limits.ts';
import type { Random } from '../../../base/random.ts';
import {
  type BlobInfo,
  type BlobStore,
  type ByteRange,
  type CasOutcome,
  type Root,
  volumeOf,
} from '../contract.ts';
import { assertKey, assertPrefix, assertVolume, compareKeys, volumeMatches } from '../key.ts';
import { openLevel } from './handle.ts';
import { type OpenVolume, probeVolume } from './open-volume.ts';
import { scanInChild, type SuspectCheck } from './suspect.ts';
import { Volumes } from './volumes.ts';
import { WriteTimes } from './write-times.ts';

const PROBE_KEY = 'probe/store/blob';

/** What {@link openLevelBlobStore} needs. */
export interface LevelBlobStoreOptions {
  /** An existing directory that the caller holds the lock of. */
  readonly path: string;
  /** Hexadecimal id of the store, repeated in every volume. */
  readonly storeId: string;
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** How a volume that died with the process twice is examined; a scan in a child by default. */
  readonly suspectCheck?: SuspectCheck;
  /** Opens the LevelDB of a volume; tests give handles that fail. */
  readonly openHandle?: typeof openLevel;
  /** Examines every volume before it is opened, not only those that died with the process. */
  readonly suspectAll?: boolean;
  /** Bytes that must be free before writes go on after the disk was full; LIMITS.diskFreeBytesMin. */
  readonly spaceNeeded?: () => number;
  /** Refuses writes from the start until there is that space. */
  readonly startsFull?: boolean;
}

/** Gauges and counters since the store was opened. */
export interface LevelStoreStats {
  readonly openVolumes: number;
  /** Bytes of keys and values in sync batches that succeeded. */
  readonly bytesWritten: number;
  readonly syncBatches: number;
  /** Writes that wait for their sync batch or are in it. */
  readonly pendingPuts: number;
  /** 99th percentile of the times of durable writes of pushes, of the last ten seconds. */
  readonly pushP99Ms: number;
  /** The volumes that are set aside. */
  readonly quarantined: readonly { readonly name: string; readonly why: string }[];
  /** Roots of which only one of two copies is whole, as far as they were read. */
  readonly degradedRoots: readonly string[];
  /** Keys in LevelDB that nobody can have written, as far as they were listed. */
  readonly strangeKeys: readonly string[];
  /** Writes are refused until there is space. */
  readonly diskFull: boolean;
  /** How often a volume was written anew, to give back the space of what was removed. */
  readonly compactions: number;
}

/** A BlobStore over one LevelDB directory per volume. See docs/format/volume.md. */
export class LevelBlobStore implements BlobStore {
  readonly #volumes: Volumes;
  readonly #pushTimes: WriteTimes;

  constructor(volumes: Volumes, clock: Clock) {
    this.#volumes = volumes;
    this.#pushTimes = new WriteTimes(clock);
  }

  async put(key: string, bytes: Uint8Array, markers: readonly string[] = []): Promise<void> {
    assertKey(key);
    assert(bytes.byteLength <= LIMITS.blobBytesMax, `${key}: blob of ${bytes.byteLength} bytes`);
    const name = volumeOf(key);
    for (const marker of markers) assertInVolume(marker, name);
    const put = (): Promise<unknown> =>
      this.#volumes.use(name, 'create', (volume) => volume.put(key, bytes, markers));
    // Pushes wait for what goes to the raw tier, for nothing else.
    await (name.startsWith('raw/') ? this.#pushTimes.measure(put) : put());
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array | null> {
    return (await this.#read(key, (volume) => volume.get(key, range))) ?? null;
  }

  async size(key: string): Promise<number | null> {
    return (await this.#read(key, (volume) => volume.size(key))) ?? null;
  }

  async list(prefix: string, after = ''): Promise<readonly BlobInfo[]> {
    return this.#span(prefix, (volume) => volume.list(prefix, after));
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (const [name, own] of byVolume(keys)) {
      await this.#volumes.use(name, 'update', (volume) => volume.remove(own));
    }
  }

  async hasMarkers(markers: readonly string[]): Promise<readonly boolean[]> {
    const found = new Map<string, boolean>();
    for (const [name, own] of byVolume(markers)) {
      const answers = await this.#volumes.use(name, 'read', (volume) => volume.hasMarkers(own));
      for (const [i, marker] of own.entries()) found.set(marker, answers?.[i] ?? false);
    }
    return markers.map((marker) => found.get(marker) ?? false);
  }

  async readRoot(name: string): Promise<Root | null> {
    return (await this.#read(name, (volume) => volume.readRoot(name))) ?? null;
  }

  async casRoot(name: string, token: string | null, bytes: Uint8Array): Promise<CasOutcome> {
    assertKey(name);
    assert(bytes.byteLength <= LIMITS.rootBytesMax, `${name}: root of ${bytes.byteLength} bytes`);
    const intent = token === null ? 'create' : 'update';
    const swap = (volume: OpenVolume): Promise<CasOutcome> => volume.casRoot(name, token, bytes);
    const outcome = await this.#volumes.use(volumeOf(name), intent, swap);
    // A token of a volume that is not there can be no root's.
    return outcome ?? { outcome: 'conflict' };
  }

  async listRoots(prefix: string): Promise<readonly string[]> {
    return this.#span(prefix, (volume) => volume.listRoots(prefix));
  }

  async listVolumes(kind: string): Promise<readonly string[]> {
    const names = this.#volumes.names().filter((name) => name.startsWith(`${kind}/`));
    return names.sort(compareKeys);
  }

  async dropVolume(volume: string): Promise<void> {
    assertVolume(volume);
    await this.#volumes.drop(volume);
  }

  async probe(): Promise<void> {
    await this.#volumes.use(volumeOf(PROBE_KEY), 'create', (volume) =>
      probeVolume(volume, PROBE_KEY, utf8('tephra')),
    );
  }

  /** Gauges and counters; cheap. */
  stats(): LevelStoreStats {
    const { pendingWrites, ...rest } = this.#volumes.stats();
    return { ...rest, pendingPuts: pendingWrites, pushP99Ms: this.#pushTimes.p99Ms() };
  }

  /** What it does by itself each minute: see Volumes.tidy. */
  tidy(): Promise<void> {
    return this.#volumes.tidy();
  }

  /** Refuses new operations with `draining`, waits for those under way, closes every volume. */
  close(): Promise<void> {
    return this.#volumes.close();
  }

  async #read<T>(
    key: string,
    operation: (volume: OpenVolume) => Promise<T>,
  ): Promise<T | undefined> {
    assertKey(key);
    return this.#volumes.use(volumeOf(key), 'read', operation);
  }

  /**
   * Rows of all volumes that `prefix` reaches. One that is quarantined rejects the whole: a listing
   * without it would pass for complete. Who wants the rest lists volume by volume.
   */
  async #span<T>(prefix: string, operation: (volume: OpenVolume) => Promise<T[]>): Promise<T[]> {
    assertPrefix(prefix);
    const all: T[] = [];
    for (const name of this.#volumes.names()) {
      if (!volumeMatches(name, prefix)) continue;
      const rows = await this.#volumes.use(name, 'read', operation);
      for (const row of rows ?? []) all.push(row);
    }
    return all;
  }
}

/**
 * Opens the store in `path`; must be closed. Rejects with `data_dir_unusable` for a symbolic link
 * among the volumes, and with system errors of the directory.
 */
export async function openLevelBlobStore(options: LevelBlobStoreOptions): Promise<LevelBlobStore> {
  return new LevelBlobStore(
    await Volumes.open({
      suspectCheck: scanInChild,
      openHandle: openLevel,
      spaceNeeded: () => LIMITS.diskFreeBytesMin,
      startsFull: false,
      ...options,
    }),
    options.clock,
  );
}

function assertInVolume(marker: string, volume: string): void {
  assertKey(marker);
  assert(volumeOf(marker) === volume, `marker ${marker} is of another volume than ${volume}`);
}

function byVolume(keys: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const key of keys) {
    assertKey(key);
    const group = groups.get(volumeOf(key));
    if (group === undefined) groups.set(volumeOf(key), [key]);
    else group.push(key);
  }
  return groups;
}
