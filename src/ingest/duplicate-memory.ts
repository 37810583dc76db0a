/** What is known of an identity: stored, or being stored (resolves to whether it was). */
export type Known = 'durable' | Promise<boolean>;

interface Entry {
  known: Known;
  readonly arrivalMs: number;
}

/** A reservation: exactly one caller stores a push, the others wait for what becomes of it. */
export interface Reservation {
  /** True: the push is durable. False: forget it, the next one to come stores it. */
  settle(durable: boolean): void;
}

/**
 * The pushes of one shard that arrived in the last hour, exactly. A push that is not here and whose
 * event time lies behind {@link horizonMs} may have been stored before; the markers on disk tell.
 */
export class DuplicateMemory {
  readonly #entries = new Map<string, Entry>();
  readonly #spanMs: number;
  readonly #entriesMax: number;
  #horizonMs: number;

  /** `openedMs`: nothing from before this moment is in memory. */
  constructor(options: { openedMs: number; spanMs: number; entriesMax: number }) {
    this.#horizonMs = options.openedMs;
    this.#spanMs = options.spanMs;
    this.#entriesMax = options.entriesMax;
  }

  /** Every push that arrived after this moment is in memory; Unix ms. */
  get horizonMs(): number {
    return this.#horizonMs;
  }

  /** Identities in memory. */
  get size(): number {
    return this.#entries.size;
  }

  /** What is known of an identity (hex). */
  get(identity: string): Known | undefined {
    return this.#entries.get(identity)?.known;
  }

  /** Reserves an identity that {@link get} does not know. */
  reserve(identity: string, arrivalMs: number): Reservation {
    let resolve = (_: boolean): void => {};
    const pending = new Promise<boolean>((done) => {
      resolve = done;
    });
    const entry: Entry = { known: pending, arrivalMs };
    this.#entries.set(identity, entry);
    return {
      settle: (durable) => {
        if (durable) entry.known = 'durable';
        else if (this.#entries.get(identity) === entry) this.#entries.delete(identity);
        resolve(durable);
      },
    };
  }

  /** Forgets what is older than the span, and the oldest beyond the budget. */
  prune(nowMs: number): void {
    for (const [identity, entry] of this.#entries) {
      const old = entry.arrivalMs < nowMs - this.#spanMs;
      if (!old && this.#entries.size <= this.#entriesMax) return;
      // A pending one is younger than any time-out: whoever waits for it holds its promise.
      if (entry.known !== 'durable') return;
      this.#entries.delete(identity);
      this.#horizonMs = Math.max(this.#horizonMs, entry.arrivalMs);
    }
  }
}
