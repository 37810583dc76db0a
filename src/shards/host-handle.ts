import type { Clock, Timers } from '../base/clock.ts';
import type { ShardHostApi } from './host-contract.ts';

/** A host as the engine holds it: inline, or in a worker thread that is started again if it dies. */
export interface HostHandle {
  /** The shards that the host owns. */
  readonly shards: readonly number[];
  /** Waits for a host that is being started; rejects with `worker_died` if it dies meanwhile. */
  readonly api: ShardHostApi;
  /** How often the host was started again. */
  readonly restarts: number;
  /** Ends it at once, as a crash would: nothing is finished. */
  kill(): Promise<void>;
}

/** What a handle tells about its host. The same shape as pino's methods. */
export interface HostLogger {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A host in this thread; `host` is open already. */
export function inlineHandle(shards: readonly number[], host: ShardHostApi): HostHandle {
  return { shards, api: host, restarts: 0, kill: () => Promise.resolve() };
}

/** Time as the handles need it. */
export interface HandleTime {
  readonly clock: Clock;
  readonly timers: Timers;
}
