import { fileURLToPath } from 'node:url';
import { MessageChannel, Worker } from 'node:worker_threads';
import { sleep } from '../base/clock.ts';
import { TephraError } from '../base/errors.ts';
import type { BlobStore } from '../storage/blob-store/contract.ts';
import type { Scratch, ScratchWriter } from '../storage/scratch/scratch.ts';
import { GIVEN_ARGUMENTS, GIVEN_SCRATCH, type Limits, type ShardHostApi } from './host-contract.ts';
import type { HandleTime, HostHandle, HostLogger } from './host-handle.ts';
import { connect, serve } from './rpc.ts';
import type { WorkerStart } from './worker.ts';

/** What a worker is started with. */
export interface WorkerHandleOptions extends HandleTime {
  readonly entry: URL;
  readonly store: BlobStore;
  readonly scratch: Scratch;
  readonly shards: readonly number[];
  readonly shardCount: number;
  readonly limits: Limits;
  readonly incarnation: number;
  /**
   * A number for a worker that is started again. Without it a dead worker stays dead: its fragments
   * must never be numbered on, a put of it may still be under way.
   */
  readonly nextIncarnation?: (() => Promise<number>) | undefined;
  readonly logger?: HostLogger | undefined;
}

/** Wait before a worker whose start failed is started again; doubled up to the second figure. */
const RESTART_WAIT_MS = 100;
const RESTART_WAIT_MAX_MS = 5_000;

/** Starts a worker thread and opens its host. Rejects if the first start fails. */
export async function startWorker(options: WorkerHandleOptions): Promise<HostHandle> {
  const handle = new WorkerHandle(options);
  await handle.start();
  return handle;
}

class WorkerHandle implements HostHandle {
  readonly shards: readonly number[];
  readonly api: ShardHostApi;
  readonly #options: WorkerHandleOptions;
  #restarts = 0;
  #ended = false;
  #worker: Worker | undefined;
  /** The open host, or why there will be none. */
  #ready: Promise<ShardHostApi> = Promise.reject(new TephraError('starting', 'not started'));

  constructor(options: WorkerHandleOptions) {
    this.#options = options;
    this.shards = options.shards;
    this.#ready.catch(() => {});
    const call =
      <Args extends unknown[], R>(pick: (api: ShardHostApi) => (...args: Args) => Promise<R>) =>
      async (...args: Args): Promise<R> =>
        pick(await this.#ready)(...args);
    this.api = {
      open: () => this.#ready.then(() => undefined),
      push: call((api) => api.push),
      splitOtlp: call((api) => api.splitOtlp),
      openStream: call((api) => api.openStream),
      takeStream: call((api) => api.takeStream),
      closeStream: call((api) => api.closeStream),
      labelRows: call((api) => api.labelRows),
      seriesParts: call((api) => api.seriesParts),
      mergeNames: call((api) => api.mergeNames),
      mergeSides: call((api) => api.mergeSides),
      mergeFrames: call((api) => api.mergeFrames),
      finishFlameGraph: call((api) => api.finishFlameGraph),
      finishTree: call((api) => api.finishTree),
      openNodes: call((api) => api.openNodes),
      readNodes: call((api) => api.readNodes),
      closeNodes: call((api) => api.closeNodes),
      profileStats: call((api) => api.profileStats),
      queryCost: call((api) => api.queryCost),
      finishDiff: call((api) => api.finishDiff),
      finishPprof: call((api) => api.finishPprof),
      runJobs: call((api) => api.runJobs),
      releaseVolumes: call((api) => api.releaseVolumes),
      counters: call((api) => api.counters),
      stop: async () => {
        this.#ended = true;
        await (await this.#ready).stop();
        await this.#worker?.terminate();
      },
    };
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** The first start. */
  async start(): Promise<void> {
    this.#ready = this.#launch(this.#options.incarnation);
    await this.#ready;
  }

  async kill(): Promise<void> {
    this.#ended = true;
    await this.#worker?.terminate();
  }

  /** One thread: resolves when its host is open, and sees to its end. */
  async #launch(incarnation: number): Promise<ShardHostApi> {
    const { entry, store, scratch, shards, shardCount, limits, clock, logger } = this.#options;
    const toHost = new MessageChannel();
    const toStore = new MessageChannel();
    const toScratch = new MessageChannel();
    const start: WorkerStart = {
      hostPort: toHost.port2,
      storePort: toStore.port2,
      scratchPort: toScratch.port2,
      options: { shards, shardCount, incarnation, limits },
    };
    const served = serve<BlobStore>(toStore.port1, store, ['get']);
    const spilled = scratch.writer();
    serve<ScratchWriter>(toScratch.port1, spilled, GIVEN_SCRATCH);
    const worker = new Worker(fileURLToPath(entry), {
      workerData: start,
      transferList: [toHost.port2, toStore.port2, toScratch.port2],
      name: `tephra-shards-${shards[0] ?? 0}`,
    });
    this.#worker = worker;
    worker.on('error', (error) => logger?.error({ err: error, shards }, 'a worker thread failed'));
    let opened = false;
    const { api } = connect<ShardHostApi>(toHost.port1, GIVEN_ARGUMENTS, () => {
      // Of what it was writing nothing will be asked for.
      spilled.end();
      if (!opened || this.#ended) return;
      // What the dead host had under way in the store must land before the next one looks there.
      this.#ready = Promise.all([worker.terminate(), served.ended]).then(() => this.#relaunch());
      // Calls that wait for it see the failure; without any it is logged only.
      this.#ready.catch(() => {});
    });
    try {
      await api.open(clock.nowMs());
    } catch (error) {
      await worker.terminate();
      await served.ended;
      throw TephraError.from(error);
    }
    opened = true;
    return api;
  }

  async #relaunch(): Promise<ShardHostApi> {
    const { nextIncarnation, timers, logger, shards } = this.#options;
    for (let waitMs = RESTART_WAIT_MS; ; waitMs = Math.min(waitMs * 2, RESTART_WAIT_MAX_MS)) {
      if (this.#ended) throw new TephraError('draining', 'the engine is stopping');
      if (nextIncarnation === undefined) {
        throw new TephraError('worker_died', 'the worker thread ended and cannot be started again');
      }
      this.#restarts++;
      logger?.info({ shards, restarts: this.#restarts }, 'a worker thread is started again');
      try {
        return await this.#launch(await nextIncarnation());
      } catch (error) {
        logger?.error({ err: error, shards }, 'a worker thread did not start');
        await sleep(timers, waitMs);
      }
    }
  }
}
