import type { Socket } from 'node:net';
import type { Timers } from '../../base/clock.ts';

/** What every HTTP/2 connection begins with (RFC 9113, 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Who gets a socket once its protocol is known. */
export interface SniffTargets {
  readonly http1: (socket: Socket) => void;
  readonly http2: (socket: Socket) => void;
  /** The socket closed, or was closed after the time limit, before it had shown anything. */
  readonly none: () => void;
}

/**
 * Reads a socket until its bytes are the HTTP/2 preface or differ from it, puts them back and hands
 * the socket on. A socket that stays silent is destroyed after `timeoutMs`.
 */
export function sniff(
  socket: Socket,
  targets: SniffTargets,
  timers: Timers,
  timeoutMs: number,
): void {
  let seen: Buffer = Buffer.alloc(0);
  const cancel = timers.after(timeoutMs, () => socket.destroy());
  const stop = (): void => {
    cancel();
    socket.off('data', onData);
    socket.off('error', onError);
    socket.off('close', onClose);
  };
  // Without a listener, a reset by the peer would end the process.
  const onError = (): void => {};
  const onClose = (): void => {
    stop();
    targets.none();
  };
  const onData = (chunk: Buffer): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const compared = Math.min(seen.length, PREFACE.length);
    const isPreface = seen.subarray(0, compared).equals(PREFACE.subarray(0, compared));
    if (isPreface && compared < PREFACE.length) return;
    stop();
    socket.pause();
    socket.unshift(seen);
    if (isPreface) {
      targets.http2(socket);
    } else {
      targets.http1(socket);
      socket.resume();
    }
  };
  socket.on('error', onError);
  socket.on('close', onClose);
  socket.on('data', onData);
}
