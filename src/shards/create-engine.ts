import { tmpdir } from 'node:os';
import { assert } from '../base/assert.ts';
import type { Clock, Timers } from '../base/clock.ts';
import { TephraError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { systemFileSystem } from '../base/file-system.ts';
import type { Random } from '../base/random.ts';
import type { BlobStore } from '../storage/blob-store/contract.ts';
import { Scratch } from '../storage/scratch/scratch.ts';
import type { Limits } from './host-contract.ts';
import { inlineHandle, type HostHandle, type HostLogger } from './host-handle.ts';
import { ShardHost } from './host.ts';
import { ShardedEngine } from './sharded-engine.ts';
import { startWorker } from './worker-handle.ts';

/** What an engine is made of. */
export interface CreateEngineOptions {
  /** Stays the caller's: `stop` does not close it. */
  readonly store: BlobStore;
  /** Where answers go that are too large for memory; the system's folder for such files unless given. */
  readonly scratch?: Scratch | undefined;
  /** Worker threads; 0 = everything in this thread. More than there are shards is cut. */
  readonly workers: number;
  /** Shards in all, LIMITS.shardCount unless given. Part of what is on disk. */
  readonly shardCount?: number | undefined;
  /** Never used before over this store. */
  readonly incarnation: number;
  /** The same for a worker that is started again; without it a dead worker stays dead. */
  readonly nextIncarnation?: (() => Promise<number>) | undefined;
  /** For this thread and for inline hosts; worker threads have the machine's. */
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Limits that differ from LIMITS. Budgets of memory are those of all workers together. */
  readonly limits?: Partial<Limits> | undefined;
  /** Compiled entry of a worker thread; `worker.js` beside this file unless given. */
  readonly workerEntry?: URL | undefined;
  readonly logger?: HostLogger | undefined;
  /** Called with all counters after each run of the jobs. */
  readonly onCounters?: ((counters: Record<string, number>) => void) | undefined;
}

/**
 * Starts the engine: shard s belongs to worker s mod W. Resolves when all hosts have opened their
 * shards; rejects, with nothing left running, if one cannot.
 */
export async function createEngine(options: CreateEngineOptions): Promise<ShardedEngine> {
  const { timers, onCounters } = options;
  const shardCount = options.shardCount ?? LIMITS.shardCount;
  assert(shardCount > 0 && options.workers >= 0, 'counts of shards and workers');
  const limits: Limits = { ...LIMITS, ...options.limits };
  const { store } = options;
  const scratch = options.scratch ?? temporaryScratch(options);
  const hosts = await startHosts(options, shardCount, limits, scratch);
  return new ShardedEngine({ hosts, shardCount, store, scratch, timers, limits, onCounters });
}

async function startHosts(
  options: CreateEngineOptions,
  shardCount: number,
  limits: Limits,
  scratch: Scratch,
): Promise<readonly HostHandle[]> {
  const { store, incarnation, clock, timers, random } = options;
  if (options.workers === 0) {
    const shards = Array.from({ length: shardCount }, (_, shard) => shard);
    const host = new ShardHost({
      store,
      scratch: scratch.writer(),
      shards,
      shardCount,
      incarnation,
      clock,
      timers,
      random,
      limits,
    });
    await host.open(clock.nowMs());
    return [inlineHandle(shards, host)];
  }
  const workers = Math.min(options.workers, shardCount);
  const starts = await Promise.allSettled(
    Array.from({ length: workers }, (_, worker) =>
      startWorker({
        entry: options.workerEntry ?? new URL('worker.js', import.meta.url),
        store,
        scratch,
        shards: shardsOf(worker, workers, shardCount),
        shardCount,
        limits: shareOf(limits, workers),
        incarnation,
        nextIncarnation: options.nextIncarnation,
        clock,
        timers,
        logger: options.logger,
      }),
    ),
  );
  const hosts: HostHandle[] = [];
  const failures: unknown[] = [];
  for (const start of starts) {
    if (start.status === 'fulfilled') hosts.push(start.value);
    else failures.push(start.reason);
  }
  if (failures.length > 0) {
    await Promise.all(hosts.map((host) => host.kill()));
    throw TephraError.from(failures[0]);
  }
  return hosts;
}

function temporaryScratch({ timers, random }: CreateEngineOptions): Scratch {
  return new Scratch({ directory: tmpdir(), fs: systemFileSystem, timers, random });
}

function shardsOf(worker: number, workers: number, shardCount: number): number[] {
  const shards: number[] = [];
  for (let shard = worker; shard < shardCount; shard += workers) shards.push(shard);
  return shards;
}

/** One worker's share of the budgets that hold for all workers together. */
function shareOf(limits: Limits, workers: number): Limits {
  const share = (bytes: number): number => Math.floor(bytes / workers);
  return {
    ...limits,
    dictionaryBytes: share(limits.dictionaryBytes),
    headBytes: share(limits.headBytes),
    duplicateSetBytes: share(limits.duplicateSetBytes),
    pageCacheBytes: share(limits.pageCacheBytes),
    rootCacheBytes: share(limits.rootCacheBytes),
    queryBytes: share(limits.queryBytes),
    streamStateBytes: share(limits.streamStateBytes),
  };
}
