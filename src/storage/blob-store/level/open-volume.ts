import { bytesEqual } from '../../../base/bytes.ts';
import { TephraError } from '../../../base/errors.ts';
import { LIMITS } from '../../../base/limits.ts';
import type { Random } from '../../../base/random.ts';
import { isKey } from '../key.ts';
import type { BlobInfo, ByteRange, CasOutcome, Root } from '../contract.ts';
import { CommitQueue, type WriteCounters } from './commit-queue.ts';
import { type LevelHandle, type LevelWrite, readError } from './handle.ts';
import {
  type BlobHeader,
  decodeHeader,
  encodeHeader,
  headerKey,
  keyedCrc,
  pageKey,
  pagesPrefix,
  type PageFolder,
  splitPages,
} from './pages.ts';
import {
  chooseRoot,
  encodeRoot,
  rootCopyKey,
  rootKey,
  type RootRecord,
  tokenOf,
} from './root-record.ts';

const EMPTY = new Uint8Array(0);
// Above every character of a key.
const AFTER_ALL = '~';
const ROWS_PER_READ = 1_000;
const ROW_BYTES_PER_READ = 4 * 1024 * 1024;
const PAGES_PER_READ = 64;
/** Where pages of a blob may lie. */
const FOLDERS: readonly PageFolder[] = ['P', 'p'];

/** What a volume takes. */
export interface VolumeUsage {
  readonly tableBytes: number;
  readonly liveBytes: number;
}

/** Damage that all volumes of a store share: what costs nothing, or cannot be told by a rejection. */
export interface KnownDamage {
  /** Names of roots with only one whole copy. */
  readonly degradedRoots: Set<string>;
  /** Keys in LevelDB that nobody can have written. */
  readonly strangeKeys: Set<string>;
}

/**
 * The operations of a BlobStore within one open volume. It checks every checksum and knows nothing
 * of leases: the registry (volumes.ts) keeps the handle open while an operation runs.
 */
export class OpenVolume {
  readonly #level: LevelHandle;
  readonly #commits: CommitQueue;
  readonly #random: Random;
  readonly #damage: KnownDamage;
  /** The last compare-and-set of each root that is under way. */
  readonly #swaps = new Map<string, Promise<unknown>>();
  #removedBytes = 0;

  /** `damage` takes up what operations meet and can do without. */
  constructor(
    name: string,
    level: LevelHandle,
    counters: WriteCounters,
    random: Random,
    damage: KnownDamage,
  ) {
    this.#damage = damage;
    this.#level = level;
    this.#commits = new CommitQueue(name, level, counters);
    this.#random = random;
  }

  /** Why this handle takes no more writes, if it does not. */
  get poison(): TephraError | undefined {
    return this.#commits.poison;
  }

  /** See CommitQueue.undo. */
  get undo(): readonly LevelWrite[] {
    return this.#commits.undo;
  }

  /** Bytes that were written through this handle. */
  get written(): number {
    return this.#commits.written;
  }

  /** Bytes of pages that were removed through this handle. */
  get removedBytes(): number {
    return this.#removedBytes;
  }

