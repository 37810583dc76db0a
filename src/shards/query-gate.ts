import type { Timers } from '../base/clock.ts';
import { TephraError } from '../base/errors.ts';

/** Sizes of a {@link QueryGate}. */
export interface QueryGateOptions {
  readonly timers: Timers;
  /** Queries that run at once. */
  readonly atOnce: number;
  /** Queries that may wait for a place. */
  readonly waitingMax: number;
  /** From the call to the answer, waiting included. */
  readonly timeoutMs: number;
}

/**
 * Bounds how many queries run at once and how long each may take. A query past its deadline rejects
 * at once, but keeps its place until its work has really ended: else the workers would have more
 * than `atOnce` queries to do while callers come back with the same one.
 */
export class QueryGate {
  readonly #options: QueryGateOptions;
  readonly #waiting = new Set<() => void>();
  #running = 0;
  #timedOut = 0;
  readonly #idle: (() => void)[] = [];

  constructor(options: QueryGateOptions) {
    this.#options = options;
  }

  /** Queries that passed their deadline so far. */
  get timedOut(): number {
    return this.#timedOut;
  }

  /**
   * Runs `query` when there is a place. Rejects with `too_many_queries` if too many wait already,
   * with `deadline` when the time is up, and with the reason of `asker` when that fires; the signal that
   * the query gets then fires too.
   */
  run<T>(query: (signal: AbortSignal) => Promise<T>, asker?: AbortSignal): Promise<T> {
    if (this.#running >= this.#options.atOnce && this.#waiting.size >= this.#options.waitingMax) {
      return Promise.reject(
        new TephraError('too_many_queries', `${this.#waiting.size} queries wait already`),
      );
    }
    const controller = new AbortController();
    return new Promise<T>((resolve, reject) => {
      const start = (): void => {
        this.#running++;
        // An async wrapper: a query that throws at once still gives its place back.
        void (async () => query(controller.signal))()
          .finally(() => {
            done();
            this.#release();
          })
          .then(resolve, reject);
      };
      const stop = (error: TephraError): void => {
        done();
        this.#waiting.delete(start);
        controller.abort(error);
        reject(error);
      };
      const leave = (): void => stop(TephraError.from(asker?.reason));
      const done = (): void => {
        cancelTimer();
        asker?.removeEventListener('abort', leave);
      };
      const cancelTimer = this.#options.timers.after(this.#options.timeoutMs, () => {
        this.#timedOut++;
        stop(new TephraError('deadline', `no answer within ${this.#options.timeoutMs} ms`));
      });
      asker?.addEventListener('abort', leave);
      if (asker?.aborted === true) leave();
      else if (this.#running < this.#options.atOnce) start();
      else this.#waiting.add(start);
    });
  }

  /** Resolves when no query runs. */
  idle(): Promise<void> {
    return this.#running === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#idle.push(resolve));
  }

  #release(): void {
    this.#running--;
    const [next] = this.#waiting;
    if (next !== undefined) {
      this.#waiting.delete(next);
      next();
    } else if (this.#running === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }
}
