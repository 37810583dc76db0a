import { TephraError } from '../../base/errors.ts';
import type { Pause } from '../../base/slice.ts';
import type { BlockReads } from '../../storage/block/cache.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';
import type { Losses } from '../losses.ts';
import type { RawPushes } from './raw-pushes.ts';

/** What a query of one host runs with. */
export interface QueryContext {
  /** The shards that take part. */
  readonly shards: readonly ShardState[];
  readonly cache: BlockReads;
  /** Says that a root will be read soon: it may be fetched meanwhile. */
  readonly expectRoot?: ((name: string) => void) | undefined;
  readonly raw: RawPushes;
  readonly pause: Pause;
  readonly budget: QueryBudget;
  readonly losses: Losses;
}

/** Counts what a query reads, and refuses it when that passes its share. */
export class QueryBudget {
  readonly #bytesMax: number;
  readonly #rawBytesMax: number;
  blocksRead = 0;
  bytesRead = 0;
  rawBytesRead = 0;

  constructor(bytesMax: number, rawBytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#rawBytesMax = rawBytesMax;
  }

  /**
   * Counts a fragment that is read: single profiles, spans and traces are looked for in each, and those in
   * the cache cost nothing. Throws `query_limit`.
   */
  spendRaw(bytes: number): void {
    this.rawBytesRead += bytes;
    if (this.rawBytesRead > this.#rawBytesMax) {
      throw new TephraError(
        'query_limit',
        `single profiles, spans or traces would be looked for in more than ${this.#rawBytesMax} bytes of fragments; narrow the time range, or name the service in the selector`,
      );
    }
  }

  /** Counts a section that takes part. Throws `query_limit`. */
  spend(bytes: number): void {
    this.blocksRead++;
    this.bytesRead += bytes;
    if (this.bytesRead > this.#bytesMax) {
      throw new TephraError(
        'query_limit',
        `the range needs more than ${this.#bytesMax} bytes of columns; narrow the range or the selector`,
      );
    }
  }
}
