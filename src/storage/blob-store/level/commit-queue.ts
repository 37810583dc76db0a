import { TephraError } from '../../../base/errors.ts';
import { LIMITS } from '../../../base/limits.ts';
import { type LevelHandle, type LevelWrite, writeError } from './handle.ts';

/**
 * Frozen, because the library makes `{...options, ...write}` of each write: from options that are not, V8
 * makes 800 bytes of shapes for each of these, in its old space.
 */
const SYNC = Object.freeze({ sync: true });

interface Waiting {
  readonly writes: readonly LevelWrite[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: TephraError) => void;
}

/** Counters that all volumes of a store share. */
export interface WriteCounters {
  bytesWritten: number;
  syncBatches: number;
  pendingWrites: number;
}

/**
 * Group commit of one volume: one sync batch in flight, the next one collecting, at most
 * `LIMITS.storeBatchBytes` each (a larger single write goes alone). There is no unsynced write: a
 * later sync is no barrier for it.
 *
 * The first failure poisons the queue for good. LevelDB would take more writes on that handle and
 * can lose them at the next open, although it acknowledged them.
 *
 * A handle that failed for lack of space is read on, and does not show what the failed batch wrote;
 * its log may hold it all the same, and shows it at the next open. What was told must stay true: so
 * {@link CommitQueue.undo} says what to write then before anything else.
 */
export class CommitQueue {
  readonly #level: LevelHandle;
  readonly #name: string;
  readonly #counters: WriteCounters;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running = false;
  #poison: TephraError | undefined;
  #written = 0;
  #undo: readonly LevelWrite[] = [];

  constructor(name: string, level: LevelHandle, counters: WriteCounters) {
    this.#name = name;
    this.#level = level;
    this.#counters = counters;
  }

  /** The first failure, if there was one. */
  get poison(): TephraError | undefined {
    return this.#poison;
  }

  /** Bytes of keys and values that it has written. */
  get written(): number {
    return this.#written;
  }

  /** What puts the store back to what this handle shows, after it failed with `storage_full`. */
  get undo(): readonly LevelWrite[] {
    return this.#undo;
  }

  /**
   * Resolves when all `writes` are durable; they land together or not at all. Rejects with
   * `write_unknown` or `storage_full` (then they may be there or not), or `overloaded` (not tried).
   */
  write(writes: readonly LevelWrite[]): Promise<void> {
    if (this.#poison !== undefined) return Promise.reject(this.#refusal(this.#poison));
    let bytes = 0;
    for (const write of writes) {
      bytes += write.key.length + (write.type === 'put' ? write.value.byteLength : 0);
    }
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > LIMITS.storeQueueBytes) {
      return Promise.reject(
        new TephraError('overloaded', `${this.#waitingBytes} bytes wait for ${this.#name}`),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ writes, bytes, resolve, reject });
      this.#waitingBytes += bytes;
      this.#counters.pendingWrites++;
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    // What is written in this turn joins the first batch.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#take();
      try {
        await this.#level.batch(
          group.flatMap((one) => one.writes),
          SYNC,
        );
      } catch (error) {
        await this.#fail(group, writeError(`write to ${this.#name}`, error));
        break;
      }
      this.#counters.syncBatches++;
      this.#counters.pendingWrites -= group.length;
      for (const one of group) {
        this.#counters.bytesWritten += one.bytes;
        this.#written += one.bytes;
        one.resolve();
      }
    }
    this.#running = false;
  }

  #take(): Waiting[] {
    const group: Waiting[] = [];
    let bytes = 0;
    for (const one of this.#waiting) {
      if (group.length > 0 && bytes + one.bytes > LIMITS.storeBatchBytes) break;
      group.push(one);
      bytes += one.bytes;
    }
    this.#waiting = this.#waiting.slice(group.length);
    this.#waitingBytes -= bytes;
    return group;
  }

  async #fail(group: readonly Waiting[], first: TephraError): Promise<void> {
    let error = first;
    this.#poison = error;
    if (error.reason === 'storage_full') {
      try {
        this.#undo = await this.#undoOf(group.flatMap((one) => one.writes));
      } catch {
        // Then this handle cannot be read on, and the next open tells what there is.
        this.#poison = error = new TephraError('write_unknown', first.detail, { cause: first });
      }
    }
    const rest = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#counters.pendingWrites -= group.length + rest.length;
    for (const one of group) one.reject(error);
    for (const one of rest) one.reject(this.#refusal(error));
  }

  /** Removals need none: nobody misses what was to go. */
  async #undoOf(writes: readonly LevelWrite[]): Promise<LevelWrite[]> {
    const keys = writes.flatMap(({ type, key }) => (type === 'put' ? [key] : []));
    const before = await this.#level.getMany(keys);
    return keys.map((key, i): LevelWrite => {
      const value = before[i];
      return value === undefined ? { type: 'del', key } : { type: 'put', key, value };
    });
  }

  #refusal(first: TephraError): TephraError {
    return new TephraError(
      first.reason,
      `${this.#name} takes no writes until it was reopened, after: ${first.detail}`,
    );
  }
}
