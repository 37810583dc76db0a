import { assert } from '../base/assert.ts';
import type { Timers } from '../base/clock.ts';
import { TephraError } from '../base/errors.ts';
import { Slots } from '../base/slots.ts';
import { shardOf } from '../ingest/route.ts';
import { serviceOf } from '../profile/labels.ts';
import type { PushItem, PushOutcome } from '../ingest/push.ts';
import type {
  StreamBundle,
  StreamOpened,
  StreamOpening,
  StreamTaken,
} from '../ingest/stream/messages.ts';
import { streamLabels } from '../ingest/stream/tables.ts';
import type { Label } from '../profile/labels.ts';
import type { OtlpSplit, OtlpSplitOptions } from '../profile/otlp/split.ts';
import type { SeriesRow } from '../query/labels/series-label.ts';
import { labelNames, labelValues, profileTypes, seriesProjections } from '../query/labels/merge.ts';
import { addLosses, NO_LOSSES } from '../query/losses.ts';
import type {
  Cancelable,
  DiffRequest,
  EncodedAnswer,
  HeatAnswer,
  HeatShape,
  LabelsRequest,
  MergeRequest,
  LossSink,
  NotesSink,
  ProfileStats,
  QueryCost,
  QueryNotes,
  SeriesAnswer,
  SeriesRequest,
  TreeForm,
} from '../query/request.ts';
import { addNotes, NO_NOTES } from '../query/request.ts';
import { parseSelector } from '../query/selector/parse.ts';
import { requiredService } from '../query/selector/required-service.ts';
import { finishSeries } from '../query/series/finish.ts';
import { finishHeat, heatEdges } from '../query/series/heat.ts';
import type { SeriesPart } from '../query/series/part.ts';
import type { BlobStore } from '../storage/blob-store/contract.ts';
import type { Scratch } from '../storage/scratch/scratch.ts';
import { joinCosts } from '../query/execute/cost.ts';
import type { CostRequest } from '../query/execute/cost.ts';
import { joinStats } from '../query/execute/stats.ts';
import type { Engine, NodeStream } from './engine.ts';
import { answerFront } from './answer-front.ts';
import type { HostAnswer, Limits, NamePart, ShardHostApi } from './host-contract.ts';
import type { HostHandle } from './host-handle.ts';
import { QueryGate } from './query-gate.ts';
import { VolumeRetention } from './volume-retention.ts';

/** What the engine is made of. */
export interface ShardedEngineOptions {
  /** Open hosts; together they own each shard once. */
  readonly hosts: readonly HostHandle[];
  readonly shardCount: number;
  readonly timers: Timers;
  readonly limits: Limits;
  /** Where whole volumes past their retention are dropped. */
  readonly store: BlobStore;
  /** Where the hosts put answers that are too large for memory. */
  readonly scratch: Scratch;
  /** Called with all counters after each run of the jobs. */
  readonly onCounters?: ((counters: Record<string, number>) => void) | undefined;
}

/**
 * The engine on the main thread: routes pushes to the hosts that own their shards, spreads queries
 * over the hosts and has the parts joined by one of them. It never decodes a profile nor walks a tree.
 */
export class ShardedEngine implements Engine {
  readonly #hosts: readonly HostHandle[];
  readonly #ownerOf: readonly HostHandle[];
  readonly #options: ShardedEngineOptions;
  readonly #gate: QueryGate;
  readonly #pushes = new Slots<Promise<unknown>>();
  #jobs: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;
  readonly #retention: VolumeRetention;
  #turn = 0;

