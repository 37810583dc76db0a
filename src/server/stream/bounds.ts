import {
  ResponderBuilder,
  ServerInterceptingCall,
  ServerListenerBuilder,
  type ServerInterceptingCallInterface,
} from '@grpc/grpc-js';
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Timers } from '../../base/clock.ts';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { AddressCredits } from '../body/address-credits.ts';
import { inflateHeld } from '../body/body.ts';
import { boundMessages, CompressedMessage, type PartialBytes } from '../grpc/patch.ts';
import { grpcStatus } from '../grpc/status.ts';
import type { HeldMessage } from './session.ts';

/** What bounds messages of streams. */
export interface StreamBounds {
  readonly credits: AddressCredits;
  readonly partial: PartialBytes;
  readonly timers: Timers;
  /** Looks for calls whose message does not come to its end. */
  watch(partial: () => object | undefined, end: (error: TephraError) => void): () => void;
}

/**
 * Bounds a stream: each message holds credits from the moment that it is complete until what is in it is
 * settled, and the next one is read when they were got. A call without a message holds none.
 */
export function boundStream(
  call: ServerInterceptingCallInterface,
  deps: StreamBounds,
): ServerInterceptingCall {
  const address = call.getPeer().replace(/:\d+$/, '');
  const credits = deps.credits.of(address);
  let over = false;
  const bounded = boundMessages(call, LIMITS.streamMessageBytesMax, deps.partial);
  const refuse = (thrown: unknown): void => {
    if (over) return;
    release();
    cutLater(call, deps.timers);
    call.sendStatus(grpcStatus(TephraError.from(thrown)));
  };
  const unwatch = deps.watch(() => bounded?.partial(), refuse);
  const release = (): void => {
    over = true;
    unwatch();
    bounded?.release();
  };
  const held = async (message: Buffer | CompressedMessage): Promise<HeldMessage> => {
    const size = message.byteLength;
    if (size > LIMITS.streamMessageBytesMax) {
      const text = `${size} bytes; ${LIMITS.streamMessageBytesMax} are allowed`;
      throw new TephraError('body_size_limit', text);
    }
    const hold = await credits.acquire(size);
    if (!(message instanceof CompressedMessage)) return { bytes: message, hold };
    const { bytes, encoding } = message;
    if (encoding !== 'gzip' && encoding !== 'deflate') {
      hold.release();
      const found = JSON.stringify(encoding.slice(0, 32));
      throw new TephraError('unsupported_encoding', `${found}; gzip and deflate are read`);
    }
    return inflateHeld({ bytes, hold, credits }, encoding, LIMITS.streamMessageBytesMax);
  };
  const listener = new ServerListenerBuilder()
    .withOnReceiveMessage((message: Buffer | CompressedMessage, next) => {
      const size = message.byteLength;
      // Nearly always: nothing is waited for, and nothing made for a message but what it holds.
      if (!(message instanceof CompressedMessage) && size <= LIMITS.streamMessageBytesMax) {
        const hold = over ? undefined : credits.take(size);
        if (hold !== undefined) {
          next({ bytes: message, hold });
          return;
        }
      }
      held(message)
        .then((one) => {
          if (over) one.hold.release();
          else next(one);
        })
        .catch(refuse);
    })
    .withOnCancel(release)
    .build();
  const responder = new ResponderBuilder()
    .withStart((next) => next(listener))
    .withSendStatus((status, next) => {
      release();
      cutLater(call, deps.timers);
      next(status);
    })
    .build();
  return new ServerInterceptingCall(call, responder);
}

/**
 * The status has been said, but a client need not read it, nor end its half of the call: after a while the
 * call is cut. The HTTP/2 stream is private to the library; without it the end of the connection does it.
 */
function cutLater(call: object, timers: Timers): void {
  const stream = Reflect.get(call, 'stream') as ServerHttp2Stream | undefined;
  if (typeof stream?.destroy !== 'function' || stream.destroyed) return;
  const cancel = timers.after(LIMITS.streamEndMs, () => {
    stream.close(constants.NGHTTP2_CANCEL);
    // Destroyed too: a closed stream waits until the socket has taken what tells the client.
    stream.destroy();
  });
  stream.once('close', cancel);
}
