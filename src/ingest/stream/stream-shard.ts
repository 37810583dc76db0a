import type { Clock, Timers } from '../../base/clock.ts';
import { AdditionsReader } from '../../profile/stream/additions.ts';
import { BatchReader, PartReader } from '../../profile/stream/batch.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';
import type { ShardWriter } from '../shard-writer.ts';
import type { WindowRules } from '../window.ts';
import type { StreamBudget } from './budget.ts';
import type { StreamLimits } from './messages.ts';
import { PartBuilder } from './part.ts';

/** What the parts of a shard's stream ingest share. */
export interface StreamShard {
  readonly state: ShardState;
  readonly writer: ShardWriter;
  readonly rules: StreamRules;
  readonly readers: StreamReaders;
  readonly budget: StreamBudget;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly counters: StreamCounters;
}

/** What streams of a shard are governed by. */
export interface StreamRules extends WindowRules {
  readonly limits: StreamLimits;
  /** Streams that are known at once. */
  readonly knownMax: number;
  /** Tables that were not used for so long are forgotten. */
  readonly idleMs: number;
}

/** Counters of one shard since it was opened. */
export interface StreamCounters {
  streamsOpened: number;
  streamBatchesStored: number;
  streamBatchesRefused: number;
  streamBatchesDuplicate: number;
  streamEntriesStored: number;
  streamEpochsEnded: number;
}

/** All zero. */
export function createStreamCounters(): StreamCounters {
  return {
    streamsOpened: 0,
    streamBatchesStored: 0,
    streamBatchesRefused: 0,
    streamBatchesDuplicate: 0,
    streamEntriesStored: 0,
    streamEpochsEnded: 0,
  };
}

/** Readers and scratch of a thread: what one batch leaves there the next one overwrites. */
export interface StreamReaders {
  readonly batch: BatchReader;
  readonly additions: AdditionsReader;
  readonly part: PartReader;
  readonly builder: PartBuilder;
}

/** New readers, for all shards of a thread. */
export function createStreamReaders(): StreamReaders {
  return {
    batch: new BatchReader(),
    additions: new AdditionsReader(),
    part: new PartReader(),
    builder: new PartBuilder(),
  };
}
