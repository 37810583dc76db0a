/** One life of the simulated process: the engine's host over the store, until it stops or crashes. */
import type { PushItem, PushOutcome } from '../../../src/ingest/push.ts';
import { ShardJobs } from '../../../src/jobs/shard-jobs.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import type { Limits } from '../../../src/shards/host-contract.ts';
import { ShardHost } from '../../../src/shards/host.ts';
import { inlineHandle } from '../../../src/shards/host-handle.ts';
import { VolumeRetention } from '../../../src/shards/volume-retention.ts';
import { shardOf } from '../../../src/ingest/route.ts';
import { serviceOf } from '../../../src/profile/labels.ts';
import type { BlobStore } from '../../../src/storage/blob-store/contract.ts';
import {
  MemoryBlobStore,
  type Fault,
  type StoreOperation,
} from '../../../src/storage/blob-store/memory.ts';
import type { MemoryState } from '../../../src/storage/blob-store/memory-state.ts';
import type { Dice } from '../../model/dice.ts';
import type { World } from './world.ts';
import { temporaryScratch } from '../../support/scratch.ts';

/** What a life is started with. */
export interface LifeOptions {
  readonly dice: Dice;
  readonly world: World;
  readonly state: MemoryState | undefined;
  readonly incarnation: number;
  readonly shardCount: number;
  readonly limits: Partial<Limits>;
  readonly fate: (operation: StoreOperation, key: string) => Fault;
}

const WRITES = new Set<StoreOperation>(['put', 'remove', 'casRoot', 'dropVolume']);

/** The process from its start to its end. */
export class Life {
  readonly #options: LifeOptions;
  readonly #store: MemoryBlobStore;
  readonly #host: ShardHost;
  readonly #retention: VolumeRetention;
  readonly #jobs = new Set<ShardJobs>();
  /** Operations that took effect. */
  operations = 0;

  constructor(options: LifeOptions) {
    const { dice, world, shardCount, incarnation, fate } = options;
    this.#options = options;
    const scheduled = options;
    this.#store = new MemoryBlobStore({
      ...(options.state === undefined ? {} : { state: options.state }),
      faults: fate,
      scheduler: async (operation, key) => {
        this.operations++;
        // Reads are only sometimes late: what they wait for is told by the writes around them.
        if (WRITES.has(operation) || dice.chance(40)) await world.turn(`${operation} ${key}`);
      },
    });
    const store = answeringLate(this.#store, scheduled);
    const shards = Array.from({ length: shardCount }, (_, shard) => shard);
    const limits: Limits = { ...LIMITS, ...options.limits };
    const { clock, timers } = world;
    const { random } = dice;
    this.#host = new ShardHost({
      store,
      scratch: temporaryScratch().writer(),
      shards,
      shardCount,
      incarnation,
      clock,
      timers,
      random,
      limits,
    });
    this.#retention = new VolumeRetention(store, [inlineHandle(shards, this.#host)], limits);
  }

  /** Recovers what the last life left. */
  open(): Promise<void> {
    return this.#host.open(this.#options.world.nowMs);
  }

  /** Stores one profile. */
  async push(item: PushItem): Promise<PushOutcome> {
    const shard = shardOf(item.tenant, serviceOf(item.labels), this.#options.shardCount);
    const [outcome] = await this.#host.push(shard, [item]);
    return outcome as PushOutcome;
  }

  /** Runs the jobs that are due; retention too. */
  async runJobs(): Promise<void> {
    const { nowMs } = this.#options.world;
    try {
      await capturing(this.#jobs, () => this.#host.runJobs(nowMs));
    } finally {
      // As the engine does.
      await this.#retention.run(nowMs);
    }
  }

  /** The same jobs once more, beside a run that is under way: two absorbs of one partition. */
  async runJobsBeside(): Promise<void> {
    for (const jobs of this.#jobs) await RUN.call(jobs, this.#options.world.nowMs, true);
  }

  /** Values by function name, own values only. */
  async ask(request: {
    readonly profileType: string;
    readonly selector: string;
    readonly startMs: number;
    readonly endMs: number;
  }): Promise<Map<string, number>> {
    const shards = Array.from({ length: this.#options.shardCount }, (_, shard) => shard);
    const { tree, notes } = await this.#host.mergeNames(shards, {
      tenant: 'anonymous',
      ...request,
    });
    const values = new Map<string, number>();
    for (const [node, name] of tree.name.entries()) {
      const value = tree.self.lo[node] ?? 0;
      if (value === 0) continue;
      const text = tree.names[name] ?? '?';
      values.set(text, (values.get(text) ?? 0) + value);
    }
    if (notes.damagedStacks > 0) values.set('(damaged)', notes.damagedStacks);
    return values;
  }

  /** Ends as kill -9 would. What the store has under way lands or not. */
  crash(): MemoryState {
    const state = this.#store.crash(() => this.#options.dice.chance(50));
    this.#options.world.end();
    return state;
  }
}

// The host runs the jobs of a shard one after the other and keeps them to itself. To run two at once
// they are caught here where the host calls them.
const RUN = ShardJobs.prototype.run;
let catching: Set<ShardJobs> | undefined;
ShardJobs.prototype.run = function run(this: ShardJobs, nowMs: number, crowded: boolean) {
  catching?.add(this);
  return RUN.call(this, nowMs, crowded);
};

function capturing<T>(into: Set<ShardJobs>, run: () => Promise<T>): Promise<T> {
  catching = into;
  return run();
}

/** Some answers come a while after the effect: others act in between. */
function answeringLate(inner: BlobStore, { dice, world }: LifeOptions): BlobStore {
  return new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        const late = dice.chance(25);
        try {
          return await value.apply(target, args);
        } finally {
          if (late) await world.turn(`answer of ${String(name)}`);
        }
      };
    },
  });
}
