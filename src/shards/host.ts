import { TephraError } from '../base/errors.ts';
import { createPause, type Pause } from '../base/slice.ts';
import { inSlices, type Steps } from '../base/steps.ts';
import { HOUR_MS } from '../base/time.ts';
import { Acceptor } from '../ingest/accept.ts';
import { MarkerLookup } from '../ingest/markers.ts';
import type { PushItem, PushOutcome } from '../ingest/push.ts';
import { ShardIngest } from '../ingest/shard-ingest.ts';
import { StreamBudget } from '../ingest/stream/budget.ts';
import type {
  StreamBundle,
  StreamOpened,
  StreamOpening,
  StreamTaken,
} from '../ingest/stream/messages.ts';
import { StreamIngest } from '../ingest/stream/stream-ingest.ts';
import { createStreamReaders } from '../ingest/stream/stream-shard.ts';
import { streamLimits } from './stream-limits.ts';
import { evictDictionaries } from '../jobs/eviction.ts';
import { releaseVolume } from '../jobs/retention.ts';
import { ShardJobs } from '../jobs/shard-jobs.ts';
import { type OtlpSplit, type OtlpSplitOptions, splitOtlp } from '../profile/otlp/split.ts';
import { parseProfileType } from '../profile/profile-type.ts';
import { encodeDiff } from '../query/encode/diff.ts';
import { encodeFlameGraph } from '../query/encode/flame-graph.ts';
import { NodeChunks } from '../query/encode/node-chunks.ts';
import { encodePprof, type PprofHeader } from '../query/encode/pprof.ts';
import type { EncodedMessage, Overflow } from '../query/encode/proto-writer.ts';
import { keepBelow } from '../query/execute/call-site.ts';
import { QueryBudget } from '../query/execute/context.ts';
import type { QueryContext } from '../query/execute/context.ts';
import { labelRows } from '../query/execute/label-rows.ts';
import type { LabelPart } from '../query/execute/label-rows.ts';
import { queryCost } from '../query/execute/cost.ts';
import type { CostRequest } from '../query/execute/cost.ts';
import { mergeSides, mergeSums } from '../query/execute/merge.ts';
import { Losses } from '../query/losses.ts';
import { RawPushes } from '../query/execute/raw-pushes.ts';
import { profileStats } from '../query/execute/stats.ts';
import { timelinePart } from '../query/execute/timeline.ts';
import { addNotes, NO_NOTES } from '../query/request.ts';
import type {
  Cancelable,
  LabelsRequest,
  MergeRequest,
  ProfileStats,
  QueryCost,
  SeriesRequest,
  TreeForm,
} from '../query/request.ts';
import type { SeriesPart } from '../query/series/part.ts';
import { joinFrameTrees } from '../query/tree/join-frames.ts';
import { shapeForGoPgo } from '../query/tree/go-pgo.ts';
import type { SidedTree } from '../query/tree/name-tree.ts';
import { asSide, joinSidedTrees } from '../query/tree/join.ts';
import { type Lanes, NO_LANES } from '../query/tree/lanes.ts';
import { sidedTreeOf } from '../query/tree/name-tree-of.ts';
import { damagedNameTree, weighFrames, weighSides } from '../query/tree/weights.ts';
import { RootCachingStore } from '../storage/blob-store/root-cache.ts';
import { BlockCache } from '../storage/block/cache.ts';
import type { Dictionary } from '../storage/dictionary/dictionary.ts';
import { recoverShard } from '../storage/shard/recover.ts';
import { ShardState } from '../storage/shard/shard-state.ts';
import { encodeSpilling, type Spilled } from './answer-spill.ts';
import type {
  FramePart,
  HostAnswer,
  NamePart,
  OpenNodes,
  ShardHostApi,
  ShardHostOptions,
  SidedPart,
} from './host-contract.ts';
import {
  encodedAs,
  frameTreeOfAll,
  joined,
  nameTreeOfAll,
  notesOf,
  showsDamage,
} from './host-trees.ts';

interface OwnedShard {
  readonly state: ShardState;
  readonly ingest: ShardIngest;
  readonly streams: StreamIngest;
  readonly jobs: ShardJobs;
}

/** A tree that is read in chunks; `forget` cancels the timer that ends it. */
interface OpenTree {
  readonly chunks: NodeChunks;
  forget: () => void;
}

