/**
 * The narrow contract between the engine and a store. The engine is correct on anything that keeps
 * it: LevelDB in one process, an object store with many. Nothing is required across keys: no
 * transaction, no snapshot.
 *
 * Keys are `<kind>/<period>/<rest>`: the first two parts name a *volume*, the unit of forgetting
 * (`raw/20260314-06`, `minutes/20260314`). Parts are ASCII letters, digits, `-`, `_`, `.`.
 */
export interface BlobStore {
  /**
   * Stores `bytes` (at most LIMITS.blobBytesMax) under `key` (at most LIMITS.keyBytesMax). Resolves
   * when the blob is durable and visible to every later get and list; `bytes` must not change before
   * that. The same key may only ever be put again with the same bytes. `markers` are empty keys of
   * the same volume that become durable no later than the blob. Rejects with `write_unknown` or
   * `storage_full`: the blob may then be there or not, and `get` tells which once it answers.
   */
  put(key: string, bytes: Uint8Array, markers?: readonly string[]): Promise<void>;

  /**
   * The blob, or `range` of it (clamped at the end), or null where there is none. What is returned
   * was checked against its checksum; damage rejects with `corrupt_block`. The result is the
   * caller's own copy, alone in its buffer: it may be given to another thread.
   */
  get(key: string, range?: ByteRange): Promise<Uint8Array | null>;

  /** Size in bytes, or null where there is none. */
  size(key: string): Promise<number | null>;

  /**
   * Keys that begin with `prefix` and are greater than `after`, in byte order, with sizes. Sees
   * every put that resolved before the call. A prefix shorter than a volume spans volumes.
   */
  list(prefix: string, after?: string): Promise<readonly BlobInfo[]>;

  /** Removes blobs; absent ones are no error. */
  remove(keys: readonly string[]): Promise<void>;

  /** Whether each marker was put (see put). Unknown volumes hold none. */
  hasMarkers(markers: readonly string[]): Promise<readonly boolean[]>;

  /** The present value of a root, or null. Names are like keys and live in their volume. */
  readRoot(name: string): Promise<Root | null>;

  /**
   * Replaces the root if its token is still `token` (null: if there is none), durably. One attempt:
   * `conflict` if the token differs, `unknown` if the outcome cannot be told.
   */
  casRoot(name: string, token: string | null, bytes: Uint8Array): Promise<CasOutcome>;

  /** Names of the roots that begin with `prefix`, in byte order. */
  listRoots(prefix: string): Promise<readonly string[]>;

  /** Names of the volumes of a kind (`raw/…`), in byte order. */
  listVolumes(kind: string): Promise<readonly string[]>;

  /** Forgets a whole volume: its blobs, markers and roots. An absent one is no error. */
  dropVolume(volume: string): Promise<void>;

  /** Writes and reads back a small blob; rejects where the store cannot be used. */
  probe(): Promise<void>;
}

/** `[start, end)` in bytes. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A row of a listing. */
export interface BlobInfo {
  readonly key: string;
  /** Bytes of the blob. */
  readonly size: number;
}

/** The value of a root and the token that a replacement must show. */
export interface Root {
  readonly token: string;
  readonly bytes: Uint8Array;
}

/** What became of a compare-and-set. */
export type CasOutcome =
  | { readonly outcome: 'ok'; readonly token: string }
  | { readonly outcome: 'conflict' }
  | { readonly outcome: 'unknown' };

/** The volume of a key: its first two parts. */
export function volumeOf(key: string): string {
  const first = key.indexOf('/');
  const second = key.indexOf('/', first + 1);
  return second < 0 ? key : key.slice(0, second);
}
