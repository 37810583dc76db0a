import type { Random } from '../../base/random.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import type { Dictionary } from '../dictionary/dictionary.ts';
import type { TableLengths } from '../dictionary/lengths.ts';
import { addAbsorbed } from '../root/absorbed.ts';
import type { Intervals } from '../root/absorbed.ts';
import { CanonicalDictionaries } from './canonical.ts';
import { Head } from './head.ts';
import type { SectionScope } from './head.ts';
import type { Partition } from './partition.ts';

/** The dictionary into which the live writer resolves pushes of (tenant, service, partition). */
export interface WriterScope extends SectionScope {
  readonly tenant: string;
  readonly service: string;
  readonly dayMs: number;
  /** Number of this scope within the incarnation; with it, the allocator of its ids. */
  readonly epoch: number;
  /** The raw volume of its fragments; another volume needs another epoch. */
  readonly rawVolume: string;
  /** Canonical lengths when it was opened: ids below are canonical for ever. */
  readonly seed: TableLengths;
  /** Rows that fragments carry already. */
  written: TableLengths;
}

/**
 * What one shard knows in memory. Ingest adds to it, jobs move it into blocks, queries read it; all of
 * them run in the thread that owns the shard, so that plain code between two awaits is atomic.
 */
export class ShardState {
  readonly shard: number;
  readonly shardCount: number;
  readonly incarnation: number;
  readonly store: BlobStore;
  readonly random: Random;
  readonly head = new Head();
  readonly canonical: CanonicalDictionaries;
  /** Live writer scopes by CanonicalDictionaries.key. */
  readonly scopes = new Map<string, WriterScope>();
  /** Sequences by incarnation whose fragment is known to be durable. */
  landed: ReadonlyMap<number, Intervals> = new Map();
  /** Ids of blocks that turned out damaged or lost: jobs leave them as they are. */
  readonly damagedBlocks = new Set<string>();
  /** Raw volume of the fragment that is being put or in doubt; the writer sets it. */
  puttingTo: string | undefined;
  /** Raw volumes that may be dropped at any moment: nothing more is put into them. */
  readonly releasedVolumes = new Set<string>();
  /** Set while an absorb needs the writer to stand still; resolve no push until it resolves. */
  gate: Promise<void> | undefined;
  /** Resolves when no fragment is being put or in doubt; the writer sets it. */
  settled: () => Promise<void> = async () => {};
  #epochs = 0;

  constructor(options: {
    shard: number;
    shardCount: number;
    incarnation: number;
    store: BlobStore;
    random: Random;
  }) {
    this.shard = options.shard;
    this.shardCount = options.shardCount;
    this.incarnation = options.incarnation;
    this.store = options.store;
    this.random = options.random;
    this.canonical = new CanonicalDictionaries(options);
  }

  /** The partition of this shard that holds the UTC day beginning at `dayMs`. */
  partition(dayMs: number): Partition {
    return { dayMs, shard: this.shard, shardCount: this.shardCount };
  }

  /** A new epoch number of this incarnation and shard. */
  nextEpoch(): number {
    return ++this.#epochs;
  }

  /** Counts a fragment as durable. */
  land(incarnation: number, seq: number): void {
    this.landed = addAbsorbed(this.landed, incarnation, [[seq, seq]]);
  }

  /** Every dictionary in memory, once. */
  dictionaries(): Set<Dictionary> {
    const all = new Set<Dictionary>();
    for (const [, { dictionary }] of this.canonical.entries()) all.add(dictionary);
    for (const { dictionary } of this.scopes.values()) all.add(dictionary);
    for (const { scope } of this.head.all()) all.add(scope.dictionary);
    return all;
  }

  /** Ends every live epoch: the next pushes open scopes that are seeded from the roots. */
  endEpochs(): void {
    this.scopes.clear();
  }

  /** Holds back pushes while `work` runs, after everything in flight has settled. */
  async standStill<T>(work: () => Promise<T>): Promise<T> {
    while (this.gate !== undefined) await this.gate;
    let open = (): void => {};
    this.gate = new Promise((resolve) => {
      open = resolve;
    });
    try {
      await this.settled();
      return await work();
    } finally {
      this.gate = undefined;
      open();
    }
  }
}
