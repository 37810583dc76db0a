import { TephraError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { Dictionary } from '../dictionary/dictionary.ts';
import { lengthsAtLeast, NO_LENGTHS } from '../dictionary/lengths.ts';
import type { TableLengths } from '../dictionary/lengths.ts';
import {
  decodeSegmentDirectory,
  decodeSegmentFooter,
  SEGMENT_FOOTER_BYTES,
  sliceOf,
} from '../dictionary/segment.ts';
import type { SegmentEntry } from '../dictionary/segment.ts';
import { segmentKey } from '../keys.ts';
import type { PartitionRoot } from '../root/encode.ts';

/**
 * The canonical dictionary of (tenant, service, partition): the rows that the root's segments name.
 * `dictionary` may be longer: the live writer's own rows lie above `lengths`.
 */
export interface Canonical {
  dictionary: Dictionary;
  /** Rows below are canonical. */
  lengths: TableLengths;
  /**
   * Rows that commits in flight make canonical as they are, by the id of their segment: a root that
   * names it has landed before its commit could tell.
   */
  readonly pending: Map<string, TableLengths>;
  /** Stacks that lie in unreadable slices: shown as `(damaged)`. */
  damagedStacks: number;
  /** Monotonic use counter for the least recently used order. */
  usedAt: number;
}

/** Loads canonical dictionaries of one shard and keeps them by use. */
export class CanonicalDictionaries {
  readonly #store: BlobStore;
  readonly #random: Random;
  readonly #shard: number;
  readonly #entries = new Map<string, Canonical>();
  readonly #directories = new Map<string, readonly SegmentEntry[]>();
  readonly #loading = new Map<string, Promise<Canonical>>();
  #uses = 0;

  constructor(store: BlobStore, random: Random, shard: number) {
    this.#store = store;
    this.#random = random;
    this.#shard = shard;
  }

  /** Name of a scope in maps; tenants and services may hold any character. */
  static key(dayMs: number, tenant: string, service: string): string {
    return `${dayMs}/${tenant.length}/${tenant}/${service}`;
  }

  /** The dictionary in memory, or undefined. */
  peek(dayMs: number, tenant: string, service: string): Canonical | undefined {
    return this.#entries.get(CanonicalDictionaries.key(dayMs, tenant, service));
  }

  /** Replaces what is in memory. */
  set(
    dayMs: number,
    tenant: string,
    service: string,
    dictionary: Dictionary,
    lengths: TableLengths,
  ): void {
    this.#entries.set(CanonicalDictionaries.key(dayMs, tenant, service), {
      dictionary,
      lengths,
      pending: new Map(),
      damagedStacks: this.peek(dayMs, tenant, service)?.damagedStacks ?? 0,
      usedAt: ++this.#uses,
    });
  }

  /** Counts a use of the dictionary under `key`. */
  touch(key: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.usedAt = ++this.#uses;
  }

  /** All dictionaries in memory with their scope's key. */
  entries(): IterableIterator<[string, Canonical]> {
    return this.#entries.entries();
  }

  /** Forgets a dictionary. */
  evict(key: string): void {
    this.#entries.delete(key);
  }

  /**
   * The dictionary with at least the rows that `root` names. Rejects with `read_restarted` if a
   * segment is gone, which means that the root was replaced meanwhile.
   */
  async load(
    dayMs: number,
    tenant: string,
    service: string,
    root: PartitionRoot,
  ): Promise<Canonical> {
    const key = CanonicalDictionaries.key(dayMs, tenant, service);
    for (;;) {
      const parts = await this.#parts(dayMs, tenant, service, root);
      const required = parts.at(-1)?.entry.to ?? NO_LENGTHS;
      const present = this.#entries.get(key);
      if (present !== undefined) takePending(present, root);
      if (present !== undefined && lengthsAtLeast(present.lengths, required)) {
        present.usedAt = ++this.#uses;
        return present;
      }
      const loading = this.#loading.get(key);
      if (loading !== undefined) {
        // Somebody loads it: look again when that is done, it may be enough.
        await loading.catch(() => undefined);
        continue;
      }
      const load = this.#extend(key, present, parts);
      this.#loading.set(key, load);
      try {
        return await load;
      } finally {
        this.#loading.delete(key);
      }
    }
  }

  async #extend(
    key: string,
    present: Canonical | undefined,
    parts: readonly SegmentPart[],
  ): Promise<Canonical> {
    const slices: (Uint8Array | null)[] = [];
    const start = present?.lengths ?? NO_LENGTHS;
    const missing = parts.filter(({ entry }) => !lengthsAtLeast(start, entry.to));
    for (const part of missing) slices.push(await this.#slice(part));
    const dictionary =
      present === undefined ? new Dictionary(this.#random) : present.dictionary.copy(start);
    let damagedStacks = present?.damagedStacks ?? 0;
    for (const [i, { entry }] of missing.entries()) {
      const slice = slices[i] ?? null;
      if (slice !== null && tryAppend(dictionary, slice, entry)) continue;
      dictionary.appendDamaged(entry.from, entry.to);
      damagedStacks += entry.to.stacks - entry.from.stacks;
    }
    const canonical: Canonical = {
      dictionary,
      lengths: dictionary.lengths,
      pending: new Map(),
      damagedStacks,
      usedAt: ++this.#uses,
    };
    this.#entries.set(key, canonical);
    return canonical;
  }

  /** The slice's bytes, or null where they are damaged: names are lost then, never values. */
  async #slice(part: SegmentPart): Promise<Uint8Array | null> {
    try {
      const bytes = await this.#store.get(part.key, { start: part.entry.at, end: part.entry.end });
      if (bytes === null) throw segmentGone(part.key);
      return sliceOf(bytes, part.entry);
    } catch (thrown) {
      const error = TephraError.from(thrown);
      if (error.reason === 'corrupt_block') return null;
      throw error;
    }
  }

  /** The slices of a scope in the order of their rows. */
  async #parts(
    dayMs: number,
    tenant: string,
    service: string,
    root: PartitionRoot,
  ): Promise<SegmentPart[]> {
    const parts: SegmentPart[] = [];
    for (const segment of root.segments) {
      const key = segmentKey(dayMs, this.#shard, segment.id);
      for (const entry of await this.directory(key, segment.bytes)) {
        if (entry.tenant === tenant && entry.service === service) parts.push({ key, entry });
      }
    }
    return parts;
  }

  /** Directory of a segment; segments never change, so it is kept. */
  async directory(key: string, size: number): Promise<readonly SegmentEntry[]> {
    const known = this.#directories.get(key);
    if (known !== undefined) return known;
    const tail = await this.#store.get(key, { start: size - SEGMENT_FOOTER_BYTES, end: size });
    if (tail === null) throw segmentGone(key);
    const { directoryAt, directoryEnd } = decodeSegmentFooter(tail, size);
    const bytes = await this.#store.get(key, { start: directoryAt, end: directoryEnd });
    if (bytes === null) throw segmentGone(key);
    const directory = decodeSegmentDirectory(bytes);
    this.#directories.set(key, directory);
    if (this.#directories.size > DIRECTORIES_KEPT) {
      const oldest = this.#directories.keys().next();
      if (oldest.done !== true) this.#directories.delete(oldest.value);
    }
    return directory;
  }
}

/** Counts rows as canonical whose commit is known to have landed by the root alone. */
function takePending(canonical: Canonical, root: PartitionRoot): void {
  for (const [id, to] of canonical.pending) {
    if (!root.segments.some((segment) => segment.id === id)) continue;
    if (!lengthsAtLeast(canonical.lengths, to)) canonical.lengths = to;
  }
}

/** Directories of segments in memory per shard; one is some hundred bytes a service. */
const DIRECTORIES_KEPT = 512;

interface SegmentPart {
  readonly key: string;
  readonly entry: SegmentEntry;
}

function segmentGone(key: string): TephraError {
  return new TephraError('read_restarted', `segment ${key} was removed while it was read`);
}

/** Appends unless the slice is damaged; the dictionary is unchanged then. */
function tryAppend(dictionary: Dictionary, slice: Uint8Array, entry: SegmentEntry): boolean {
  try {
    dictionary.append(slice, entry.from, entry.to);
    return true;
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (error.reason === 'corrupt_block') return false;
    throw error;
  }
}
