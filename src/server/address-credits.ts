import type { Credits, Hold } from './credits.ts';

/** Where one client's credits come from. */
export interface CreditSource {
  /** As {@link Credits.acquire}. */
  acquire(bytes: number): Promise<Hold>;
}

/**
 * Credits with a share for each address: requests of one that are slow, or never complete, keep
 * only that address waiting and leave the rest to the others.
 */
export class AddressCredits {
  readonly #total: Credits;
  readonly #makeShare: () => Credits;
  readonly #shares = new Map<string, { readonly credits: Credits; calls: number }>();

  constructor(total: Credits, makeShare: () => Credits) {
    this.#total = total;
    this.#makeShare = makeShare;
  }

  /** The credits of one address. */
  of(address: string | undefined): CreditSource {
    return { acquire: (bytes) => this.#acquire(address ?? '', bytes) };
  }

  async #acquire(address: string, bytes: number): Promise<Hold> {
    const share = this.#shares.get(address) ?? { credits: this.#makeShare(), calls: 0 };
    this.#shares.set(address, share);
    share.calls++;
    const leave = (): void => {
      share.calls--;
      if (share.calls === 0) this.#shares.delete(address);
    };
    let own: Hold | undefined;
    try {
      own = await share.credits.acquire(bytes);
      const all = await this.#total.acquire(bytes);
      return both(own, all, leave);
    } catch (error) {
      own?.release();
      leave();
      throw error;
    }
  }
}

function both(own: Hold, all: Hold, leave: () => void): Hold {
  let released = false;
  return {
    resize(bytes) {
      own.resize(bytes);
      all.resize(bytes);
    },
    release() {
      if (released) return;
      released = true;
      own.release();
      all.release();
      leave();
    },
  };
}
