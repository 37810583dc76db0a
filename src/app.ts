import { startSelfProfile } from './agent/self.ts';
import type { Clock, Timers } from './base/clock.ts';
import { isErrorLike, TephraError } from './base/errors.ts';
import type { FileSystem } from './base/file-system.ts';
import type { Logger } from './base/logger.ts';
import type { Metrics } from './base/metrics.ts';
import type { Random } from './base/random.ts';
import { defaultWorkers } from './config/cores.ts';
import { budgetBytes } from './config/memory.ts';
import type { Config } from './config/schema.ts';
import { formatAddress, type ListenAddress } from './config/values.ts';
import type { Pressure } from './server/body/governor.ts';
import type { TlsIdentity } from './server/port/port.ts';
import { startServer, type RunningServer } from './server/server.ts';
import { createEngine } from './shards/create-engine.ts';
import type { Engine } from './shards/engine.ts';
import type { ShardedEngine } from './shards/sharded-engine.ts';
import { openDataDirectory, type DataDirectory } from './storage/data-directory/data-directory.ts';
import { startScrub } from './storage/verify/scrub.ts';

/** What the machine gives to the application. */
export interface AppDeps {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly fs: FileSystem;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Cores that may be used: decides the number of workers where the configuration does not. */
  readonly cores: number;
  /** Bytes of memory that may be used: the budgets are held against it. */
  readonly memoryBytes: number;
  /** Files of the page that `/` shows, by name; none unless given. */
  readonly page?: ReadonlyMap<string, Uint8Array> | undefined;
  /** Of Tephra, as the port tells it; '' unless given. */
  readonly version?: string | undefined;
  /** Whether the process is the server's own: only then may it profile itself. */
  readonly ownsProcess?: boolean | undefined;
  /** Compiled entry of a worker thread, if it is not beside src/shards/create-engine. */
  readonly workerEntry?: URL | undefined;
}

/** A running application. */
export interface App {
  readonly address: ListenAddress;
  /** Real path of the data directory. */
  readonly dataDir: string;
  readonly workers: number;
  readonly engine: Engine;
  /** Reads the certificate again; without TLS, nothing. Throws `invalid_configuration`. */
  reloadTls(): Promise<void>;
  /** Finishes what was accepted, makes it durable and lets go of the directory. Idempotent. */
  stop(): Promise<void>;
}

/** Time between two saves of the ledger: what may be lost unseen is what came after the last. */
const UPKEEP_INTERVAL_MS = 1_000;

/** Says so where the budgets add up to more than there is: it serves, but may be ended when they fill. */
function warnOfMemory(config: Config, { logger, memoryBytes }: AppDeps): void {
  const budgets = budgetBytes(config.maxInFlight, config.pageCache);
  if (budgets <= memoryBytes) return;
  logger.warn('the budgets of memory add up to more than this machine gives', {
    budgetBytes: budgets,
    memoryBytes,
  });
}

/** Time between two looks at which jobs are due. */
const JOBS_INTERVAL_MS = 2_000;

/**
 * Puts Tephra together: data directory, engine, port, jobs; and takes it apart in the opposite
 * order. If one of them cannot start, those before it are stopped and its TephraError is thrown.
 */
export async function startApp(config: Config, deps: AppDeps): Promise<App> {
  const { clock, logger } = deps;
  const startedMs = clock.monotonicMs();
  const workers = config.workers ?? defaultWorkers(deps.cores);
  warnOfMemory(config, deps);
  const undo: (() => Promise<void>)[] = [];
  try {
    const directory = await openDirectory(config, deps);
    undo.unshift(() => directory.close());
    const upkeep = startUpkeep(config, deps, directory);
    undo.unshift(() => upkeep.stop());
    const engine = await openEngine(config, deps, directory, workers);
    undo.unshift(() => engine.stop());
    const jobs = startJobs(engine, deps);
    undo.unshift(() => jobs.stop());
    const server = await openServer(config, deps, engine, directory);
    undo.unshift(() => server.stop(config.drainTimeout));
    await directory.announce(formatAddress(server.address));
    logger.info('listening', {
      address: formatAddress(server.address),
      dataDir: directory.path,
      workers,
      startMs: Math.round(clock.monotonicMs() - startedMs),
    });
    if (profilesItself(config, deps)) {
      const log = logger.child({ part: 'self-profile' });
      const self = startSelfProfile({ url: selfUrl(config, server.address), log });
      undo.unshift(() => self.stop());
    }
    let stopped: Promise<void> | undefined;
    return {
      address: server.address,
      dataDir: directory.path,
      workers,
      engine,
      async reloadTls() {
        const identity = await readTls(config, deps.fs);
        if (identity === undefined) return;
        server.setTls(identity);
        logger.info('the certificate was read again');
      },
      stop: () => (stopped ??= inOrder(undo)),
    };
  } catch (error) {
    await inOrder(undo).catch((second: unknown) => {
      logger.error('what had started did not stop cleanly', { detail: String(second) });
    });
    throw error;
  }
}

