import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';

/** How many sockets are let in. Infinity = any number. */
export interface AdmissionLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** New sockets of one address in a second; twice as many may come at the first. */
  readonly connectionRateMax: number;
}

interface Address {
  open: number;
  /** Sockets that may come at `atMs`. */
  room: number;
  atMs: number;
}

/** Addresses beyond which those without sockets are forgotten. */
const ADDRESSES_KEPT = 4_096;

/** Bounds the sockets of the port: in all, by address, and how fast an address brings new ones. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #clock: Clock;
  readonly #addresses = new Map<string, Address>();
  #open = 0;

  constructor(limits: AdmissionLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Sockets that are open. */
  get open(): number {
    return this.#open;
  }

  /** Counts the socket until it closes and returns true, or destroys it and returns false. */
  admit(socket: Socket): boolean {
    const address = this.#addressOf(socket.remoteAddress ?? '');
    const { connectionsMax, connectionsPerAddressMax } = this.#limits;
    if (
      this.#open >= connectionsMax ||
      address.open >= connectionsPerAddressMax ||
      address.room < 1
    ) {
      socket.on('error', () => {});
      socket.destroy();
      return false;
    }
    this.#open++;
    address.open++;
    address.room--;
    socket.once('close', () => {
      this.#open--;
      address.open--;
    });
    return true;
  }

  #addressOf(name: string): Address {
    const nowMs = this.#clock.monotonicMs();
    const rate = this.#limits.connectionRateMax;
    const found = this.#addresses.get(name);
    if (found !== undefined) {
      found.room = Math.min(2 * rate, found.room + ((nowMs - found.atMs) / 1_000) * rate);
      found.atMs = nowMs;
      return found;
    }
    if (this.#addresses.size >= ADDRESSES_KEPT) this.#forget(nowMs);
    const fresh = { open: 0, room: 2 * rate, atMs: nowMs };
    this.#addresses.set(name, fresh);
    return fresh;
  }

  /** Addresses without sockets, whose next ones would find all the room again. */
  #forget(nowMs: number): void {
    for (const [name, { open, atMs }] of this.#addresses) {
      if (open === 0 && nowMs - atMs > 2_000) this.#addresses.delete(name);
    }
  }
}