  constructor(options: ShardedEngineOptions) {
    this.#options = options;
    this.#hosts = options.hosts;
    this.#ownerOf = owners(options.hosts, options.shardCount);
    this.#retention = new VolumeRetention(options.store, options.hosts, options.limits);
    this.#gate = new QueryGate({
      timers: options.timers,
      atOnce: options.limits.queriesAtOnce,
      waitingMax: options.limits.queriesWaitingMax,
      timeoutMs: options.limits.queryTimeoutMs,
    });
  }

  async push(items: readonly PushItem[]): Promise<readonly PushOutcome[]> {
    this.#refuseWhenStopping();
    const groups = new Map<number, { items: PushItem[]; indexes: number[] }>();
    for (const [index, item] of items.entries()) {
      const shard = shardOf(item.tenant, serviceOf(item.labels), this.#options.shardCount);
      const group = groups.get(shard);
      if (group === undefined) groups.set(shard, { items: [item], indexes: [index] });
      else {
        group.items.push(item);
        group.indexes.push(index);
      }
    }
    const outcomes: PushOutcome[] = [];
    const push = async (
      shard: number,
      part: readonly PushItem[],
    ): Promise<readonly PushOutcome[]> => {
      try {
        return await this.#owner(shard).api.push(shard, part);
      } catch (thrown) {
        // The other shards' parts stand; what is sent again here is harmless.
        const error = TephraError.from(thrown).toWire();
        return part.map(() => ({ outcome: 'refused', error }));
      }
    };
    const all = Promise.all(
      [...groups].map(async ([shard, group]) => {
        const part = await push(shard, group.items);
        for (const [at, index] of group.indexes.entries()) {
          outcomes[index] = part[at] as PushOutcome;
        }
      }),
    );
    const place = this.#pushes.add(all);
    try {
      await all;
    } finally {
      void this.#pushes.take(place);
    }
    return outcomes;
  }

  async splitOtlp(request: Uint8Array, options: OtlpSplitOptions): Promise<OtlpSplit> {
    this.#refuseWhenStopping();
    return this.#finisher().splitOtlp(request, options);
  }

  streamShard(tenant: string, labels: readonly Label[]): number {
    return shardOf(tenant, serviceOf(labels), this.#options.shardCount);
  }

  streamLabels(labels: readonly Label[]): readonly Label[] {
    return streamLabels(labels);
  }

  async openStream(shard: number, opening: StreamOpening): Promise<StreamOpened> {
    this.#refuseWhenStopping();
    return this.#owner(shard).api.openStream(shard, opening);
  }

  async takeStream(shard: number, bundle: StreamBundle): Promise<StreamTaken> {
    this.#refuseWhenStopping();
    const taken = this.#owner(shard).api.takeStream(shard, bundle);
    const place = this.#pushes.add(taken);
    try {
      return await taken;
    } finally {
      void this.#pushes.take(place);
    }
  }

  async closeStream(shard: number, call: number): Promise<void> {
    // Of a host that died or stopped there is nothing to close.
    await this.#owner(shard)
      .api.closeStream(shard, call)
      .catch(() => undefined);
  }

  async profileTypes(request: LabelsRequest, losses?: LossSink): Promise<readonly string[]> {
    return profileTypes(await this.#labelRows(request, losses));
  }

  async labelNames(request: LabelsRequest, losses?: LossSink): Promise<readonly string[]> {
    return labelNames(await this.#labelRows(request, losses));
  }

  async labelValues(
    request: LabelsRequest,
    name: string,
    losses?: LossSink,
  ): Promise<readonly string[]> {
    return labelValues(await this.#labelRows(request, losses), name);
  }

  async series(
    request: LabelsRequest,
    names: readonly string[],
    losses?: LossSink,
  ): Promise<readonly (readonly Label[])[]> {
    return seriesProjections(await this.#labelRows(request, losses), names);
  }

  selectSeries(asked: SeriesRequest, notes?: NotesSink): Promise<readonly SeriesAnswer[]> {
    return this.#query(asked, async (request) => {
      const parts = await this.#spread(request.tenant, [request.selector], (api, shards) =>
        api.seriesParts(shards, request),
      );
      notes?.(notesOf(parts));
      return finishSeries(parts, request);
    });
  }

  heatmap(
    asked: SeriesRequest & { readonly heat: HeatShape },
    notes?: NotesSink,
  ): Promise<readonly HeatAnswer[]> {
    return this.#query(asked, async (request) => {
      const read = (heat: HeatShape, exemplars: boolean | undefined): Promise<SeriesPart[]> =>
        this.#spread(request.tenant, [request.selector], (api, shards) =>
          api.seriesParts(shards, { ...request, heat, exemplars }),
        );
      const found = await read(request.heat, false);
      const edges = heatEdges(found, request);
      if (edges === undefined) {
        notes?.(notesOf(found));
        return [];
      }
      const parts = await read({ ...request.heat, edges }, request.exemplars);
      notes?.(notesOf(parts));
      return finishHeat(parts, edges, request);
    });
  }

  flameGraph(asked: MergeRequest): Promise<EncodedAnswer> {
    return this.#query(asked, async (request) => {
      const parts = await this.#mergeNames(request);
      const { signal } = request;
      const maxNodes = this.#maxNodes(request);
      return this.#taken(
        await this.#finisher().finishFlameGraph(parts, maxNodes, { signal }),
        signal,
      );
    });
  }

  pprof(asked: MergeRequest): Promise<EncodedAnswer> {
    return this.#query(asked, async (request) => {
      const parts = await this.#spread(request.tenant, [request.selector], (api, shards) =>
        api.mergeFrames(shards, request),
      );
      return this.#taken(await this.#finisher().finishPprof(parts, request), request.signal);
    });
  }

  tree(asked: MergeRequest, form: TreeForm): Promise<EncodedAnswer> {
    return this.#query(asked, async (request) => {
      const parts = await this.#mergeNames(request);
      const { signal } = request;
      return this.#taken(await this.#finisher().finishTree(parts, form, { signal }), signal);
    });
  }

  nodes(asked: MergeRequest): Promise<NodeStream> {
    return this.#query(asked, async (request) => {
      const parts = await this.#mergeNames(request);
      const host = this.#finisher();
      const maxNodes = this.#maxNodes(request);
      const { signal } = request;
      const { id, nodes, notes } = await host.openNodes(parts, maxNodes, { signal });
      return { nodes, notes, chunks: chunksOf(host, id) };
    });
  }

  async profileStats(tenant: string): Promise<ProfileStats> {
    const range = { startMs: 0, endMs: 0 };
    return this.#query(range, async () => {
      const ask = (api: ShardHostApi, shards: readonly number[]): Promise<ProfileStats> =>
        api.profileStats(shards, tenant);
      return joinStats(await this.#spread(tenant, [], ask));
    });
  }

  queryCost(asked: CostRequest): Promise<QueryCost> {
    return this.#query(asked, async (request) => {
      const parts = await this.#spread(request.tenant, [request.selector], (api, shards) =>
        api.queryCost(shards, request),
      );
      return joinCosts(parts);
    });
  }

  diff({ left, right }: DiffRequest): Promise<EncodedAnswer> {
    return this.#query(left, async ({ signal }) => {
      checkRange(right);
      if (left.profileType !== right.profileType) {
        throw new TephraError(
          'incompatible_profiles',
          `left is ${left.profileType}, right is ${right.profileType}`,
        );
      }
      const sides = [left, right].map((side) => ({ ...side, signal }));
      const selectors = sides.map(({ selector }) => selector);
      const parts = await this.#spread(left.tenant, selectors, (api, shards) =>
        api.mergeSides(shards, sides),
      );
      const answer = await this.#finisher().finishDiff(parts, this.#maxNodes(left), { signal });
      return this.#taken(answer, signal);
    });
  }

  async runJobs(nowMs: number): Promise<void> {
    this.#refuseWhenStopping();
    const run = async (): Promise<void> => {
      const runs = await Promise.allSettled(this.#hosts.map(({ api }) => api.runJobs(nowMs)));
      // Also where they failed: on a full disk this is what makes room.
      await this.#retention.run(nowMs);
      this.#options.onCounters?.(await this.counters());
      for (const job of runs) if (job.status === 'rejected') throw job.reason;
    };
    // One run at a time; a failed one does not keep the next from running.
    this.#jobs = this.#jobs.then(run, run);
    await this.#jobs;
  }

  /** Counters of all hosts, summed by name, and the engine's own. */
  async counters(): Promise<Record<string, number>> {
    const sums: Record<string, number> = {
      volumes_dropped: this.#retention.dropped,
      worker_restarts: 0,
      queries_timed_out: this.#gate.timedOut,
    };
    const add = (name: string, value: number): void => {
      sums[name] = (sums[name] ?? 0) + value;
    };
    await Promise.all(
      this.#hosts.map(async (host) => {
        add('worker_restarts', host.restarts);
        for (const [name, value] of Object.entries(await host.api.counters())) add(name, value);
      }),
    );
    return sums;
  }

  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      const { stopWaitMs } = this.#options.limits;
      const underWay = Promise.allSettled([
        ...this.#pushes.values(),
        this.#jobs,
        this.#gate.idle(),
      ]);
      await this.#within(stopWaitMs, underWay);
      const ended = Promise.all(this.#hosts.map(({ api }) => api.stop()));
      // Nothing that is given up here was acknowledged, or is needed by what was.
      if (!(await this.#within(stopWaitMs, ended))) {
        await Promise.all(this.#hosts.map((host) => host.kill()));
      }
    })();
    return this.#stopped;
  }

  /** Ends all hosts at once, as a crash would: nothing is finished. For tests. */
  async kill(): Promise<void> {
    this.#stopped ??= Promise.resolve();
    await Promise.all(this.#hosts.map((host) => host.kill()));
  }

  /** Waits for `work`, at most so long; resolves to whether it came to its end. */
  #within(waitMs: number, work: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const cancel = this.#options.timers.after(waitMs, () => resolve(false));
      work.then(() => resolve(true), reject).finally(cancel);
    });
  }

  #refuseWhenStopping(): void {
    if (this.#stopped !== undefined) throw new TephraError('draining', 'the engine is stopping');
  }

  /** Runs a query in its turn; its request gets a signal that fires at the deadline too. */
  async #query<R extends Asked, T>(asked: R, query: (request: R) => Promise<T>): Promise<T> {
    this.#refuseWhenStopping();
    checkRange(asked);
    return this.#gate.run((signal) => query({ ...asked, signal }), asked.signal);
  }

  #labelRows(asked: LabelsRequest, losses: LossSink | undefined): Promise<readonly SeriesRow[]> {
    return this.#query(asked, async (request) => {
      const parts = await this.#spread(request.tenant, request.selectors, (api, shards) =>
        api.labelRows(shards, request),
      );
      losses?.(parts.reduce((sum, part) => addLosses(sum, part.losses), NO_LOSSES));
      return parts.flatMap(({ rows }) => rows);
    });
  }

  #mergeNames(request: MergeRequest): Promise<NamePart[]> {
    return this.#spread(request.tenant, [request.selector], (api, shards) =>
      api.mergeNames(shards, request),
    );
  }

  #maxNodes(request: MergeRequest): number {
    return request.maxNodes ?? this.#options.limits.flameGraphNodesDefault;
  }

  /** Asks each host once that owns a shard which the selectors can reach. */
  #spread<T>(
    tenant: string,
    selectors: readonly string[],
    ask: (api: ShardHostApi, shards: readonly number[]) => Promise<T>,
  ): Promise<T[]> {
    const reached = reachedShards(tenant, selectors, this.#options.shardCount);
    const asked: Promise<T>[] = [];
    for (const host of this.#hosts) {
      const shards =
        reached === undefined ? host.shards : host.shards.filter((s) => reached.has(s));
      if (shards.length > 0) asked.push(ask(host.api, shards));
    }
    return Promise.all(asked);
  }

  #owner(shard: number): HostHandle {
    return this.#ownerOf[shard] as HostHandle;
  }

  /** The answer with its front, unless nobody waits for it any more. */
  #taken({ bytes, front, notes }: HostAnswer, signal: AbortSignal | undefined): EncodedAnswer {
    if (front === undefined) return { bytes, notes };
    const file = this.#options.scratch.take(front.file);
    if (signal?.aborted === true) {
      file.close();
      throw TephraError.from(signal.reason);
    }
    return { bytes, front: answerFront(file, front), notes };
  }

  /** The host that joins parts. Any can; they take turns so that none falls behind in its pushes. */
  #finisher(): ShardHostApi {
    this.#turn = (this.#turn + 1) % this.#hosts.length;
    return (this.#hosts[this.#turn] as HostHandle).api;
  }
}