function profilesItself({ selfProfile }: Config, { ownsProcess }: AppDeps): boolean {
  return selfProfile && ownsProcess === true;
}

/** Where this machine reaches the server. */
function selfUrl(config: Config, { host, port }: ListenAddress): string {
  const near = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const scheme = config.tlsCert === undefined ? 'http' : 'https';
  return `${scheme}://${formatAddress({ host: near, port })}`;
}

function openDirectory(config: Config, deps: AppDeps): Promise<DataDirectory> {
  const { fs, clock, timers, random } = deps;
  return openDataDirectory({
    path: config.dataDir,
    fs,
    clock,
    timers,
    random,
    ballastBytes: config.ballast,
  });
}

function openEngine(
  config: Config,
  deps: AppDeps,
  directory: DataDirectory,
  workers: number,
): Promise<ShardedEngine> {
  const { clock, timers, random, logger, metrics } = deps;
  return createEngine({
    store: directory.store,
    scratch: directory.scratch,
    workers,
    incarnation: directory.incarnation,
    nextIncarnation: () => directory.nextIncarnation(),
    clock,
    timers,
    random,
    workerEntry:
      deps.workerEntry ??
      (profilesItself(config, deps) ? new URL('worker.js', import.meta.url) : undefined),
    limits: {
      rawRetentionMs: config.retentionRaw,
      minutesRetentionMs: config.retentionMinutes,
      futureMs: config.allowedFuture,
      bodyBytesMax: config.maxBody,
      inFlightBytes: config.maxInFlight,
      pageCacheBytes: config.pageCache,
      queriesPerAddressMax: config.maxQueriesPerAddress,
      queryTimeoutMs: config.queryTimeout,
    },
    logger: {
      info: (fields, message) => logger.info(message, { ...fields }),
      error: (fields, message) => logger.error(message, { ...fields }),
    },
    onCounters: (counters) => {
      for (const [counter, value] of Object.entries(counters)) {
        metrics.engine.set({ counter }, value);
      }
    },
  });
}

async function openServer(
  config: Config,
  deps: AppDeps,
  engine: ShardedEngine,
  directory: DataDirectory,
): Promise<RunningServer> {
  const { clock, timers, logger, metrics } = deps;
  return startServer({
    engine,
    troubles: () => troublesOf(directory),
    takesPushes: () => !directory.level.stats().diskFull,
    pressure: pressureOf(engine, directory),
    tls: await readTls(config, deps.fs),
    page: deps.page,
    version: deps.version,
    pathPrefix: config.pathPrefix,
    corsOrigins: config.corsOrigins,
    otlpDropAttributes: config.otlpDropAttributes,
    admission: {
      connectionsMax: config.maxConnections,
      connectionsPerAddressMax: config.maxConnectionsPerAddress,
      connectionRateMax: config.maxConnectionRate,
    },
    bounds: {
      headerBytesMax: config.maxHeader,
      streamsMax: config.maxStreams,
      streamsPerAddressMax: config.maxStreamsPerAddress,
      streamsPerConnectionMax: config.maxStreamsPerConnection,
    },
    times: {
      prefaceTimeoutMs: config.prefaceTimeout,
      headersTimeoutMs: config.headersTimeout,
      requestTimeoutMs: config.requestTimeout,
      keepAliveTimeoutMs: config.keepAliveTimeout,
      socketIdleTimeoutMs: config.idleTimeout,
    },
    queryTimeoutMs: config.queryTimeout,
    listen: config.listen,
    clock,
    timers,
    logger,
    metrics,
    bodyBytesMax: config.maxBody,
    inFlightBytesMax: config.maxInFlight,
  });
}

/** How far the engine, as it said last, and the disk are behind. */
function pressureOf(engine: ShardedEngine, directory: DataDirectory): () => Pressure {
  let unabsorbedBytes = 0;
  let isAsking = false;
  const ask = async (): Promise<void> => {
    isAsking = true;
    try {
      unabsorbedBytes = (await engine.counters())['head_bytes'] ?? 0;
    } catch {
      // A worker that is started again tells at the next look.
    } finally {
      isAsking = false;
    }
  };
  return () => {
    // One that is too busy to answer is not asked again.
    if (!isAsking) void ask();
    return { unabsorbedBytes, writeP99Ms: directory.level.stats().pushP99Ms };
  };
}

