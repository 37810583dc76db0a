import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import { ByAddress } from './by-address.ts';
import { TokenBucket } from './token-bucket.ts';

/**
 * Ends connections that open streams only to reset them, or to end them without a message: each costs us more
 * than it costs them. A connection may do so many times at once and so many a second from then on, and
 * so may an address: one that comes back with a new connection whenever the last one was ended gains nothing by it.
 */
export class ResetCount {
  readonly #clock: Clock;
  readonly #sessions = new WeakMap<object, TokenBucket>();
  readonly #addresses = new ByAddress(
    (nowMs) =>
      new TokenBucket(
        LIMITS.streamResetsPerAddressMax,
        LIMITS.streamResetsPerAddressPerSecond,
        nowMs,
      ),
    (room, nowMs) => room.isFull(nowMs),
  );

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Counts the stream if it is reset before its answer was complete or, where it `needsMessage`, brings
   * nothing. Ends the connection and returns false if it or its address has used its share up: what is
   * refused here costs nothing of a call.
   */
  admit(stream: ServerHttp2Stream, needsMessage: boolean): boolean {
    const { session } = stream;
    if (session === undefined) return true;
    const address = session.socket?.remoteAddress ?? '';
    const nowMs = this.#clock.monotonicMs();
    if (
      isSpent(this.#sessions.get(session), nowMs) ||
      isSpent(this.#addresses.peek(address), nowMs)
    ) {
      session.destroy();
      return false;
    }
    let aborted = false;
    stream.once('aborted', () => (aborted = true));
    stream.once('close', () => {
      if (aborted || (needsMessage && !stream.readableDidRead)) this.#count(session, address);
    });
    return true;
  }

  #count(session: Http2Session, address: string): void {
    const nowMs = this.#clock.monotonicMs();
    let own = this.#sessions.get(session);
    if (own === undefined) {
      own = new TokenBucket(LIMITS.streamResetsMax, LIMITS.streamResetsPerSecond, nowMs);
      this.#sessions.set(session, own);
    }
    const mayOwn = own.take(nowMs);
    const mayAddress = this.#addresses.of(address, nowMs).take(nowMs);
    if (!mayOwn || !mayAddress) session.destroy();
  }

  /** Whether new connections of an address are served: while it has room for the resets of one. */
  mayConnect(address: string): boolean {
    const room = this.#addresses.peek(address);
    return room === undefined || room.left(this.#clock.monotonicMs()) >= LIMITS.streamResetsMax;
  }
}

function isSpent(room: TokenBucket | undefined, nowMs: number): boolean {
  return room !== undefined && room.left(nowMs) < 1;
}
