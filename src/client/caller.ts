import type { CallOptions as RpcOptions } from '@connectrpc/connect';
import { holdingTimers, systemClock, type Clock, type Timers } from '../base/clock.ts';
import { systemRandom, type Random } from '../base/random.ts';
import { refuseClosed, toClientError, type TephraClientError } from './error.ts';

/** What a single call may be told beside its question. */
export interface CallOptions {
  /** Ends the call; it then throws `canceled`. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline in milliseconds, of all tries together, instead of that of the client; 0 = none. */
  readonly timeoutMs?: number | undefined;
}

/** How a client calls. */
export interface CallRules {
  /** Deadline in milliseconds where a call names none; 0 = none. */
  readonly timeoutMs: number;
  /** Further tries of a call that may be repeated; 0 = none. */
  readonly retries: number;
}

/** One try: what is left of the deadline, and who may end it. */
export interface Attempt {
  readonly signal: AbortSignal | undefined;
  /** Milliseconds; 0 = no deadline. */
  readonly timeoutMs: number;
}

/** The machine as calls need it. */
interface CallerDeps {
  readonly clock: Clock;
  /** Keep the process alive: somebody waits. */
  readonly timers: Timers;
  readonly random: Random;
}

const SYSTEM: CallerDeps = { clock: systemClock, timers: holdingTimers, random: systemRandom };
/**
 * The longest wait before the first repetition, beyond what the server asks for; doubled each time, and a
 * random part of it is waited.
 */
const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 10_000;

/** Runs calls: within their deadline, again where that is safe, with one kind of error. */
export class Caller {
  readonly #rules: CallRules;
  readonly #deps: CallerDeps;
  readonly #closing = new AbortController();

  constructor(rules: CallRules, deps: CallerDeps = SYSTEM) {
    this.#rules = rules;
    this.#deps = deps;
  }

  /** Throws `closed` after {@link close}. */
  checkOpen(): void {
    if (this.#closing.signal.aborted) throw refuseClosed();
  }

  /** From now on nothing is called: not what is new, and not what failed and would be tried again. */
  close(): void {
    this.#closing.abort();
  }

  /**
   * Runs `call`, again while it fails for now if `repeatable` says that this changes nothing. Throws
   * {@link TephraClientError} of the last try.
   */
  async run<T>(
    options: CallOptions,
    repeatable: boolean,
    call: (attempt: Attempt) => Promise<T>,
  ): Promise<T> {
    const { signal, timeoutMs = this.#rules.timeoutMs } = options;
    const { clock } = this.#deps;
    const untilMs = timeoutMs > 0 ? clock.monotonicMs() + timeoutMs : Infinity;
    let leftMs = untilMs - clock.monotonicMs();
    for (let tried = 0; ; tried++) {
      this.checkOpen();
      try {
        // Of no time at all is left 1 ms: 0 would be no deadline.
        return await call({
          signal,
          timeoutMs: timeoutMs > 0 ? Math.max(1, Math.ceil(leftMs)) : 0,
        });
      } catch (thrown) {
        const error = toClientError(thrown);
        const waitMs = error.retryAfterMs + this.#backoffMs(tried);
        leftMs = untilMs - clock.monotonicMs() - waitMs;
        const again = repeatable && tried < this.#rules.retries && mayPass(error) && leftMs > 0;
        if (!again || this.#closing.signal.aborted) throw error;
        await this.#wait(waitMs, signal);
      }
    }
  }

  #backoffMs(tried: number): number {
    const most = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** tried);
    return (most * this.#deps.random.u32()) / 2 ** 32;
  }

  /** Waits; ends early where the caller gives up or the client is closed, which the next try then tells. */
  #wait(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const closing = this.#closing.signal;
    const signals = signal === undefined ? [closing] : [closing, signal];
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        for (const one of signals) one.removeEventListener('abort', finish);
        resolve();
      };
      const cancel = this.#deps.timers.after(waitMs, finish);
      for (const one of signals) one.addEventListener('abort', finish);
      if (signals.some(({ aborted }) => aborted)) finish();
    });
  }
}

/** The options of Connect for a try. */
export function rpcOptions({ signal, timeoutMs }: Attempt): RpcOptions {
  return { timeoutMs, ...(signal === undefined ? {} : { signal }) };
}

/** A question that was too much for one deadline is too much for the next. */
function mayPass({ retryable, code }: TephraClientError): boolean {
  return retryable && code !== 'deadline_exceeded';
}
