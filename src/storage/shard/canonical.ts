import { TephraError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { Dictionary } from '../dictionary/dictionary.ts';
import { lengthsAtLeast, lengthsEqual, NO_LENGTHS } from '../dictionary/lengths.ts';
import type { TableLengths } from '../dictionary/lengths.ts';
import {
  decodeSegmentDirectory,
  decodeSegmentFooter,
  SEGMENT_FOOTER_BYTES,
  sliceOf,
} from '../dictionary/segment.ts';
import type { SegmentEntry } from '../dictionary/segment.ts';
import { decodeOutline } from '../dictionary/outline.ts';
import type { OutlinePart } from '../dictionary/outline.ts';
import type { SeriesRow } from '../dictionary/rows.ts';
import { outlineKey, segmentKey } from '../keys.ts';
import type { PartitionRoot } from '../root/encode.ts';
import { stillNames } from './partition.ts';
import type { ShardState } from './shard-state.ts';

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
  readonly #shardCount: number;
  readonly #entries = new Map<string, Canonical>();
  readonly #directories = new Map<string, readonly SegmentEntry[]>();
  readonly #loading = new Map<string, Promise<Canonical>>();
  #uses = 0;

  constructor(of: Pick<ShardState, 'store' | 'random' | 'shard' | 'shardCount'>) {
    this.#store = of.store;
    this.#random = of.random;
    this.#shard = of.shard;
    this.#shardCount = of.shardCount;
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
    parts: readonly StoredPart[],
  ): Promise<Canonical> {
    const slices: (Uint8Array | null)[] = [];
    let before = present;
    // As of now: a commit may raise it while slices are read.
    let lengths = present?.lengths ?? NO_LENGTHS;
    let missing = missingParts(lengths, parts);
    const [first] = missing;
    if (before !== undefined && first !== undefined && !lengthsEqual(lengths, first.entry.from)) {
      // A roll has joined what is known and what is not: then all is read again.
      before = undefined;
      lengths = NO_LENGTHS;
      missing = missingParts(lengths, parts);
    }
    for (const part of missing) slices.push(await this.#slice(part));
    const dictionary =
      before === undefined ? new Dictionary(this.#random) : before.dictionary.copy(lengths);
    let damagedStacks = before?.damagedStacks ?? 0;
    for (const [i, { entry }] of missing.entries()) {
      const slice = slices[i] ?? null;
      if (slice !== null && tryAppend(dictionary, slice, entry.from, entry.to)) continue;
      const series = await this.#seriesOf(missing[i] as StoredPart);
      dictionary.appendDamaged(entry.from, entry.to, series);
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

  /** The slice's bytes, or null where they are damaged or lost: names are lost then, never values. */
  async #slice({ dayMs, id, entry }: StoredPart): Promise<Uint8Array | null> {
    if (entry.end === entry.at) return null;
    const key = segmentKey(dayMs, this.#shard, id);
    try {
      const bytes = await this.#store.get(key, { start: entry.at, end: entry.end });
      if (bytes !== null) return sliceOf(bytes, entry);
    } catch (thrown) {
      const error = TephraError.from(thrown);
      if (error.reason === 'corrupt_block') return null;
      throw error;
    }
    await this.#expectLost(dayMs, id);
    return null;
  }

  /** The slices of a scope in the order of their rows. */
  async #parts(
    dayMs: number,
    tenant: string,
    service: string,
    root: PartitionRoot,
  ): Promise<StoredPart[]> {
    const parts: StoredPart[] = [];
    for (const { id, bytes } of root.segments) {
      for (const entry of await this.#directory(dayMs, id, bytes)) {
        if (entry.tenant === tenant && entry.service === service) parts.push({ dayMs, id, entry });
      }
    }
    return parts;
  }

  /** Directory of a segment; segments never change, so it is kept. */
  async #directory(dayMs: number, id: string, size: number): Promise<readonly SegmentEntry[]> {
    const key = segmentKey(dayMs, this.#shard, id);
    const known = this.#directories.get(key);
    if (known !== undefined) return known;
    const directory =
      (await this.#storedDirectory(key, size)) ?? (await this.#outlinedDirectory(dayMs, id));
    this.#directories.set(key, directory);
    if (this.#directories.size > DIRECTORIES_KEPT) {
      const oldest = this.#directories.keys().next();
      if (oldest.done !== true) this.#directories.delete(oldest.value);
    }
    return directory;
  }

  /** Undefined where it is damaged or not there. */
  async #storedDirectory(key: string, size: number): Promise<SegmentEntry[] | undefined> {
    try {
      const tail = await this.#store.get(key, { start: size - SEGMENT_FOOTER_BYTES, end: size });
      if (tail === null) return undefined;
      const { directoryAt, directoryEnd } = decodeSegmentFooter(tail, size);
      const bytes = await this.#store.get(key, { start: directoryAt, end: directoryEnd });
      return bytes === null ? undefined : decodeSegmentDirectory(bytes);
    } catch (thrown) {
      const error = TephraError.from(thrown);
      if (error.reason === 'corrupt_block') return undefined;
      throw error;
    }
  }

  /** What the outline tells of a segment that is lost: the rows' ids, and no bytes of them. */
  async #outlinedDirectory(dayMs: number, id: string): Promise<SegmentEntry[]> {
    await this.#expectLost(dayMs, id);
    return (await this.#outline(dayMs, id)).map(({ tenant, service, from, to }) => ({
      tenant,
      service,
      from,
      to,
      at: 0,
      end: 0,
      crc: 0,
    }));
  }

  /** Series of a slice that cannot be read; undefined where its outline cannot be read either. */
  async #seriesOf({ dayMs, id, entry }: StoredPart): Promise<readonly SeriesRow[] | undefined> {
    try {
      const outline = await this.#outline(dayMs, id);
      return outline.find(
        ({ tenant, service, from }) =>
          tenant === entry.tenant && service === entry.service && lengthsEqual(from, entry.from),
      )?.series;
    } catch (thrown) {
      const error = TephraError.from(thrown);
      if (error.reason === 'corrupt_block') return undefined;
      throw error;
    }
  }

  async #outline(dayMs: number, id: string): Promise<OutlinePart[]> {
    const key = outlineKey(dayMs, this.#shard, id);
    const bytes = await this.#store.get(key);
    if (bytes === null) throw new TephraError('corrupt_block', `${key} is missing`);
    return decodeOutline(bytes);
  }

  /** Rejects with `read_restarted` unless the present root names the segment too. */
  async #expectLost(dayMs: number, id: string): Promise<void> {
    const of = { store: this.#store, shard: this.#shard, shardCount: this.#shardCount };
    const isNamed = (root: PartitionRoot): boolean => root.segments.some((one) => one.id === id);
    if (await stillNames(of, dayMs, isNamed)) return;
    throw new TephraError('read_restarted', `segment ${id} was removed while it was read`);
  }
}

/** Slices with rows that are not known yet. */
function missingParts(known: TableLengths, parts: readonly StoredPart[]): readonly StoredPart[] {
  return parts.filter(({ entry }) => !lengthsAtLeast(known, entry.to));
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

interface StoredPart {
  readonly dayMs: number;
  readonly id: string;
  /** An empty range where only the outline is there. */
  readonly entry: SegmentEntry;
}

/** Appends unless the slice is damaged; then it resolves to false and the dictionary is unchanged. */
export function tryAppend(
  dictionary: Dictionary,
  slice: Uint8Array,
  from: TableLengths,
  to: TableLengths,
): boolean {
  try {
    dictionary.append(slice, from, to);
    return true;
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (error.reason === 'corrupt_block') return false;
    throw error;
  }
}
