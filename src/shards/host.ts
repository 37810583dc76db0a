import { TephraError } from '../base/errors.ts';
import { createPause } from '../base/slice.ts';
import { HOUR_MS } from '../base/time.ts';
import { Acceptor } from '../ingest/accept.ts';
import type { PushItem, PushOutcome } from '../ingest/push.ts';
import { ShardIngest } from '../ingest/shard-ingest.ts';
import { evictDictionaries } from '../jobs/eviction.ts';
import { releaseVolume } from '../jobs/retention.ts';
import { ShardJobs } from '../jobs/shard-jobs.ts';
import { parseProfileType } from '../profile/profile-type.ts';
import { encodeDiff } from '../query/encode/diff.ts';
import { encodeFlameGraph } from '../query/encode/flame-graph.ts';
import { encodePprof } from '../query/encode/pprof.ts';
import { QueryBudget } from '../query/execute/context.ts';
import type { QueryContext } from '../query/execute/context.ts';
import { labelRows } from '../query/execute/label-rows.ts';
import { mergeSums } from '../query/execute/merge.ts';
import { RawPushes } from '../query/execute/raw-pushes.ts';
import { timelinePart } from '../query/execute/timeline.ts';
import { addNotes, NO_NOTES } from '../query/request.ts';
import type {
  EncodedAnswer,
  LabelsRequest,
  MergeRequest,
  QueryNotes,
  SeriesRequest,
} from '../query/request.ts';
import type { SeriesRow } from '../query/labels/series-label.ts';
import type { SeriesPart } from '../query/series/part.ts';
import { frameTreeOf, joinFrameTrees } from '../query/tree/join-frames.ts';
import { joinNameTrees } from '../query/tree/join.ts';
import { nameTreeOf } from '../query/tree/name-tree-of.ts';
import { BlockCache } from '../storage/block/cache.ts';
import { recoverShard } from '../storage/shard/recover.ts';
import { ShardState } from '../storage/shard/shard-state.ts';
import type { FramePart, NamePart, ShardHostApi, ShardHostOptions } from './host-contract.ts';

interface OwnedShard {
  readonly state: ShardState;
  readonly ingest: ShardIngest;
  readonly jobs: ShardJobs;
}

/** Nanoseconds in a millisecond, for pprof answers. */
const NANOS = 1_000_000n;

/** Bytes of memory of one identity in the duplicate memory: key, entry and map slot, about. */
const IDENTITY_MEMORY_BYTES = 160;

/**
 * Owns some shards: decodes and commits their pushes, runs their jobs, answers queries on them. The
 * same code runs in a worker thread and inline; it reaches the store by messages or directly.
 */
export class ShardHost implements ShardHostApi {
  readonly #options: ShardHostOptions;
  readonly #shards = new Map<number, OwnedShard>();
  readonly #cache: BlockCache;
  readonly #raw = new RawPushes();
  #jobs: Promise<void> = Promise.resolve();
  #evicted = 0;
  readonly #recovered = { fragments: 0, sections: 0, damaged: 0, gaps: 0 };

  constructor(options: ShardHostOptions) {
    this.#options = options;
    this.#cache = new BlockCache(options.limits.pageCacheBytes);
  }

