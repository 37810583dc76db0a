/** A data directory with everything in it that can be damaged, and what it must answer. */
import { fromBinary } from '@bufbuild/protobuf';
import { holdingTimers } from '../../../src/base/clock.ts';
import { systemFileSystem } from '../../../src/base/file-system.ts';
import { hex } from '../../../src/base/bytes.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { DAY_MS, floorTo, HOUR_MS, MINUTE_MS } from '../../../src/base/time.ts';
import { SelectMergeStacktracesResponseSchema } from '../../../src/gen/querier/v1/querier_pb.ts';
import type { QueryNotes } from '../../../src/query/request.ts';
import { createEngine } from '../../../src/shards/create-engine.ts';
import type { ShardedEngine } from '../../../src/shards/sharded-engine.ts';
import {
  type DataDirectory,
  openDataDirectory,
} from '../../../src/storage/data-directory/data-directory.ts';
import { rawVolume } from '../../../src/storage/keys.ts';
import { Dice } from '../../model/dice.ts';
import { encodePprof } from '../../model/profile.ts';

const DAY = Date.UTC(2026, 2, 14);
/** When the damaged directory is opened. */
export const OPEN_MS = DAY + DAY_MS + 8 * HOUR_MS;
const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const PERIOD = 10_000_000n;
const SERVICES = ['shop', 'cart', 'mail', 'auth'] as const;

/** One acknowledged stack: its leaf is its own. */
export interface Marker {
  readonly leaf: string;
  readonly service: string;
  readonly ticks: number;
  /** Start of its day, Unix ms. */
  readonly dayMs: number;
  readonly rawVolume: string;
  /** Whether it was in a block when the directory was closed. */
  absorbed: boolean;
}

/** An open directory with an engine over it, in this thread. */
export class Opened {
  readonly directory: DataDirectory;
  readonly engine: ShardedEngine;

  private constructor(directory: DataDirectory, engine: ShardedEngine) {
    this.directory = directory;
    this.engine = engine;
  }

  static async open(path: string, now: () => number): Promise<Opened> {
    const clock = { nowMs: now, monotonicMs: () => performance.now() };
    const deps = { clock, timers: holdingTimers, random: systemRandom };
    const directory = await openDataDirectory({
      path,
      fs: unsynced,
      ballastBytes: 0,
      ...deps,
    });
    try {
      const { store, incarnation } = directory;
      const limits = { flushLingerMs: 0 };
      const engine = await createEngine({
        store,
        workers: 0,
        shardCount: 2,
        incarnation,
        limits,
        ...deps,
      });
      return new Opened(directory, engine);
    } catch (error) {
      await directory.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.engine.stop();
    await this.directory.close();
  }

  /** Ticks by leaf of one service, and what the answer says about itself. */
  async leaves(service: string): Promise<{ ticks: Map<string, bigint>; notes: QueryNotes }> {
    const answer = await this.engine.flameGraph({
      tenant: 'anonymous',
      profileType: TYPE,
      selector: `{service_name="${service}"}`,
      startMs: DAY - DAY_MS,
      endMs: DAY + 3 * DAY_MS,
      maxNodes: 1_000_000,
    });
    const { flamegraph } = fromBinary(SelectMergeStacktracesResponseSchema, answer.bytes);
    const ticks = new Map<string, bigint>();
    for (const { values } of flamegraph?.levels ?? []) {
      for (let i = 0; i + 3 < values.length; i += 4) {
        const self = values[i + 2] ?? 0n;
        if (self === 0n) continue;
        const name = flamegraph?.names[Number(values[i + 3])] ?? '?';
        ticks.set(name, (ticks.get(name) ?? 0n) + self / PERIOD);
      }
    }
    return { ticks, notes: answer.notes };
  }

  /** Pushes one profile; each leaf has `ticks` of its own. */
  async push(
    service: string,
    arrivalMs: number,
    startMs: number,
    stacks: readonly { readonly leaf: string; readonly ticks: number }[],
  ): Promise<void> {
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
        arrivalMs,
        payload: encodePprof({
          sampleTypes: [
            ['samples', 'count'],
            ['cpu', 'nanoseconds'],
          ],
          periodType: ['cpu', 'nanoseconds'],
          period: PERIOD,
          timeNanos: BigInt(startMs) * 1_000_000n,
          samples: stacks.map(({ leaf, ticks }) => ({
            frames: [frame('main'), frame(leaf)],
            values: [BigInt(ticks), BigInt(ticks) * PERIOD],
            labels: [],
          })),
        }),
      },
    ]);
    if (outcome?.outcome !== 'stored') throw new Error(`push: ${JSON.stringify(outcome)}`);
  }
}

/** No power is cut here, so that no sync is needed. */
export const unsynced = {
  ...systemFileSystem,
  syncFile: async (): Promise<void> => {},
  syncDirectory: async (): Promise<void> => {},
};

/**
 * Builds the directory at `path`: two days, five raw volumes, three incarnations, rolled and unrolled
 * blocks, several segments, fragments that wait, blobs of many pages, logs and tables.
 */
export async function buildFixture(path: string): Promise<Marker[]> {
  const dice = new Dice(1);
  const markers: Marker[] = [];
  let nowMs = DAY;
  let opened = await Opened.open(path, () => nowMs);
  const burst = async (atMs: number, pushes: number, stacks = 1): Promise<void> => {
    for (let i = 0; i < pushes; i++) {
      nowMs = atMs + i * 3 * MINUTE_MS;
      const service = dice.pick(SERVICES);
      const own = Array.from({ length: stacks }, () => ({
        leaf: `m${markers.length}_${hex(dice.random.bytes(stacks > 1 ? 30 : 6))}`,
        ticks: dice.whole(1, 9),
      })).map((stack, s) => ({ ...stack, leaf: `${stack.leaf}_${s}` }));
      const startMs = nowMs - 1_000;
      await opened.push(service, nowMs, startMs, own);
      for (const stack of own) {
        const dayMs = floorTo(startMs, DAY_MS);
        const marker = { ...stack, service, dayMs, rawVolume: rawVolume(nowMs), absorbed: false };
        markers.push(marker);
      }
    }
  };
  const absorb = async (atMs: number): Promise<void> => {
    nowMs = atMs;
    await opened.engine.runJobs(nowMs);
    for (const marker of markers) marker.absorbed = true;
  };
  const again = async (): Promise<void> => {
    await opened.close();
    opened = await Opened.open(path, () => nowMs);
  };
  await burst(DAY + HOUR_MS, 6);
  await burst(DAY + 2 * HOUR_MS, 1, 900);
  await absorb(DAY + 3 * HOUR_MS + 5 * MINUTE_MS);
  await burst(DAY + 7 * HOUR_MS, 6);
  await absorb(DAY + 9 * HOUR_MS);
  await again();
  await burst(DAY + DAY_MS + HOUR_MS, 6);
  await burst(DAY + DAY_MS + 2 * HOUR_MS, 1, 90);
  await absorb(DAY + DAY_MS + 3 * HOUR_MS + 5 * MINUTE_MS);
  await burst(DAY + DAY_MS + 4 * HOUR_MS, 4);
  await again();
  await burst(DAY + DAY_MS + 5 * HOUR_MS, 3);
  await burst(DAY + DAY_MS + 7 * HOUR_MS, 4);
  nowMs = OPEN_MS;
  await opened.close();
  return markers;
}