  /** Bytes of its tables, and of the pages of its blobs; what lies in a log only is in the latter. */
  async usage(): Promise<VolumeUsage> {
    let liveBytes = 0;
    for (const { size } of await this.list('', '')) liveBytes += size;
    return { liveBytes, tableBytes: await this.#level.approximateSize('', AFTER_ALL) };
  }

  /**
   * Has LevelDB write its tables anew without what was removed, about `rangeBytes` of blobs at a time.
   * Asks `mayGoOn` before each range; resolves to whether it came to the end.
   */
  async compact(rangeBytes: number, mayGoOn: () => Promise<boolean>): Promise<boolean> {
    let from = '';
    let bytes = 0;
    for (const { key, size } of [...(await this.list('', '')), undefined].map(bound)) {
      bytes += size;
      if (key !== AFTER_ALL && bytes < rangeBytes) continue;
      if (!(await mayGoOn())) return false;
      await this.#level.compactRange(from, key);
      from = key;
      bytes = 0;
    }
    return true;
  }

  /** Releases the handle; no operation may be under way. */
  close(): Promise<void> {
    return this.#level.close();
  }

  /** See BlobStore.put: pages first where they need several batches, header and markers last. */
  async put(key: string, bytes: Uint8Array, markers: readonly string[]): Promise<void> {
    const pages = splitPages(key, bytes);
    let batch: LevelWrite[] = [];
    let batchBytes = 0;
    for (const page of pages) {
      if (batchBytes + page.bytes.byteLength > LIMITS.storeBatchBytes) {
        await this.#commits.write(batch);
        batch = [];
        batchBytes = 0;
      }
      batch.push({ type: 'put', key: page.key, value: page.bytes });
      batchBytes += page.bytes.byteLength;
    }
    for (const marker of markers) batch.push({ type: 'put', key: markerKey(marker), value: EMPTY });
    const crcs = pages.map((page) => page.crc);
    const header = encodeHeader(key, bytes.byteLength, crcs);
    batch.push({ type: 'put', key: headerKey(key), value: header });
    await this.#commits.write(batch);
  }

  /** See BlobStore.get. The answer lies alone in a buffer of its own. */
  async get(key: string, range?: ByteRange): Promise<Uint8Array | null> {
    const header = await this.#header(key);
    if (header === null) return null;
    const start = Math.min(Math.max(range?.start ?? 0, 0), header.size);
    const end = Math.max(start, Math.min(range?.end ?? header.size, header.size));
    const result = new Uint8Array(end - start);
    if (end === start) return result;
    const first = Math.floor(start / header.pageBytes);
    const last = Math.floor((end - 1) / header.pageBytes);
    for (let from = first; from <= last; from += PAGES_PER_READ) {
      const to = Math.min(last, from + PAGES_PER_READ - 1);
      const pages = await this.#pages(key, header, from, to);
      if (pages === null) return null;
      for (const [i, page] of pages.entries()) {
        const pageStart = (from + i) * header.pageBytes;
        const part = page.subarray(Math.max(0, start - pageStart), end - pageStart);
        result.set(part, Math.max(pageStart, start) - start);
      }
    }
    return result;
  }

  /** See BlobStore.size. */
  async size(key: string): Promise<number | null> {
    return (await this.#header(key))?.size ?? null;
  }

  /**
   * See BlobStore.list. A blob with a damaged header is listed with size 0, so that it neither hides
   * nor takes the others with it: reading it tells.
   */
  async list(prefix: string, after: string): Promise<BlobInfo[]> {
    const rows: BlobInfo[] = [];
    await this.#scan(headerKey(prefix), headerKey(after), (levelKey, value) => {
      const key = levelKey.slice(2);
      if (isKey(key)) rows.push({ key, size: sizeOrZero(key, value) });
      else this.#damage.strangeKeys.add(levelKey);
    });
    return rows;
  }

