import type { Timers } from '../../base/clock.ts';
import { TephraError } from '../../base/errors.ts';

/** Bytes that a request holds; given back once. */
export interface Hold {
  /** Corrects the size once it is known. Never waits, so the sum may pass the limit by one request. */
  resize(bytes: number): void;
  /** Gives everything back; a second call does nothing. */
  release(): void;
}

/** How credits are given. */
export interface CreditOptions {
  /** Bytes of all requests together. */
  readonly limitBytes: number;
  /** How long a request waits for room. */
  readonly waitMs: number;
  readonly timers: Timers;
  /** Told whenever the sum changes. */
  readonly onChange?: ((heldBytes: number) => void) | undefined;
}

/**
 * Bounds the bytes of requests in flight. They are taken before a body is read and given back after
 * the answer, so that clients wait in their sockets and not in our memory. First come, first served.
 */
export class Credits {
  readonly #options: CreditOptions;
  readonly #waiting = new Set<{ readonly bytes: number; readonly admit: () => void }>();
  #held = 0;
  #limitBytes: number;

  constructor(options: CreditOptions) {
    this.#options = options;
    this.#limitBytes = options.limitBytes;
  }

  /** Bytes of all requests together, at this moment. */
  get limitBytes(): number {
    return this.#limitBytes;
  }

  /** Another limit from now on; what is held beyond it stays. */
  setLimit(bytes: number): void {
    this.#limitBytes = bytes;
    this.#admit();
  }

  /** Bytes held at this moment. */
  get heldBytes(): number {
    return this.#held;
  }

  /**
   * Takes `bytes`, waiting for room. One request larger than the limit is let in alone. Throws
   * `overloaded` when there is no room in time.
   */
  async acquire(bytes: number): Promise<Hold> {
    if (!this.take(bytes)) await this.#wait(bytes);
    let size = bytes;
    let released = false;
    return {
      resize: (next) => {
        if (released) return;
        this.#change(next - size);
        size = next;
      },
      release: () => {
        if (released) return;
        released = true;
        this.#change(-size);
      },
    };
  }

  /** Takes `bytes` if that is possible at once; they are given back by {@link give}, once. */
  take(bytes: number): boolean {
    if (this.#waiting.size > 0 || !this.fits(bytes)) return false;
    this.#change(bytes);
    return true;
  }

  /** Gives back what {@link take} took, or a part of it; a negative number takes more, without waiting. */
  give(bytes: number): void {
    this.#change(-bytes);
  }

  #wait(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = {
        bytes,
        admit: () => {
          cancel();
          resolve();
        },
      };
      const cancel = this.#options.timers.after(this.#options.waitMs, () => {
        this.#waiting.delete(waiter);
        // The one that left may have kept smaller ones behind it from going in.
        this.#admit();
        reject(
          new TephraError(
            'overloaded',
            `${this.#held} of ${this.#limitBytes} bytes are in flight; send again later`,
          ),
        );
      });
      this.#waiting.add(waiter);
    });
  }

  /** Whether so many more would go in now. */
  fits(bytes: number): boolean {
    return this.#held === 0 || this.#held + bytes <= this.#limitBytes;
  }

  #change(bytes: number): void {
    this.#held += bytes;
    this.#options.onChange?.(this.#held);
    if (bytes < 0) this.#admit();
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      if (!this.fits(waiter.bytes)) return;
      this.#waiting.delete(waiter);
      this.#change(waiter.bytes);
      waiter.admit();
    }
  }
}
