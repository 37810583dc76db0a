import { TephraError } from '../../base/errors.ts';
import type { Pause } from '../../base/slice.ts';
import type { BlockCache } from '../../storage/block/cache.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';
import type { Losses } from '../losses.ts';
import type { RawPushes } from './raw-pushes.ts';

/** What a query of one host runs with. */
export interface QueryContext {
  /** The shards that take part. */
  readonly shards: readonly ShardState[];
  readonly cache: BlockCache;
  readonly raw: RawPushes;
  readonly pause: Pause;
  readonly budget: QueryBudget;
  readonly losses: Losses;
}

/** Counts what a query reads, and refuses it when that passes its share. */
export class QueryBudget {
  readonly #bytesMax: number;
  blocksRead = 0;
  bytesRead = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
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