/** Ids of open trees of one incarnation. */
const TREES_PER_INCARNATION = 2 ** 24;

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
  readonly #store: RootCachingStore;
  readonly #cache: BlockCache;
  readonly #raw = new RawPushes();
  #jobs: Promise<void> = Promise.resolve();
  #evicted = 0;
  /** Trees that are read in chunks, by id. */
  readonly #openTrees = new Map<number, OpenTree>();
  #treesOpening = 0;
  #treesOpened = 0;
  readonly #recovered = { fragments: 0, sections: 0, damaged: 0 };

  constructor(options: ShardHostOptions) {
    this.#options = options;
    this.#store = new RootCachingStore(options.store, options.limits.rootCacheBytes);
    this.#cache = new BlockCache(options.limits.pageCacheBytes);
  }

  /** Rebuilds what its shards keep in memory from the store. */
  async open(nowMs: number): Promise<void> {
    const { shardCount, incarnation, random, clock, timers, limits } = this.#options;
    const store = this.#store;
    const acceptor = new Acceptor({
      profileBytesMax: limits.profileBytesMax,
      pastMs: limits.minutesRetentionMs,
      futureMs: limits.futureMs,
    });
    const markers = new MarkerLookup(store);
    const perShard = Math.max(1, this.#options.shards.length);
    const readers = createStreamReaders();
    const budget = new StreamBudget(limits.streamStateBytes);
    for (const shard of this.#options.shards) {
      const state = new ShardState({ shard, shardCount, incarnation, store, random });
      const found = await recoverShard(state);
      this.#recovered.fragments += found.fragments;
      this.#recovered.sections += found.sections;
      this.#recovered.damaged += found.damaged.length;
      const ingest = new ShardIngest({
        state,
        acceptor,
        markers,
        clock,
        timers,
        openedMs: nowMs,
        rules: {
          profileBytesMax: limits.profileBytesMax,
          pastMs: limits.minutesRetentionMs,
          futureMs: limits.futureMs,
          flushBytes: limits.flushBytes,
          flushLingerMs: limits.flushLingerMs,
          doubtWaitMs: limits.doubtWaitMs,
          ownsPayloads: this.#options.ownsArguments === true,
          duplicateSpanMs: HOUR_MS,
          duplicateEntriesMax: Math.max(
            1_000,
            Math.floor(limits.duplicateSetBytes / perShard / IDENTITY_MEMORY_BYTES),
          ),
        },
      });
      const streams = new StreamIngest({
        state,
        writer: ingest.writer,
        readers,
        budget,
        clock,
        timers,
        rules: {
          pastMs: limits.minutesRetentionMs,
          futureMs: limits.futureMs,
          limits: streamLimits(limits),
          knownMax: Math.max(1, Math.floor(limits.streamsKnownMax / perShard)),
          idleMs: limits.streamIdleMs,
        },
      });
      this.#shards.set(shard, {
        state,
        ingest,
        streams,
        jobs: new ShardJobs(state, clock, timers, {
          absorbBytes: limits.absorbBytes,
          absorbFragments: limits.absorbFragments,
          hourCloseDelayMs: limits.hourCloseDelayMs,
          lateIntervalMs: limits.lateIntervalMs,
          unrolledBlocksPerHourMax: limits.unrolledBlocksPerHourMax,
          segmentBytes: limits.segmentBytes,
          graceMs: limits.graceMs,
        }),
      });
    }
  }

  async push(shard: number, items: readonly PushItem[]): Promise<readonly PushOutcome[]> {
    return this.#shard(shard).ingest.push(items);
  }

  async splitOtlp(request: Uint8Array, options: OtlpSplitOptions): Promise<OtlpSplit> {
    return inSlices(splitOtlp(request, options, this.#options.limits), this.#pause(undefined));
  }

  async openStream(shard: number, opening: StreamOpening): Promise<StreamOpened> {
    return this.#shard(shard).streams.open(opening);
  }

  async takeStream(shard: number, bundle: StreamBundle): Promise<StreamTaken> {
    const reports = await this.#shard(shard).streams.take(bundle);
    return { reports, bytes: bundle.bytes };
  }

  async closeStream(shard: number, call: number): Promise<void> {
    this.#shard(shard).streams.close(call);
  }

  async labelRows(shards: readonly number[], request: LabelsRequest): Promise<LabelPart> {
    return labelRows(this.#context(shards, request.signal), request);
  }

  async seriesParts(shards: readonly number[], request: SeriesRequest): Promise<SeriesPart> {
    return timelinePart(this.#context(shards, request.signal), request);
  }

  async mergeNames(shards: readonly number[], request: MergeRequest): Promise<NamePart> {
    const context = this.#context(shards, request.signal);
    const merged = await mergeSums(context, request);
    const tree = await inSlices(nameTreeOfAll(merged, request), context.pause);
    return { tree, notes: merged.notes, instants: merged.instants };
  }

  async mergeSides(shards: readonly number[], sides: readonly MergeRequest[]): Promise<SidedPart> {
    const sums = new Map<Dictionary, Lanes[]>();
    const trees: SidedTree[] = [];
    const pause = this.#pause(sides[0]?.signal);
    let notes = NO_NOTES;
    const contexts = sides.map(({ signal }) => this.#context(shards, signal));
    for (const [i, merged] of (await mergeSides(contexts, sides)).entries()) {
      const request = sides[i] as MergeRequest;
      notes = addNotes(notes, merged.notes);
      for (const part of merged.parts) {
        const { dictionary } = part;
        const lanes = sums.get(dictionary) ?? sides.map(() => NO_LANES);
        const kept = keepBelow(dictionary, part.sums.finish(), request.callSite);
        lanes[i] = await inSlices(kept, pause);
        sums.set(dictionary, lanes);
      }
      if (showsDamage(merged.damagedValue, request)) {
        trees.push(asSide(damagedNameTree(merged.damagedValue), i, sides.length));
      }
    }
    const isJoined = sums.size + trees.length > 1;
    for (const [dictionary, lanes] of sums) {
      trees.push(await inSlices(sidedTreeOf(dictionary, lanes, isJoined), pause));
    }
    return { tree: await inSlices(joinSidedTrees(trees, sides.length), pause), notes };
  }

  async mergeFrames(shards: readonly number[], request: MergeRequest): Promise<FramePart> {
    const context = this.#context(shards, request.signal);
    const merged = await mergeSums(context, request);
    const tree = await inSlices(frameTreeOfAll(merged, request), context.pause);
    return { tree, notes: merged.notes, instants: merged.instants };
  }

  async finishFlameGraph(
    parts: readonly NamePart[],
    maxNodes: number,
    { signal }: Cancelable,
  ): Promise<HostAnswer> {
    const pause = this.#pause(signal);
    const { tree, weights } = await inSlices(joined(parts), pause);
    const encoded = await this.#encode((to) => encodeFlameGraph(tree, maxNodes, to), pause);
    return answerOf(encoded, notesOf(parts, [weights], encoded));
  }

  async finishTree(
    parts: readonly NamePart[],
    form: TreeForm,
    { signal }: Cancelable,
  ): Promise<HostAnswer> {
    const pause = this.#pause(signal);
    const { tree, weights } = await inSlices(joined(parts), pause);
    const encoded = await this.#encode((to) => encodedAs(form, tree, to), pause);
    return answerOf(encoded, notesOf(parts, [weights], encoded));
  }

  async openNodes(
    parts: readonly NamePart[],
    maxNodes: number,
    { signal }: Cancelable,
  ): Promise<OpenNodes> {
    const { openTreesMax, treeChunkBytes } = this.#options.limits;
    if (this.#openTrees.size + this.#treesOpening >= openTreesMax) {
      throw new TephraError('too_many_queries', `${openTreesMax} trees are being read in chunks`);
    }
    this.#treesOpening++;
    try {
      const pause = this.#pause(signal);
      const { tree, weights } = await inSlices(joined(parts), pause);
      const chunks = await inSlices(NodeChunks.of(tree, maxNodes, treeChunkBytes), pause);
      // Unlike those of a host that died: a reader must never get another's tree.
      const id = this.#options.incarnation * TREES_PER_INCARNATION + this.#treesOpened++;
      this.#openTrees.set(id, { chunks, forget: this.#forgetLater(id) });
      return { id, nodes: chunks.nodes, notes: notesOf(parts, [weights], chunks) };
    } finally {
      this.#treesOpening--;
    }
  }

  async readNodes(id: number): Promise<Uint8Array | null> {
    const open = this.#openTrees.get(id);
    if (open === undefined) throw new TephraError('worker_died', 'the tree is no longer open');
    open.forget();
    const bytes = open.chunks.next();
    if (bytes === undefined) this.#openTrees.delete(id);
    else open.forget = this.#forgetLater(id);
    return bytes ?? null;
  }

  async closeNodes(id: number): Promise<void> {
    this.#openTrees.get(id)?.forget();
    this.#openTrees.delete(id);
  }

  async profileStats(shards: readonly number[], tenant: string): Promise<ProfileStats> {
    return profileStats(this.#context(shards), tenant);
  }

  async queryCost(shards: readonly number[], request: CostRequest): Promise<QueryCost> {
    return queryCost(this.#context(shards, request.signal), request);
  }

  async finishDiff(
    parts: readonly SidedPart[],
    maxNodes: number,
    { signal }: Cancelable,
  ): Promise<HostAnswer> {
    const pause = this.#pause(signal);
    const joint = joinSidedTrees(
      parts.map(({ tree }) => tree),
      2,
    );
    const { tree, weights } = await inSlices(weighSides(await inSlices(joint, pause)), pause);
    const encoded = await this.#encode((to) => encodeDiff(tree, maxNodes, to), pause);
    return answerOf(encoded, notesOf(parts, weights, encoded));
  }

  async finishPprof(parts: readonly FramePart[], request: MergeRequest): Promise<HostAnswer> {
    const pause = this.#pause(request.signal);
    const whole = await inSlices(joinFrameTrees(parts.map(({ tree }) => tree)), pause);
    const weights = await inSlices(weighFrames(whole), pause);
    const { goPgo } = request;
    const tree = goPgo === undefined ? whole : await inSlices(shapeForGoPgo(whole, goPgo), pause);
    const header: PprofHeader = {
      type: parseProfileType(request.profileType),
      timeNanos: BigInt(Math.floor(request.startMs)) * NANOS,
      durationNanos: BigInt(Math.max(0, Math.floor(request.endMs - request.startMs))) * NANOS,
      period: 0n,
      within: request.within,
    };
    const encoded = await this.#encode((to) => encodePprof(tree, header, to), pause);
    return answerOf(encoded, notesOf(parts, [weights], { ...encoded, foldedValue: 0n }));
  }

  /** One run after the other: two absorbs of a partition at once would only lose each other's race. */
  async runJobs(nowMs: number): Promise<void> {
    const run = this.#jobs.then(async () => {
      const states = [...this.#shards.values()].map(({ state }) => state);
      const headBytes = states.reduce((sum, { head }) => sum + head.bytes, 0);
      const crowded = headBytes > this.#options.limits.headBytes;
      const failures: unknown[] = [];
      for (const { jobs } of this.#shards.values()) {
        await jobs.run(nowMs, crowded).catch((thrown: unknown) => failures.push(thrown));
      }
      this.#evicted += evictDictionaries(states, this.#options.limits.dictionaryBytes);
      if (failures.length > 0) throw TephraError.from(failures[0]);
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
      head_bytes: 0,
      stack_hits: 0,
      stack_walks: 0,
      dictionary_bytes: 0,
      dictionaries_evicted: this.#evicted,
    };
    const add = (name: string, value: number): void => {
      sums[name] = (sums[name] ?? 0) + value;
    };
    for (const { state, ingest, streams, jobs } of this.#shards.values()) {
      for (const counters of [ingest.counters, streams.counters, jobs.counters]) {
        for (const [name, value] of Object.entries(counters)) add(snakeCase(name), value);
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
    for (const id of this.#openTrees.keys()) await this.closeNodes(id);
    await Promise.all([...this.#shards.values()].map(({ ingest }) => ingest.stop()));
    await this.#jobs;
  }

  #forgetLater(id: number): () => void {
    const { timers, limits } = this.#options;
    return timers.after(limits.openTreeIdleMs, () => this.#openTrees.delete(id));
  }

  #shard(shard: number): OwnedShard {
    const owned = this.#shards.get(shard);
    if (owned === undefined) throw new TephraError('internal', `shard ${shard} is not owned here`);
    return owned;
  }

  /** Yields after each slice, and ends work that nobody waits for. */
  #pause(signal: AbortSignal | undefined): Pause {
    const { clock, timers } = this.#options;
    return createPause(clock, timers, () => {
      if (signal?.aborted === true) throw TephraError.from(signal.reason);
    });
  }

  #encode<T extends EncodedMessage>(
    encode: (overflow: Overflow) => Steps<T>,
    pause: Pause,
  ): Promise<Spilled<T>> {
    const { scratch, limits } = this.#options;
    return encodeSpilling(encode, pause, scratch, limits);
  }

  #context(shards: readonly number[], signal?: AbortSignal): QueryContext {
    const { limits } = this.#options;
    return {
      shards: shards.map((shard) => this.#shard(shard).state),
      cache: this.#cache,
      expectRoot: (name) => void this.#store.readRoot(name).catch(() => {}),
      raw: this.#raw,
      pause: this.#pause(signal),
      budget: new QueryBudget(limits.queryBytes, limits.rawQueryBytes),
      losses: new Losses(),
    };
  }
}

function answerOf(
  { bytes, front }: Spilled<EncodedMessage>,
  notes: HostAnswer['notes'],
): HostAnswer {
  return { bytes, front, notes };
}

/** `pushesStored` as `pushes_stored`. */
function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
