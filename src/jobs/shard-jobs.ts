import type { Clock, Timers } from '../base/clock.ts';
import { TephraError } from '../base/errors.ts';
import { createPause } from '../base/slice.ts';
import { HOUR_MS } from '../base/time.ts';
import { parseMinutesVolume, parseRawVolume } from '../storage/keys.ts';
import { readHeadMark, writeHeadMark } from '../storage/shard/head-mark.ts';
import { readPartition } from '../storage/shard/partition.ts';
import type { ShardState } from '../storage/shard/shard-state.ts';
import { absorbPartition } from './absorb.ts';
import { emptyTrash, sweepOrphans } from './removal.ts';
import { rollPartition } from './roll.ts';
import { isAbsorbDue } from './schedule.ts';
import type { AbsorbRules } from './schedule.ts';

/** What the jobs of a shard are governed by. */
export interface JobRules extends AbsorbRules {
  readonly unrolledBlocksPerHourMax: number;
  readonly segmentBytes: number;
  readonly graceMs: number;
}

/** Counters of the jobs of one shard since it was opened. */
export interface JobCounters {
  absorbs: number;
  sectionsAbsorbed: number;
  sectionsIgnored: number;
  rolls: number;
  hoursRolled: number;
  /** Partitions and marks whose jobs stood still in the last run, because they are damaged. */
  partitionsBlocked: number;
  blobsRemoved: number;
}

interface DayTimes {
  absorbedMs: number | undefined;
  rolledMs: number | undefined;
  sweptMs: number;
  /** Nothing is left to roll or to remove until the next absorb. */
  idle: boolean;
}

/** How often a partition in use is searched for orphans. */
const SWEEP_INTERVAL_MS = 6 * HOUR_MS;

/** The jobs of one shard: absorb, roll, removal. Planned by time and load, run one after the other. */
export class ShardJobs {
  readonly counters: JobCounters = {
    absorbs: 0,
    sectionsAbsorbed: 0,
    sectionsIgnored: 0,
    rolls: 0,
    hoursRolled: 0,
    partitionsBlocked: 0,
    blobsRemoved: 0,
  };
  readonly #state: ShardState;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #rules: JobRules;
  readonly #days = new Map<number, DayTimes>();

  constructor(state: ShardState, clock: Clock, timers: Timers, rules: JobRules) {
    this.#state = state;
    this.#clock = clock;
    this.#timers = timers;
    this.#rules = rules;
  }

  /**
   * Runs what is due at `nowMs`; with `crowded` every partition is absorbed, to free memory. What fails
   * costs itself: the rest is done (on a full disk, what removes blobs), then the first failure is
   * thrown.
   */
  async run(nowMs: number, crowded: boolean): Promise<void> {
    let absorbed = false;
    const failures: unknown[] = [];
    this.counters.partitionsBlocked = 0;
    for (const dayMs of this.#state.head.days()) {
      await this.#apart(failures, async () => {
        if (await this.#absorb(dayMs, nowMs, crowded)) absorbed = true;
      });
    }
    if (absorbed) {
      await this.#eachVolume(failures, 'raw', async (volume) => {
        if (parseRawVolume(volume) !== undefined) await this.#moveHeadMark(volume);
      });
    }
    await this.#eachVolume(failures, 'minutes', async (volume) => {
      const dayMs = parseMinutesVolume(volume);
      if (dayMs !== undefined) await this.#tidy(dayMs, nowMs);
    });
    if (failures.length > 0) throw TephraError.from(failures[0]);
  }

  async #eachVolume(
    failures: unknown[],
    kind: 'raw' | 'minutes',
    work: (volume: string) => Promise<void>,
  ): Promise<void> {
    await this.#apart(failures, async () => {
      for (const volume of await this.#state.store.listVolumes(kind)) {
        await this.#apart(failures, () => work(volume));
      }
    });
  }

  /** Failures of one partition or volume cost itself; damage is counted, the rest is kept. */
  async #apart(failures: unknown[], work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      const { reason } = TephraError.from(thrown);
      if (reason === 'corrupt_block' || reason === 'volume_quarantined') {
        this.counters.partitionsBlocked++;
      } else failures.push(thrown);
    }
  }

  async #absorb(dayMs: number, nowMs: number, crowded: boolean): Promise<boolean> {
    const { head } = this.#state;
    const sections = head.list(dayMs);
    const times = this.#times(dayMs);
    const waiting = {
      ...head.load(dayMs),
      earliestMs: sections.reduce((least, { minMs }) => Math.min(least, minMs), Infinity),
      absorbedMs: times.absorbedMs,
    };
    if (!crowded && !isAbsorbDue(waiting, this.#rules, nowMs)) return false;
    const report = await absorbPartition(this.#state, dayMs, {
      pause: createPause(this.#clock, this.#timers),
      nowMs,
      unrolledBlocksPerHourMax: this.#rules.unrolledBlocksPerHourMax,
      segmentBytes: this.#rules.segmentBytes,
    });
    times.absorbedMs = nowMs;
    times.idle = false;
    this.counters.absorbs++;
    this.counters.sectionsAbsorbed += report.sections;
    this.counters.sectionsIgnored += report.ignored;
    return true;
  }

  async #tidy(dayMs: number, nowMs: number): Promise<void> {
    const times = this.#times(dayMs);
    if (times.idle) return;
    const { shard, shardCount, store } = this.#state;
    const { root } = await readPartition(store, { dayMs, shard, shardCount });
    if (nowMs - times.sweptMs >= SWEEP_INTERVAL_MS) {
      times.sweptMs = nowMs;
      this.counters.blobsRemoved += await sweepOrphans(this.#state, dayMs);
    }
    if (root.trash.length === 0 && root.blocks.every(({ rolled }) => rolled)) {
      times.idle = true;
      return;
    }
    const report = await rollPartition(this.#state, dayMs, {
      pause: createPause(this.#clock, this.#timers),
      nowMs,
      hourCloseDelayMs: this.#rules.hourCloseDelayMs,
      rolledMs: times.rolledMs,
      lateIntervalMs: this.#rules.lateIntervalMs,
      segmentBytes: this.#rules.segmentBytes,
    });
    if (report.hours.length > 0) {
      times.rolledMs = nowMs;
      this.counters.rolls++;
      this.counters.hoursRolled += report.hours.length;
    }
    this.counters.blobsRemoved += await emptyTrash(this.#state, dayMs, nowMs, this.#rules.graceMs);
  }

  /** Raises the mark below which opening need not read; see head-mark.ts. */
  async #moveHeadMark(volume: string): Promise<void> {
    const { store, shard, head, landed } = this.#state;
    const mark = new Map<number, number>();
    const before = await readHeadMark(store, volume, shard);
    for (const [incarnation, intervals] of landed) {
      const last = intervals.at(-1)?.[1] ?? 0;
      const lowest = head.lowestSeq(incarnation) ?? last + 1;
      mark.set(incarnation, Math.max(before.get(incarnation) ?? 0, lowest));
    }
    const same = [...mark].every(([incarnation, seq]) => before.get(incarnation) === seq);
    if (!same) await writeHeadMark(store, volume, shard, mark);
  }

  #times(dayMs: number): DayTimes {
    let times = this.#days.get(dayMs);
    if (times === undefined) {
      times = { absorbedMs: undefined, rolledMs: undefined, sweptMs: -Infinity, idle: false };
      this.#days.set(dayMs, times);
    }
    return times;
  }
}
