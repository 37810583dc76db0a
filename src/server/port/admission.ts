import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { ByAddress } from './by-address.ts';
import { TokenBucket } from './token-bucket.ts';

/** How many sockets are let in. Infinity = any number. */
export interface AdmissionLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** New sockets of one address in a second; twice as many may come at the first. */
  readonly connectionRateMax: number;
}

interface Address {
  open: number;
  /** For new sockets. */
  readonly room: TokenBucket;
}

/** Bounds the sockets of the port: in all, by address, and how fast an address brings new ones. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #clock: Clock;
  readonly #addresses: ByAddress<Address>;
  #open = 0;

  constructor(limits: AdmissionLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    const rate = limits.connectionRateMax;
    this.#addresses = new ByAddress(
      (nowMs) => ({ open: 0, room: new TokenBucket(2 * rate, rate, nowMs) }),
      ({ open, room }, nowMs) => open === 0 && room.isFull(nowMs),
    );
  }

  /** Sockets that are open. */
  get open(): number {
    return this.#open;
  }

  /** Counts the socket until it closes and returns true, or destroys it and returns false. */
  admit(socket: Socket): boolean {
    const nowMs = this.#clock.monotonicMs();
    const address = this.#addresses.of(socket.remoteAddress ?? '', nowMs);
    const { connectionsMax, connectionsPerAddressMax } = this.#limits;
    if (
      this.#open >= connectionsMax ||
      address.open >= connectionsPerAddressMax ||
      !address.room.take(nowMs)
    ) {
      socket.on('error', () => {});
      socket.destroy();
      return false;
    }
    this.#open++;
    address.open++;
    socket.once('close', () => {
      this.#open--;
      address.open--;
    });
    return true;
  }
}
