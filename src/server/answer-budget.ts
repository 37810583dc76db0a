import { TephraError } from '../base/errors.ts';
import type { Credits, Hold } from './credits.ts';

/** Shares of one address. */
export interface AddressLimits {
  /** Bytes of answers that it has not taken yet, beyond which it gets no more. */
  readonly bytesMax: number;
  /** Queries that run, wait, or are not taken yet. */
  readonly callsMax: number;
}

/**
 * Bounds the bytes of answers that clients have not taken: in all, and by address, so that one that
 * does not read keeps only itself from asking.
 */
export class AnswerBudget {
  readonly #total: Credits;
  readonly #limits: AddressLimits;
  readonly #addresses = new Map<string, { bytes: number; calls: number }>();

  constructor(total: Credits, limits: AddressLimits) {
    this.#total = total;
    this.#limits = limits;
  }

  /**
   * Waits until there is room for another answer to `address`. Throws `too_many_queries` if the
   * address has its share already, `overloaded` if there is no room in time.
   */
  async acquire(address: string): Promise<Hold> {
    const share = this.#addresses.get(address) ?? { bytes: 0, calls: 0 };
    if (share.calls >= this.#limits.callsMax || share.bytes >= this.#limits.bytesMax) {
      throw new TephraError(
        'too_many_queries',
        `${share.calls} queries of this address run or wait to be read (${share.bytes} bytes)`,
      );
    }
    this.#addresses.set(address, share);
    share.calls++;
    let size = 0;
    const leave = (): void => {
      share.calls--;
      if (share.calls === 0) this.#addresses.delete(address);
    };
    let hold: Hold;
    try {
      hold = await this.#total.acquire(0);
    } catch (error) {
      leave();
      throw error;
    }
    let released = false;
    const resize = (bytes: number): void => {
      share.bytes += bytes - size;
      size = bytes;
      hold.resize(bytes);
    };
    return {
      resize: (bytes) => {
        if (!released) resize(bytes);
      },
      release: () => {
        if (released) return;
        released = true;
        resize(0);
        hold.release();
        leave();
      },
    };
  }
}

/** Methods whose answers are tiny, and which must not wait for those who do not read theirs. */
export function hasTinyAnswer(name: string): boolean {
  return /^(push\.v1|grpc\.|tephra\.v1\.IngestService)/.test(name);
}
