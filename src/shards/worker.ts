/** Entry of a worker thread: one shard host, served to the main thread by messages. */
import { workerData, type MessagePort } from 'node:worker_threads';
import { systemClock, systemTimers } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import type { BlobStore } from '../storage/blob-store/contract.ts';
import type { ScratchWriter } from '../storage/scratch/scratch.ts';
import {
  GIVEN_RESULTS,
  GIVEN_SCRATCH,
  type ShardHostApi,
  type ShardHostOptions,
} from './host-contract.ts';
import { ShardHost } from './host.ts';
import { connect, serve } from './rpc.ts';

/** What the main thread gives a worker at its start. */
export interface WorkerStart {
  /** Calls to the host come in here. */
  readonly hostPort: MessagePort;
  /** Calls to the store go out here: all handles are the main thread's. */
  readonly storePort: MessagePort;
  /** Calls to the scratch go out here. */
  readonly scratchPort: MessagePort;
  readonly options: Pick<ShardHostOptions, 'shards' | 'shardCount' | 'incarnation' | 'limits'>;
}

const { hostPort, storePort, scratchPort, options } = workerData as WorkerStart;
const host: ShardHostApi = new ShardHost({
  ...options,
  ownsArguments: true,
  store: connect<BlobStore>(storePort).api,
  scratch: connect<ScratchWriter>(scratchPort, GIVEN_SCRATCH).api,
  clock: systemClock,
  timers: systemTimers,
  random: systemRandom,
});
serve<ShardHostApi>(hostPort, host, GIVEN_RESULTS);
