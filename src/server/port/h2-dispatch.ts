import type { RequestListener } from 'node:http';
import {
  constants,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import type { Timers } from '../../base/clock.ts';
import type { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { areTooTiny } from '../body/body.ts';
import { noteAcceptedEncoding } from '../grpc/answers.ts';
import { headerExcess, type RequestBounds } from './request-bounds.ts';
import type { ResetCount } from './reset-count.ts';
import { statusNumber } from '../answer/status.ts';
import { STREAM_NAME } from '../stream/hub.ts';

/** What streams are dispatched with. */
export interface DispatchOptions {
  /** Takes the streams that are not gRPC. */
  readonly handler: RequestListener;
  readonly resets: ResetCount;
  readonly bounds: RequestBounds;
  readonly timers: Timers;
  /** Paths of calls that may be silent and live for as long as they like, if they are read. */
  readonly longPaths: ReadonlySet<string>;
}

type StreamListener = (
  this: void | Http2Server,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
) => void;

/**
 * Sends HTTP/2 streams that are not gRPC to `handler`, so that Connect works over HTTP/2 too, and
 * bounds the time of all streams. grpc-js has no public way to do so: this reaches into the one HTTP/2
 * server behind its connection injector (a private field of the pinned version) and checks that it
 * finds what it expects. Returns false, and has changed nothing, if not; grpc-js then answers such
 * streams with 415.
 */
export function dispatchHttp2ByContentType(grpc: Server, options: DispatchOptions): boolean {
  const server = onlyHttp2Server(grpc);
  if (server === undefined) return false;
  const toGrpc = server.listeners('stream') as StreamListener[];
  if (toGrpc.length === 0 || server.listenerCount('request') > 0) return false;

  // Node adds the compatibility layer, a second 'stream' listener, with the first 'request' listener.
  server.removeAllListeners('stream');
  server.on('request', options.handler);
  const toHandler = server.listeners('stream') as StreamListener[];
  server.removeAllListeners('stream');
  if (toHandler.length === 0) {
    server.removeAllListeners('request');
    for (const listener of toGrpc) server.on('stream', listener as never);
    return false;
  }
  const streams = new StreamCount(options.bounds);
  const { resets } = options;
  const dispatch: StreamListener = (stream, headers, flags, rawHeaders) => {
    // A reset must not become an unhandled 'error' event.
    stream.on('error', () => {});
    const isForGrpc = isGrpc(headers['content-type']);
    if (!resets.admit(stream, isForGrpc)) return;
    if (!streams.admit(stream)) {
      // Clients know from this code that nothing was done and that they may send it again.
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    boundTime(stream, options.timers, options.longPaths.has(headers[':path'] ?? ''));
    const excess = isForGrpc ? headerExcess(rawHeaders, options.bounds.headerBytesMax) : undefined;
    if (excess !== undefined) {
      refuseGrpc(stream, excess);
      return;
    }
    if (isForGrpc) noteAcceptedEncoding(stream, headers);
    const listeners = isForGrpc ? toGrpc : toHandler;
    for (const listener of listeners) listener.call(server, stream, headers, flags, rawHeaders);
    // A stream of small messages has small frames; it is bounded within each message (grpc/patch.ts).
    if (isForGrpc && headers[':path'] !== `/${STREAM_NAME}`) refuseTinyFrames(stream);
  };
  server.on('stream', dispatch as never);
  return true;
}

/** Counts open streams: an idle one costs memory that no other limit sees. */
class StreamCount {
  readonly #bounds: RequestBounds;
  readonly #byAddress = new Map<string, number>();
  #open = 0;

  constructor(bounds: RequestBounds) {
    this.#bounds = bounds;
  }

  admit(stream: ServerHttp2Stream): boolean {
    const address = stream.session?.socket?.remoteAddress ?? '';
    const own = this.#byAddress.get(address) ?? 0;
    const { streamsMax, streamsPerAddressMax } = this.#bounds;
    if (this.#open >= streamsMax || own >= streamsPerAddressMax) return false;
    this.#open++;
    this.#byAddress.set(address, own + 1);
    stream.once('close', () => {
      this.#open--;
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#byAddress.delete(address);
      else this.#byAddress.set(address, left);
    });
    return true;
  }
}

/**
 * A stream whose client takes nothing of what waits for it ends. So does, unless it is a long one, a
 * stream on which nothing moves, and one that moves too slowly for too long.
 */
function boundTime(stream: ServerHttp2Stream, timers: Timers, isLong: boolean): void {
  // Destroyed too: a closed stream waits until the socket has taken what tells the client.
  const end = (): void => {
    stream.close(constants.NGHTTP2_CANCEL);
    stream.destroy();
  };
  let silentMs = 0;
  stream.setTimeout(LIMITS.answerStallMs, () => {
    silentMs += LIMITS.answerStallMs;
    if (stream.writableLength > 0 || (!isLong && silentMs >= LIMITS.streamStallMs)) end();
    else stream.setTimeout(LIMITS.answerStallMs);
  });
  if (!isLong) stream.once('close', timers.after(LIMITS.streamLifeMs, end));
  // Answered in full, yet open for as long as the client does not end its side: RFC 9113, 8.1.
  stream.once('finish', () => {
    if (stream.destroyed || stream.readableEnded) return;
    const stopWaiting = timers.after(LIMITS.streamHalfClosedMs, () => {
      stream.close(constants.NGHTTP2_NO_ERROR);
      stream.destroy();
    });
    stream.once('close', stopWaiting);
  });
}

/**
 * Ends the connection of a sender that cuts messages into tiny frames: the frames to come would cost
 * as much on any stream. To be called after the library has paused the stream, or it would flow.
 */
function refuseTinyFrames(stream: ServerHttp2Stream): void {
  let frames = 0;
  let bytes = 0;
  stream.on('data', (chunk: Uint8Array) => {
    frames++;
    bytes += chunk.byteLength;
    if (areTooTiny(frames, bytes)) stream.session?.destroy();
  });
}

function refuseGrpc(stream: ServerHttp2Stream, error: TephraError): void {
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': String(statusNumber(error)),
      'grpc-message': encodeURIComponent(error.message),
    },
    { endStream: true },
  );
  stream.resume();
}

/** `application/grpc` and `application/grpc+proto`, not `application/grpc-web`; JSON is Connect-ES's to read. */
function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?!\+json)($|[+; ])/.test(contentType);
}

function onlyHttp2Server(grpc: Server): Http2Server | undefined {
  const servers: unknown = Reflect.get(grpc, 'http2Servers');
  if (typeof servers !== 'object' || servers === null || !('keys' in servers)) return undefined;
  const all = [...(servers as Map<Http2Server, unknown>).keys()];
  const [server] = all;
  return all.length === 1 && typeof server?.listeners === 'function' ? server : undefined;
}