/** What all queries have. */
interface Asked extends Cancelable {
  readonly startMs: number;
  readonly endMs: number;
}

function notesOf(parts: readonly SeriesPart[]): QueryNotes {
  return parts.reduce((sum, part) => addNotes(sum, part.notes ?? NO_NOTES), NO_NOTES);
}

function owners(hosts: readonly HostHandle[], shardCount: number): readonly HostHandle[] {
  const ownerOf: HostHandle[] = [];
  for (const host of hosts) {
    for (const shard of host.shards) {
      assert(ownerOf[shard] === undefined, `shard ${shard} has two owners`);
      ownerOf[shard] = host;
    }
  }
  for (let shard = 0; shard < shardCount; shard++) {
    assert(ownerOf[shard] !== undefined, `shard ${shard} has no owner`);
  }
  return ownerOf;
}

/** The chunks of an open tree; closes it when its reader stops early. */
async function* chunksOf(host: ShardHostApi, id: number): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const chunk = await host.readNodes(id);
      if (chunk === null) return;
      yield chunk;
    }
  } finally {
    await host.closeNodes(id).catch(() => undefined);
  }
}

/** The shards that can hold a series which one of the selectors matches; undefined = all. */
function reachedShards(
  tenant: string,
  selectors: readonly string[],
  shardCount: number,
): ReadonlySet<number> | undefined {
  const shards = new Set<number>();
  for (const selector of selectors) {
    const services = requiredService(parseSelector(selector));
    if (services === undefined) return undefined;
    for (const service of services) shards.add(shardOf(tenant, service, shardCount));
  }
  return selectors.length === 0 ? undefined : shards;
}

function checkRange(range: { readonly startMs: number; readonly endMs: number }): void {
  if (range.endMs < range.startMs) {
    throw new TephraError(
      'invalid_time_range',
      `the range ends at ${range.endMs}, before its start ${range.startMs}`,
    );
  }
}
