import {
  ResponderBuilder,
  ServerInterceptingCall,
  ServerListenerBuilder,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import type { Timers } from '../../base/clock.ts';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { AddressCredits } from '../body/address-credits.ts';
import { hasTinyAnswer, type AnswerBudget, type AnswerHold } from '../answer/budget.ts';
import { inflateHeld, type HeldBody } from '../body/body.ts';
import type { Hold } from '../body/credits.ts';
import { CompressedMessage } from './patch.ts';
import { grpcStatus } from './status.ts';
import { LargeMessage } from '../answer/large-message.ts';
import { edgeRefusal } from '../answer/status.ts';
import { boundStream, type StreamBounds } from '../stream/bounds.ts';
import { STREAM_NAME } from '../stream/hub.ts';

/** What bounds calls. */
export interface BoundsDeps {
  /** Bytes of requests in flight. */
  readonly credits: AddressCredits;
  readonly answers: AnswerBudget;
  readonly timers: Timers;
  readonly bodyBytesMax: number;
  readonly streams: StreamBounds;
  /** From the headers to the whole message. */
  readonly requestTimeoutMs: number;
}

/**
 * Takes credits at the metadata, before a byte of the message is read; inflates the message within
 * them; waits for room for the answer; and ends a call whose message does not come.
 */
export function boundCalls(deps: BoundsDeps): ServerInterceptor {
  return (method, call) => {
    if (method.path === `/${STREAM_NAME}`) return boundStream(call, deps.streams);
    const address = call.getPeer().replace(/:\d+$/, '');
    const credits = deps.credits.of(address);
    const holds: Hold[] = [];
    let asked: Hold | undefined;
    let answered: AnswerHold | undefined;
    let over = false;
    let stopWaiting = (): void => {};
    const release = (): void => {
      over = true;
      stopWaiting();
      for (const hold of holds) hold.release();
    };
    const refuse = (thrown: unknown): void => {
      const error = edgeRefusal(thrown, method.path.slice(1));
      release();
      call.sendStatus(grpcStatus(error));
    };
    const admit = async (): Promise<void> => {
      if (!hasTinyAnswer(method.path.slice(1))) {
        answered = await deps.answers.acquire(address);
        holds.push(answered);
      }
      asked = await credits.acquire(LIMITS.unsizedRequestBytes);
      holds.push(asked);
      if (over) release();
    };
    const inflate = async (message: CompressedMessage, hold: Hold): Promise<HeldBody> => {
      const { bytes, encoding } = message;
      hold.resize(bytes.byteLength);
      if (encoding !== 'gzip' && encoding !== 'deflate') {
        const found = JSON.stringify(encoding.slice(0, 32));
        throw new TephraError('unsupported_encoding', `${found}; gzip and deflate are read`);
      }
      return inflateHeld({ bytes, hold, credits }, encoding, deps.bodyBytesMax);
    };
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        admit()
          .then(() => {
            if (over) return;
            if (!method.requestStream) {
              stopWaiting = deps.timers.after(deps.requestTimeoutMs, () => {
                const text = `the message was not complete in ${deps.requestTimeoutMs} ms`;
                refuse(new TephraError('request_timeout', text));
              });
            }
            next(metadata);
          })
          .catch(refuse);
      })
      .withOnReceiveMessage((message: unknown, next) => {
        stopWaiting();
        if (asked === undefined) {
          next(message);
        } else if (message instanceof CompressedMessage) {
          inflate(message, asked)
            .then((inflated) => {
              holds.push(inflated.hold);
              if (over) inflated.hold.release();
              else next(inflated.bytes);
            })
            .catch(refuse);
        } else {
          if (hasLength(message)) asked.resize(message.byteLength);
          next(message);
        }
      })
      .withOnCancel(release)
      .build();
    const responder = new ResponderBuilder()
      .withStart((next) => next(listener))
      .withSendMessage((message: unknown, next) => {
        try {
          if (hasLength(message)) {
            if (method.responseStream) answered?.resize(message.byteLength);
            else answered?.fit(message.byteLength);
          }
        } catch (thrown) {
          if (message instanceof LargeMessage) message.close();
          refuse(thrown);
          return;
        }
        next(message);
      })
      .withSendStatus((status, next) => {
        // The status follows the message once that has been written to the connection.
        release();
        next(status);
      })
      .build();
    return new ServerInterceptingCall(call, responder);
  };
}

function hasLength(message: unknown): message is { readonly byteLength: number } {
  return typeof message === 'object' && message !== null && 'byteLength' in message;
}