/** The certificate and its key, undefined without TLS. Throws `invalid_configuration`. */
async function readTls(config: Config, fs: FileSystem): Promise<TlsIdentity | undefined> {
  const { tlsCert, tlsKey } = config;
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const read = async (path: string): Promise<string> => {
    try {
      return Buffer.from(await fs.readFile(path)).toString();
    } catch (error) {
      const text = isErrorLike(error) ? error.message : String(error);
      throw new TephraError('invalid_configuration', `TLS: ${text}`);
    }
  };
  return { cert: await read(tlsCert), key: await read(tlsKey) };
}

/** Saves the ledger each second, reads what is stored again and again, and tells what it finds. */
function startUpkeep(
  config: Config,
  deps: AppDeps,
  directory: DataDirectory,
): { stop(): Promise<void> } {
  const { clock, timers, random, logger, metrics } = deps;
  const { store } = directory;
  const scrub = startScrub({
    store,
    clock,
    timers,
    random,
    bytesPerSecond: config.scrubRate,
    onFinding: (finding) => store.report(finding),
  });
  const told = new Set<string>();
  const tell = (): void => {
    const kinds: Record<string, number> = {};
    for (const { kind, what, detail } of directory.findings()) {
      kinds[kind] = (kinds[kind] ?? 0) + 1;
      if (told.has(`${kind} ${what}`)) continue;
      told.add(`${kind} ${what}`);
      logger.error('stored data are damaged or lost', { kind, what, detail });
    }
    for (const [kind, count] of Object.entries(kinds)) metrics.damage.set({ kind }, count);
    const {
      diskFull,
      openVolumes,
      bytesWritten,
      syncBatches,
      pendingPuts,
      compactions,
      pushP99Ms,
    } = directory.level.stats();
    const gauges = {
      disk_full: Number(diskFull),
      volumes_open: openVolumes,
      bytes_written: bytesWritten,
      sync_batches: syncBatches,
      puts_pending: pendingPuts,
      compactions,
      push_p99_ms: pushP99Ms,
      scrub_bytes: scrub.counts.bytes,
      scrub_rounds: scrub.counts.rounds,
    };
    for (const [gauge, value] of Object.entries(gauges)) metrics.store.set({ gauge }, value);
  };
  let running: Promise<void> = Promise.resolve();
  let cancel = (): void => {};
  let stopping = false;
  let failed = false;
  const run = async (): Promise<void> => {
    try {
      await directory.tend();
      failed = false;
    } catch (error) {
      if (!failed) {
        logger.error('the ledger is not saved and tried again', { detail: String(error) });
      }
      failed = true;
    }
    tell();
    if (!stopping) schedule();
  };
  const schedule = (): void => {
    cancel = timers.after(UPKEEP_INTERVAL_MS, () => {
      running = run();
    });
  };
  tell();
  schedule();
  return {
    async stop() {
      stopping = true;
      cancel();
      await scrub.stop();
      await running;
    },
  };
}

/** What `/readyz` names: what is lost or set aside, and a full disk. */
function troublesOf(directory: DataDirectory): string[] {
  const troubles = directory
    .findings()
    .map(({ kind, what, detail }) => `${kind} ${what}: ${detail}`);
  if (directory.level.stats().diskFull) troubles.unshift('the disk is full: pushes are refused');
  return troubles;
}

/** Runs the jobs that are due, again and again, never two runs at once. */
function startJobs(engine: Engine, deps: AppDeps): { stop(): Promise<void> } {
  const { clock, timers, logger, metrics } = deps;
  let running: Promise<void> = Promise.resolve();
  let cancel = (): void => {};
  let stopping = false;
  const run = async (): Promise<void> => {
    let outcome = 'ok';
    try {
      await engine.runJobs(clock.nowMs());
    } catch (error) {
      outcome = 'failed';
      logger.error('jobs failed and are tried again', { detail: String(error) });
    }
    metrics.jobRuns.inc({ outcome });
    if (!stopping) schedule();
  };
  const schedule = (): void => {
    cancel = timers.after(JOBS_INTERVAL_MS, () => {
      running = run();
    });
  };
  schedule();
  return {
    stop() {
      stopping = true;
      cancel();
      return running;
    },
  };
}

/** Runs every step, also after one has failed, then throws the first failure. */
async function inOrder(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
