import { systemRandom } from '../../src/base/random.ts';
import { systemTimers } from '../../src/base/clock.ts';
import { DAY_MS } from '../../src/base/time.ts';
import { fromBinary } from '@bufbuild/protobuf';
import { SelectMergeStacktracesResponseSchema } from '../../src/gen/querier/v1/querier_pb.ts';
import { createEngine } from '../../src/shards/create-engine.ts';
import type { Limits } from '../../src/shards/host-contract.ts';
import type { ShardedEngine } from '../../src/shards/sharded-engine.ts';
import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';
import { encodePprof } from '../model/profile.ts';

export const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
/** 2026-03-14T00:00Z. */
export const DAY = Date.UTC(2026, 2, 14);
const PERIOD = 10_000_000n;

/** An engine over a memory store, inline, with a clock that the test moves. */
export class Bench {
  nowMs = DAY + 60_000;
  store = new MemoryBlobStore();
  engine!: ShardedEngine;
  counters: Record<string, number> = {};
  readonly #limits: Partial<Limits>;
  #incarnation = 0;

  constructor(limits: Partial<Limits> = {}) {
    this.#limits = { flushLingerMs: 0, ...limits };
  }

  async open(): Promise<this> {
    this.engine = await createEngine({
      store: this.store,
      workers: 0,
      shardCount: 2,
      incarnation: ++this.#incarnation,
      clock: { nowMs: () => this.nowMs, monotonicMs: () => performance.now() },
      timers: systemTimers,
      random: systemRandom,
      limits: this.#limits,
      onCounters: (counters) => {
        this.counters = counters;
      },
    });
    return this;
  }

  /** Pushes one profile of `ticks` on a stack of its own below `main`. */
  async push(leaf: string, startMs: number, ticks = 1n, service = 'shop'): Promise<string> {
    const frame = (name: string) => ({
      name,
      systemName: name,
      file: 'a.go',
      startLine: 1,
      line: 2,
      mappingFile: '/bin/a',
      buildId: 'b1',
      address: 0,
      inlined: false,
    });
    const [outcome] = await this.engine.push([
      {
        tenant: 'anonymous',
        labels: [
          ['__name__', 'process_cpu'],
          ['service_name', service],
        ],
        profileId: '',
        format: 'pprof',
        surface: 'push',
        arrivalMs: this.nowMs,
        payload: encodePprof({
          sampleTypes: [
            ['samples', 'count'],
            ['cpu', 'nanoseconds'],
          ],
          periodType: ['cpu', 'nanoseconds'],
          period: PERIOD,
          timeNanos: BigInt(startMs) * 1_000_000n,
          samples: [
            { frames: [frame('main'), frame(leaf)], values: [ticks, ticks * PERIOD], labels: [] },
          ],
        }),
      },
    ]);
    if (outcome?.outcome === 'refused') return outcome.error.reason;
    return outcome?.outcome ?? '';
  }

  /** Ticks of a merge, and how many minutes counted whole. */
  async merge(
    startMs = DAY - 40 * DAY_MS,
    endMs = DAY + 400 * DAY_MS,
    selector = '{}',
  ): Promise<{ ticks: bigint; names: readonly string[]; wholeMinutes: number }> {
    const answer = await this.engine.flameGraph({
      tenant: 'anonymous',
      profileType: TYPE,
      selector,
      startMs,
      endMs,
    });
    const { flamegraph } = fromBinary(SelectMergeStacktracesResponseSchema, answer.bytes);
    return {
      ticks: (flamegraph?.total ?? 0n) / PERIOD,
      names: flamegraph?.names ?? [],
      wholeMinutes: answer.notes.wholeMinutes,
    };
  }

  /** Moves the clock and runs the jobs. */
  async at(nowMs: number): Promise<void> {
    this.nowMs = nowMs;
    await this.engine.runJobs(nowMs);
  }

  async keys(prefix: string): Promise<string[]> {
    return (await this.store.list(prefix)).map(({ key }) => key);
  }
}