  /** Rebuilds what its shards keep in memory from the store. */
  async open(nowMs: number): Promise<void> {
    const { store, shardCount, incarnation, random, clock, timers, limits } = this.#options;
    const acceptor = new Acceptor({
      profileBytesMax: limits.profileBytesMax,
      pastMs: limits.minutesRetentionMs,
      futureMs: limits.futureMs,
    });
    const perShard = Math.max(1, this.#options.shards.length);
    for (const shard of this.#options.shards) {
      const state = new ShardState({ shard, shardCount, incarnation, store, random });
      const found = await recoverShard(state);
      this.#recovered.fragments += found.fragments;
      this.#recovered.sections += found.sections;
      this.#recovered.damaged += found.damaged.length;
      this.#recovered.gaps += found.gaps.length;
      this.#shards.set(shard, {
        state,
        ingest: new ShardIngest({
          state,
          acceptor,
          clock,
          timers,
          openedMs: nowMs,
          rules: {
            profileBytesMax: limits.profileBytesMax,
            pastMs: limits.minutesRetentionMs,
            futureMs: limits.futureMs,
            flushBytes: limits.flushBytes,
            flushLingerMs: limits.flushLingerMs,
            duplicateSpanMs: HOUR_MS,
            duplicateEntriesMax: Math.max(
              1_000,
              Math.floor(limits.duplicateSetBytes / perShard / IDENTITY_MEMORY_BYTES),
            ),
          },
        }),
        jobs: new ShardJobs(state, clock, timers, {
          absorbBytes: limits.absorbBytes,
          absorbFragments: limits.absorbFragments,
          hourCloseDelayMs: limits.hourCloseDelayMs,
          lateIntervalMs: limits.lateIntervalMs,
          unrolledBlocksPerHourMax: limits.unrolledBlocksPerHourMax,
          graceMs: limits.graceMs,
        }),
      });
    }
  }

  async push(shard: number, items: readonly PushItem[]): Promise<readonly PushOutcome[]> {
    return this.#shard(shard).ingest.push(items);
  }

  async labelRows(
    shards: readonly number[],
    request: LabelsRequest,
  ): Promise<readonly SeriesRow[]> {
    return labelRows(this.#context(shards), request);
  }

  async seriesParts(shards: readonly number[], request: SeriesRequest): Promise<SeriesPart> {
    return timelinePart(this.#context(shards), request);
  }

  async mergeNames(shards: readonly number[], request: MergeRequest): Promise<NamePart> {
    const { parts, notes } = await mergeSums(this.#context(shards), request);
    const trees = parts.map(({ dictionary, sums }) => nameTreeOf(dictionary, sums.finish()));
    return { tree: joinNameTrees(trees), notes };
  }

  async mergeFrames(shards: readonly number[], request: MergeRequest): Promise<FramePart> {
    const { parts, notes } = await mergeSums(this.#context(shards), request);
    const trees = parts.map(({ dictionary, sums }) => frameTreeOf(dictionary, sums.finish()));
    return { tree: joinFrameTrees(trees), notes };
  }

  async finishFlameGraph(parts: readonly NamePart[], maxNodes: number): Promise<EncodedAnswer> {
    const { bytes, saturated } = encodeFlameGraph(
      joinNameTrees(parts.map(({ tree }) => tree)),
      maxNodes,
    );
    return { bytes, notes: notesOf(parts, saturated) };
  }

  async finishDiff(
    left: readonly NamePart[],
    right: readonly NamePart[],
    maxNodes: number,
  ): Promise<EncodedAnswer> {
    const { bytes, saturated } = encodeDiff(
      joinNameTrees(left.map(({ tree }) => tree)),
      joinNameTrees(right.map(({ tree }) => tree)),
      maxNodes,
    );
    return { bytes, notes: notesOf([...left, ...right], saturated) };
  }

  async finishPprof(parts: readonly FramePart[], request: MergeRequest): Promise<EncodedAnswer> {
    const { bytes, saturated } = encodePprof(joinFrameTrees(parts.map(({ tree }) => tree)), {
      type: parseProfileType(request.profileType),
      timeNanos: BigInt(Math.floor(request.startMs)) * NANOS,
      durationNanos: BigInt(Math.max(0, Math.floor(request.endMs - request.startMs))) * NANOS,
      period: 0n,
    });
    return { bytes, notes: notesOf(parts, saturated) };
  }

  /** One run after the other: two absorbs of a partition at once would only lose each other's race. */
  async runJobs(nowMs: number): Promise<void> {
    const run = this.#jobs.then(async () => {
      const states = [...this.#shards.values()].map(({ state }) => state);
      const headBytes = states.reduce((sum, { head }) => sum + head.bytes, 0);
      const crowded = headBytes > this.#options.limits.headBytes;
      for (const { jobs } of this.#shards.values()) await jobs.run(nowMs, crowded);
      this.#evicted += evictDictionaries(states, this.#options.limits.dictionaryBytes);
    });
    this.#jobs = run.catch(() => undefined);
    return run;
  }

  /** Volumes of those given that a shard still needs; the others' roots say `dropped` now. */
  async releaseVolumes(volumes: readonly string[]): Promise<readonly string[]> {
    const held: string[] = [];
    for (const volume of volumes) {
      for (const { state } of this.#shards.values()) {
        if (!(await releaseVolume(state, volume))) continue;
        held.push(volume);
        break;
      }
    }
    return held;
  }

  async counters(): Promise<Record<string, number>> {
    const sums: Record<string, number> = {
      fragments_recovered: this.#recovered.fragments,
      sections_recovered: this.#recovered.sections,
      fragments_damaged: this.#recovered.damaged,
      ledger_gaps: this.#recovered.gaps,
      head_bytes: 0,
      stack_hits: 0,
      stack_walks: 0,
      dictionary_bytes: 0,
      dictionaries_evicted: this.#evicted,
    };
    const add = (name: string, value: number): void => {
      sums[name] = (sums[name] ?? 0) + value;
    };
    for (const { state, ingest, jobs } of this.#shards.values()) {
      for (const [name, value] of Object.entries({ ...ingest.counters, ...jobs.counters })) {
        add(snakeCase(name), value);
      }
      add('head_bytes', state.head.bytes);
      for (const dictionary of state.dictionaries()) {
        add('stack_hits', dictionary.counters.stackHits);
        add('stack_walks', dictionary.counters.stackWalks);
        add('dictionary_bytes', dictionary.bytesInMemory);
      }
    }
    return sums;
  }

  /** Finishes what was accepted and the jobs that run. */
  async stop(): Promise<void> {
    for (const { ingest } of this.#shards.values()) await ingest.settled();
    await this.#jobs;
  }

  #shard(shard: number): OwnedShard {
    const owned = this.#shards.get(shard);
    if (owned === undefined) throw new TephraError('internal', `shard ${shard} is not owned here`);
    return owned;
  }

  #context(shards: readonly number[]): QueryContext {
    const { clock, timers, limits } = this.#options;
    return {
      shards: shards.map((shard) => this.#shard(shard).state),
      cache: this.#cache,
      raw: this.#raw,
      pause: createPause(clock, timers),
      budget: new QueryBudget(limits.queryBytes),
    };
  }
}

function notesOf(parts: readonly { readonly notes: QueryNotes }[], saturated: boolean): QueryNotes {
  const notes = parts.reduce((sum, part) => addNotes(sum, part.notes), NO_NOTES);
  return { ...notes, saturated: notes.saturated || saturated };
}

/** `pushesStored` as `pushes_stored`. */
function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
