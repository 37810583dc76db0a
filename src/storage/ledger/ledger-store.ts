import type { BlobInfo, BlobStore, ByteRange, CasOutcome, Root } from '../blob-store/contract.ts';
import { ForwardingStore } from '../blob-store/forwarding.ts';
import { parseFragmentKey, parseRawVolume, parseRootName, rawVolume } from '../keys.ts';
import { decodeRoot } from '../root/decode.ts';
import { headMarkShard } from '../shard/head-mark.ts';
import { TephraError } from '../../base/errors.ts';
import { type Listing, staleRoot, writerName } from './check.ts';
import type { Finding } from './finding.ts';
import type { FragmentMark, Marks, RootMark } from './marks.ts';

/** Findings that are kept; more would say no more. */
const FINDINGS_MAX = 1_000;

interface Writer {
  readonly incarnation: number;
  readonly shard: number;
  from: number;
  seq: number;
  /** By raw volume: what a drop takes away. */
  readonly volumes: Map<string, { low: number; high: number }>;
}

/** What a {@link LedgerStore} begins with. */
export interface LedgerStart {
  readonly store: BlobStore;
  /** What is there now. */
  readonly listing: Listing;
  /** Fragment marks of the file; what is there beyond them is added. */
  readonly fragments: readonly FragmentMark[];
  /** Root marks that hold: not those that were found stale and reported. */
  readonly roots: readonly RootMark[];
  /** Shards with a stale root: their head marks say too much. */
  readonly distrusted: ReadonlySet<number>;
  /** Writes marks durably. */
  readonly save: (marks: Marks) => Promise<void>;
}

/**
 * A store that takes down what became durable: the highest sequence of each writer and the generation
 * of each root. Marks never run ahead of what is durable; they are saved by {@link LedgerStore.save},
 * and before a volume is dropped, so that what retention takes is never missed.
 */
export class LedgerStore extends ForwardingStore {
  readonly #save: (marks: Marks) => Promise<void>;
  readonly #writers = new Map<string, Writer>();
  readonly #roots = new Map<string, number>();
  readonly #distrusted: ReadonlySet<number>;
  readonly #unlisted: ReadonlySet<string>;
  readonly #findings = new Map<string, Finding>();
  readonly #damaged = new Set<string>();
  #changed = true;

