import { TephraError } from '../../base/errors.ts';
import type { Timers } from '../../base/clock.ts';
import type { Credits, Hold } from '../body/credits.ts';

/** Shares of one address. */
export interface AddressLimits {
  /** Bytes of answers that it has not taken yet, beyond which it gets no more. */
  readonly bytesMax: number;
  /** Queries that run, wait, or are not taken yet. */
  readonly callsMax: number;
  /** Queries that run; the others wait, so that one address never has all places of the engine. */
  readonly runningMax: number;
  /** How long a query waits for those of its own address. */
  readonly waitMs: number;
  readonly timers: Timers;
  /** Bytes that a query takes before the size of its answer is known. */
  readonly unsizedBytes: number;
}

/** What one answer holds. */
export interface AnswerHold extends Hold {
  /**
   * Takes the bytes of the answer once they are known, without waiting: the answer is there already,
   * and is dropped if this throws. Throws `too_many_queries` or `overloaded`, both of which may be asked
   * again. An answer larger than a limit is let in alone.
   */
  fit(bytes: number): void;
}

/**
 * Bounds the bytes of answers that clients have not taken: in all, and by address, so that one that
 * does not read keeps only itself from asking.
 */
export class AnswerBudget {
  readonly #total: Credits;
  readonly #limits: AddressLimits;
  readonly #addresses = new Map<string, Share>();

  constructor(total: Credits, limits: AddressLimits) {
    this.#total = total;
    this.#limits = limits;
  }

  /**
   * Waits for the turn of another query of `address` and for room for its answer. Throws `too_many_queries` if the
   * address has its share already or too many in front, `overloaded` if there is no room in time.
   */
  async acquire(address: string): Promise<AnswerHold> {
    const share = this.#addresses.get(address) ?? newShare();
    const { bytesMax, callsMax, unsizedBytes } = this.#limits;
    const refusal = (): TephraError =>
      new TephraError(
        'too_many_queries',
        `${share.calls} queries of this address run or wait to be read (${share.bytes} bytes)`,
      );
    if (share.calls >= callsMax || (share.calls > 0 && share.bytes + unsizedBytes > bytesMax)) {
      throw refusal();
    }
    this.#addresses.set(address, share);
    share.calls++;
    let size = unsizedBytes;
    share.bytes += size;
    const leave = (): void => {
      share.calls--;
      share.bytes -= size;
      size = 0;
      if (share.calls === 0) this.#addresses.delete(address);
    };
    let hold: Hold;
    try {
      await this.#turn(share, refusal);
    } catch (error) {
      leave();
      throw error;
    }
    let running = true;
    const ran = (): void => {
      if (!running) return;
      running = false;
      share.running--;
      share.waiting.values().next().value?.();
    };
    try {
      hold = await this.#total.acquire(unsizedBytes);
    } catch (error) {
      ran();
      leave();
      throw error;
    }
    let released = false;
    const resize = (bytes: number): void => {
      ran();
      share.bytes += bytes - size;
      size = bytes;
      hold.resize(bytes);
    };
    return {
      resize: (bytes) => {
        if (!released) resize(bytes);
      },
      fit: (bytes) => {
        if (released) return;
        ran();
        const more = bytes - size;
        if (share.bytes > size && share.bytes + more > bytesMax) throw refusal();
        if (this.#total.heldBytes > size && !this.#total.fits(more)) {
          const held = `${this.#total.heldBytes} bytes of answers wait to be read; ask again later`;
          throw new TephraError('overloaded', held);
        }
        resize(bytes);
      },
      release: () => {
        if (released) return;
        released = true;
        ran();
        hold.release();
        leave();
      },
    };
  }

  #turn(share: Share, refusal: () => TephraError): Promise<void> | undefined {
    if (share.running < this.#limits.runningMax) {
      share.running++;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const start = (): void => {
        share.waiting.delete(start);
        cancel();
        share.running++;
        resolve();
      };
      const cancel = this.#limits.timers.after(this.#limits.waitMs, () => {
        share.waiting.delete(start);
        reject(refusal());
      });
      share.waiting.add(start);
    });
  }
}

/** What one address has. */
interface Share {
  bytes: number;
  calls: number;
  running: number;
  /** Each starts a query that waits for its turn, in their order. */
  readonly waiting: Set<() => void>;
}

function newShare(): Share {
  return { bytes: 0, calls: 0, running: 0, waiting: new Set() };
}

/** Methods whose answers are tiny, and which must not wait for those who do not read theirs. */
export function hasTinyAnswer(name: string): boolean {
  return /^(push\.v1|grpc\.|tephra\.v1\.IngestService|opentelemetry\.)/.test(name);
}