  /** See BlobStore.remove. Also clears pages that a put left without a header. */
  async remove(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const writes: LevelWrite[] = [{ type: 'del', key: headerKey(key) }];
      const size = pageKey(key, 0).length;
      let bytes = 0;
      for (const folder of FOLDERS) {
        await this.#scan(pagesPrefix(key, folder), '', (levelKey, value) => {
          // Longer ones are pages of other blobs whose keys begin with this one.
          if (levelKey.length !== size) return;
          writes.push({ type: 'del', key: levelKey });
          bytes += value.byteLength;
        });
      }
      await this.#commits.write(writes);
      this.#removedBytes += bytes;
    }
  }

  /** See BlobStore.hasMarkers. */
  async hasMarkers(markers: readonly string[]): Promise<boolean[]> {
    const found = await this.#getMany(markers.map(markerKey));
    return found.map((value) => value !== undefined);
  }

  /** See BlobStore.readRoot. */
  async readRoot(name: string): Promise<Root | null> {
    const record = await this.#root(name);
    if (record === null) return null;
    return { token: tokenOf(record), bytes: record.bytes.slice() };
  }

  /** See BlobStore.casRoot; one at a time per name. */
  async casRoot(name: string, token: string | null, bytes: Uint8Array): Promise<CasOutcome> {
    const before = this.#swaps.get(name);
    const swap = (async () => {
      // Its own caller hears of its failure.
      await before?.catch(() => {});
      return this.#swap(name, token, bytes);
    })();
    this.#swaps.set(name, swap);
    try {
      return await swap;
    } finally {
      if (this.#swaps.get(name) === swap) this.#swaps.delete(name);
    }
  }

  /** See BlobStore.listRoots. */
  async listRoots(prefix: string): Promise<string[]> {
    const names = new Set<string>();
    for (const start of [rootKey(prefix), rootCopyKey(prefix)]) {
      await this.#scan(start, '', (levelKey) => {
        if (isKey(levelKey.slice(2))) names.add(levelKey.slice(2));
        else this.#damage.strangeKeys.add(levelKey);
      });
    }
    return [...names].sort();
  }

  async #swap(name: string, token: string | null, bytes: Uint8Array): Promise<CasOutcome> {
    const present = await this.#root(name);
    if ((present === null ? null : tokenOf(present)) !== token) return { outcome: 'conflict' };
    const next: RootRecord = {
      version: (present?.version ?? 0) + 1,
      commit: this.#random.bytes(8),
      bytes,
    };
    const writes = [rootKey(name), rootCopyKey(name)].map((key): LevelWrite => ({
      type: 'put',
      key,
      value: encodeRoot(key, next),
    }));
    try {
      await this.#commits.write(writes);
    } catch {
      // Whether it landed shows after the volume was reopened; the queue keeps the reason.
      return { outcome: 'unknown' };
    }
    this.#damage.degradedRoots.delete(name);
    return { outcome: 'ok', token: tokenOf(next) };
  }

  async #root(name: string): Promise<RootRecord | null> {
    const [first, second] = await this.#getMany([rootKey(name), rootCopyKey(name)]);
    const { record, degraded } = chooseRoot(name, first, second);
    if (degraded) this.#damage.degradedRoots.add(name);
    return record;
  }

  async #header(key: string): Promise<BlobHeader | null> {
    const [value] = await this.#getMany([headerKey(key)]);
    return value === undefined ? null : decodeHeader(key, value);
  }

  /** Pages [from, to], checked; null if the blob was removed meanwhile. */
  async #pages(
    key: string,
    header: BlobHeader,
    from: number,
    to: number,
  ): Promise<Uint8Array[] | null> {
    const names: string[] = [];
    for (let i = from; i <= to; i++) names.push(pageKey(key, i, header.folder));
    const pages: Uint8Array[] = [];
    for (const [i, page] of (await this.#getMany(names)).entries()) {
      const index = from + i;
      if (page === undefined) {
        if ((await this.#header(key)) === null) return null;
        throw new TephraError('corrupt_block', `${key}: page ${index} is missing`);
      }
      const left = header.size - index * header.pageBytes;
      const expected = Math.min(header.pageBytes, left);
      const crc = keyedCrc(names[i] ?? '', page);
      if (page.byteLength !== expected || crc !== header.crcs[index]) {
        throw new TephraError(
          'corrupt_block',
          `${key}: page ${index}: expected ${expected} bytes with checksum ` +
            `${header.crcs[index]}, found ${page.byteLength} with ${crc}`,
        );
      }
      pages.push(page);
    }
    return pages;
  }

  async #getMany(keys: string[]): Promise<(Uint8Array | undefined)[]> {
    try {
      return await this.#level.getMany(keys);
    } catch (error) {
      throw readError(`read of ${keys[0]}`, error);
    }
  }

  /** Calls `visit` with the rows that begin with `prefix` and are greater than `after`. */
  async #scan(
    prefix: string,
    after: string,
    visit: (key: string, value: Uint8Array) => void,
  ): Promise<void> {
    const start = after >= prefix ? { gt: after } : { gte: prefix };
    const rows = this.#level.iterator<string, Uint8Array>({
      ...start,
      lt: prefix + AFTER_ALL,
      highWaterMarkBytes: ROW_BYTES_PER_READ,
    });
    try {
      for (;;) {
        const some = await rows.nextv(ROWS_PER_READ);
        if (some.length === 0) return;
        for (const [key, value] of some) visit(key, value);
      }
    } catch (error) {
      throw readError(`scan of ${prefix}`, error);
    } finally {
      await rows.close();
    }
  }
}

/** Puts a blob and reads it back; throws `corrupt_block` if it came back different. */
export async function probeVolume(
  volume: OpenVolume,
  key: string,
  bytes: Uint8Array,
): Promise<void> {
  await volume.put(key, bytes, []);
  const back = await volume.get(key);
  if (back === null || !bytesEqual(back, bytes)) {
    throw new TephraError('corrupt_block', `${key}: what was written did not come back`);
  }
}

/** The last page of a blob, where a range of keys may end; of none, the end of all. */
function bound(blob: BlobInfo | undefined): { key: string; size: number } {
  if (blob === undefined) return { key: AFTER_ALL, size: 0 };
  return { key: `${pagesPrefix(blob.key, 'P')}${AFTER_ALL}`, size: blob.size };
}

function markerKey(marker: string): string {
  return `u/${marker}`;
}

function sizeOrZero(key: string, header: Uint8Array): number {
  try {
    return decodeHeader(key, header).size;
  } catch {
    // Told at the next read of the blob, see OpenVolume.list.
    return 0;
  }
}