  constructor(start: LedgerStart) {
    super(start.store);
    this.#save = start.save;
    this.#distrusted = start.distrusted;
    this.#unlisted = new Set(start.listing.findings.map(({ what }) => what));
    for (const { incarnation, shard, from, seq } of start.fragments) {
      // A writer of which retention left nothing is forgotten.
      if (from > seq && !start.listing.present.has(writerName({ incarnation, shard }))) continue;
      this.#writers.set(writerName({ incarnation, shard }), {
        incarnation,
        shard,
        from,
        seq,
        volumes: new Map(),
      });
    }
    for (const { addresses } of start.listing.present.values()) {
      for (const address of addresses) this.#land(address);
    }
    for (const { name, gen } of start.roots) this.#roots.set(name, gen);
  }

  /** What is durable by now. */
  marks(): Marks {
    return {
      fragments: [...this.#writers.values()].map(({ incarnation, shard, from, seq }) => ({
        incarnation,
        shard,
        from,
        seq,
      })),
      roots: Array.from(this.#roots, ([name, gen]) => ({ name, gen })),
    };
  }

  /** What reads and checks found damaged so far, each thing once; at most FINDINGS_MAX. */
  findings(): readonly Finding[] {
    return [...this.#findings.values()];
  }

  /** Adds something that is damaged or lost. */
  report(finding: Finding): void {
    const name = `${finding.kind}/${finding.what}/${finding.detail}`;
    if (this.#findings.size < FINDINGS_MAX) this.#findings.set(name, finding);
  }

  /** Saves the marks if they changed; rejects with system errors, and then they are saved next time. */
  async save(): Promise<void> {
    if (!this.#changed) return;
    this.#changed = false;
    try {
      await this.#save(this.marks());
    } catch (error) {
      this.#changed = true;
      throw error;
    }
  }

  override async put(key: string, bytes: Uint8Array, markers?: readonly string[]): Promise<void> {
    await this.store.put(key, bytes, markers);
    const address = parseFragmentKey(key);
    if (address !== undefined) this.#land(address);
  }

  override async casRoot(
    name: string,
    token: string | null,
    bytes: Uint8Array,
  ): Promise<CasOutcome> {
    const outcome = await this.store.casRoot(name, token, bytes);
    if (outcome.outcome === 'ok' && parseRootName(name) !== undefined) {
      const { gen } = decodeRoot(bytes);
      if (gen > (this.#roots.get(name) ?? 0)) this.#roots.set(name, gen);
      this.#changed = true;
    }
    return outcome;
  }

  /** Rejects with `corrupt_block` where the root is older than its mark, or gone. */
  override async readRoot(name: string): Promise<Root | null> {
    const shard = headMarkShard(name);
    if (shard !== undefined && this.#distrusted.has(shard)) return null;
    // Before the read: a commit that lands meanwhile must not make what was read look old.
    const mark = this.#roots.get(name);
    const root = await this.#watch(name, this.store.readRoot(name));
    if (mark !== undefined) {
      const gen = root === null ? 0 : decodeRoot(root.bytes).gen;
      if (gen < mark) {
        const { what, detail } = staleRoot({ name, gen: mark }, gen);
        throw new TephraError('corrupt_block', `root ${what}: ${detail}`);
      }
    }
    return root;
  }

  override async dropVolume(volume: string): Promise<void> {
    // First the marks: a crash in between must not make what was dropped look lost.
    if (parseRawVolume(volume) !== undefined) {
      for (const writer of this.#writers.values()) {
        const next = firstAfter(writer, volume, this.#unlisted.has(volume));
        writer.from = Math.max(writer.from, next);
        writer.volumes.delete(volume);
      }
    }
    for (const name of this.#roots.keys()) {
      if (name.startsWith(`${volume}/`)) this.#roots.delete(name);
    }
    this.#changed = true;
    await this.save();
    await this.store.dropVolume(volume);
  }

  override get(key: string, range?: ByteRange): Promise<Uint8Array | null> {
    return this.#watch(key, this.store.get(key, range));
  }

  override list(prefix: string, after?: string): Promise<readonly BlobInfo[]> {
    return this.#watch(prefix, this.store.list(prefix, after));
  }

  /** Every read of every thread passes here: what is damaged is told once, whoever met it. */
  async #watch<T>(what: string, read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (thrown) {
      const error = TephraError.from(thrown);
      if (error.reason === 'corrupt_block') {
        // The name alone: the same blob is met again with other words.
        if (!this.#damaged.has(what)) this.report({ kind: 'damaged', what, detail: error.detail });
        this.#damaged.add(what);
      }
      throw error;
    }
  }

  #land(of: {
    readonly incarnation: number;
    readonly shard: number;
    readonly seq: number;
    readonly arrivalHourMs: number;
  }): void {
    const { incarnation, shard, seq, arrivalHourMs } = of;
    const name = writerName(of);
    let writer = this.#writers.get(name);
    if (writer === undefined) {
      writer = { incarnation, shard, from: 1, seq: 0, volumes: new Map() };
      this.#writers.set(name, writer);
    }
    writer.seq = Math.max(writer.seq, seq);
    const volume = rawVolume(arrivalHourMs);
    const { low, high } = writer.volumes.get(volume) ?? { low: seq, high: seq };
    writer.volumes.set(volume, { low: Math.min(low, seq), high: Math.max(high, seq) });
    this.#changed = true;
  }
}

/** The first sequence that must be there once `volume` was dropped. */
function firstAfter({ volumes, from, seq }: Writer, volume: string, isUnlisted: boolean): number {
  const dropped = volumes.get(volume);
  if (dropped !== undefined) return dropped.high + 1;
  if (!isUnlisted) return from;
  // It could not be listed: it may have held everything before what lies in later ones.
  const later = [...volumes].filter(([name]) => name > volume);
  return later.length === 0 ? seq + 1 : Math.min(...later.map(([, { low }]) => low));
}
