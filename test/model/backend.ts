/** Where a history runs: a store, an engine over it, and a way to crash both. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, Timers } from '../../src/base/clock.ts';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { systemFileSystem } from '../../src/base/file-system.ts';
import type { BlobStore } from '../../src/storage/blob-store/contract.ts';
import { openLevelBlobStore } from '../../src/storage/blob-store/level/blob-store.ts';
import {
  MemoryBlobStore,
  type Fault,
  type StoreOperation,
} from '../../src/storage/blob-store/memory.ts';
import type { MemoryState } from '../../src/storage/blob-store/memory-state.ts';
import { createEngine } from '../../src/shards/create-engine.ts';
import type { Limits } from '../../src/shards/host-contract.ts';
import type { ShardedEngine } from '../../src/shards/sharded-engine.ts';
import type { Dice } from './dice.ts';

/** A fault that strikes once. */
export interface ArmedFault {
  readonly operation: StoreOperation;
  readonly keyPrefix: string;
  readonly fault: Fault;
}

/** What a history is run on. */
export interface Backend {
  /** Opens the engine over what is durable. */
  open(): Promise<ShardedEngine>;
  /** Ends store and engine in good order; `open` may follow. */
  stop(engine: ShardedEngine): Promise<void>;
  /** Ends store and engine as kill -9 would; `open` may follow. */
  crash(engine: ShardedEngine): Promise<void>;
  /** Gone for good. */
  close(): Promise<void>;
  /** Whether {@link armed} has any effect. */
  readonly injects: boolean;
  /** Faults to come. */
  readonly armed: ArmedFault[];
}

/** What the engine of a backend is made with. */
export interface BackendOptions {
  readonly dice: Dice;
  readonly clock: Clock;
  readonly shardCount: number;
  readonly limits: Partial<Limits>;
  readonly workers: number;
  readonly workerEntry?: URL | undefined;
}

/** Short waits end at the next turn, long ones never: time is the history's. */
const quickTimers: Timers = {
  after(delayMs, callback) {
    if (delayMs > 1_000) return () => {};
    const immediate = setImmediate(callback);
    return () => clearImmediate(immediate);
  },
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};

/** The in-memory store with faults, a random order of effects, and crashes. */
export class MemoryBackend implements Backend {
  readonly injects = true;
  readonly armed: ArmedFault[] = [];
  readonly #options: BackendOptions;
  #incarnation = 0;
  #state: MemoryState | undefined;
  #store: MemoryBlobStore | undefined;

  constructor(options: BackendOptions) {
    this.#options = options;
  }

  async open(): Promise<ShardedEngine> {
    const { dice } = this.#options;
    this.#store ??= new MemoryBlobStore({
      ...(this.#state === undefined ? {} : { state: this.#state }),
      faults: (operation, key) => this.#fate(operation, key),
      scheduler: () => (dice.chance(10) ? quickTimers.yield() : Promise.resolve()),
    });
    const store = answeringLate(this.#store, dice);
    return engineOver(store, this.#options, () => ++this.#incarnation);
  }

  async stop(engine: ShardedEngine): Promise<void> {
    await engine.stop();
  }

  async crash(engine: ShardedEngine): Promise<void> {
    // What is under way in the store may land or not.
    this.#state = this.#store?.crash(() => this.#options.dice.chance(50));
    this.#store = undefined;
    await engine.kill();
  }

  async close(): Promise<void> {}

  #fate(operation: StoreOperation, key: string): Fault {
    const at = this.armed.findIndex(
      (fault) => fault.operation === operation && key.startsWith(fault.keyPrefix),
    );
    return at < 0 ? 'ok' : (this.armed.splice(at, 1)[0]?.fault ?? 'ok');
  }
}

/** LevelDB in a directory of its own; a crash closes it under the engine's feet. */
export class LevelBackend implements Backend {
  readonly injects = false;
  readonly armed: ArmedFault[] = [];
  readonly #options: BackendOptions;
  #incarnation = 0;
  #path: string | undefined;
  #store: (BlobStore & { close(): Promise<void> }) | undefined;
  #seal: Seal | undefined;

  constructor(options: BackendOptions) {
    this.#options = options;
  }

  async open(): Promise<ShardedEngine> {
    this.#path ??= await mkdtemp(join(tmpdir(), 'tephra-model-'));
    this.#store ??= await openLevelBlobStore({
      path: this.#path,
      storeId: 'abcd',
      fs: systemFileSystem,
      clock: systemClock,
      timers: systemTimers,
      random: this.#options.dice.random,
    });
    this.#seal = sealable(this.#store);
    return engineOver(this.#seal.store, this.#options, () => ++this.#incarnation);
  }

  async stop(engine: ShardedEngine): Promise<void> {
    await engine.stop();
    await this.#store?.close();
    this.#store = undefined;
  }

  async crash(engine: ShardedEngine): Promise<void> {
    this.#seal?.seal();
    await engine.kill();
    await this.#store?.close();
    this.#store = undefined;
  }

  async close(): Promise<void> {
    await this.#store?.close();
    if (this.#path !== undefined) await rm(this.#path, { recursive: true, force: true });
  }
}

/** Some answers come a while after the effect: others may act in between. */
function answeringLate(inner: BlobStore, dice: Dice): BlobStore {
  return new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        const answer: unknown = await value.apply(target, args);
        if (dice.chance(10)) {
          for (let turns = dice.whole(1, 3); turns > 0; turns--) await quickTimers.yield();
        }
        return answer;
      };
    },
  });
}

interface Seal {
  readonly store: BlobStore;
  /** From now on nothing begins and nothing settles. */
  seal(): void;
}

function sealable(inner: BlobStore): Seal {
  let sealed = false;
  const store = new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        const never = new Promise<never>(() => {});
        if (sealed) return never;
        const result = value.apply(target, args) as Promise<unknown>;
        return result.then(
          (answer) => (sealed ? never : answer),
          (error: unknown) => {
            if (sealed) return never;
            throw error;
          },
        );
      };
    },
  });
  return { store, seal: () => (sealed = true) };
}

function engineOver(
  store: BlobStore,
  options: BackendOptions,
  next: () => number,
): Promise<ShardedEngine> {
  const { dice, clock, shardCount, limits, workers, workerEntry } = options;
  return createEngine({
    store,
    workers,
    shardCount,
    incarnation: next(),
    nextIncarnation: async () => next(),
    clock,
    timers: workers > 0 ? systemTimers : quickTimers,
    random: dice.random,
    limits,
    workerEntry,
  });
}
