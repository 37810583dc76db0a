import type { Credits, Hold } from './credits.ts';

/** Where one client's credits come from. */
export interface CreditSource {
  /** As {@link Credits.acquire}. */
  acquire(bytes: number): Promise<Hold>;
  /** The same where nobody has to wait, else undefined. */
  take(bytes: number): Hold | undefined;
}

/** Credits of one address, and the requests that have some or wait. */
interface Share {
  readonly credits: Credits;
  calls: number;
}

/**
 * Credits with a share for each address: requests of one that are slow, or never complete, keep
 * only that address waiting and leave the rest to the others.
 */
export class AddressCredits {
  readonly #total: Credits;
  readonly #makeShare: () => Credits;
  readonly #shares = new Map<string, Share>();

  constructor(total: Credits, makeShare: () => Credits) {
    this.#total = total;
    this.#makeShare = makeShare;
  }

  /** The credits of one address. */
  of(address: string | undefined): CreditSource {
    const name = address ?? '';
    return {
      acquire: (bytes) => this.#acquire(name, bytes),
      take: (bytes) => this.#take(name, bytes),
    };
  }

  #shareOf(address: string): Share {
    let share = this.#shares.get(address);
    if (share === undefined) {
      share = { credits: this.#makeShare(), calls: 0 };
      this.#shares.set(address, share);
    }
    return share;
  }

  readonly #leaveShare = (address: string, share: Share): void => {
    share.calls--;
    if (share.calls === 0) this.#shares.delete(address);
  };

  #take(address: string, bytes: number): Hold | undefined {
    const share = this.#shareOf(address);
    share.calls++;
    if (share.credits.take(bytes)) {
      if (this.#total.take(bytes)) {
        return new TakenHold(bytes, share, this.#total, address, this.#leaveShare);
      }
      share.credits.give(bytes);
    }
    this.#leaveShare(address, share);
    return undefined;
  }

  async #acquire(address: string, bytes: number): Promise<Hold> {
    const share = this.#shareOf(address);
    share.calls++;
    const leave = (): void => this.#leaveShare(address, share);
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

/** What {@link CreditSource.take} gives: one object, because a stream takes credits for each message. */
class TakenHold implements Hold {
  #bytes: number;
  #isHeld = true;
  readonly #share: Share;
  readonly #total: Credits;
  readonly #address: string;
  readonly #leave: (address: string, share: Share) => void;

  constructor(
    bytes: number,
    share: Share,
    total: Credits,
    address: string,
    leave: (address: string, share: Share) => void,
  ) {
    this.#bytes = bytes;
    this.#share = share;
    this.#total = total;
    this.#address = address;
    this.#leave = leave;
  }

  resize(bytes: number): void {
    if (!this.#isHeld) return;
    const less = this.#bytes - bytes;
    this.#bytes = bytes;
    this.#share.credits.give(less);
    this.#total.give(less);
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#share.credits.give(this.#bytes);
    this.#total.give(this.#bytes);
    this.#leave(this.#address, this.#share);
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
