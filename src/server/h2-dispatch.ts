import type { RequestListener } from 'node:http';
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Server } from '@grpc/grpc-js';

/** Takes a request, over HTTP/1.1 or HTTP/2. */
export type Http2Handler = RequestListener;

type StreamListener = (
  this: void | Http2Server,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
) => void;

/**
 * Sends HTTP/2 streams that are not gRPC to `handler`, so that Connect works over HTTP/2 too. grpc-js
 * has no public way to do so: this reaches into the one HTTP/2 server behind its connection injector
 * (a private field of the pinned version) and checks that it finds what it expects. Returns false,
 * and has changed nothing, if not; grpc-js then answers such streams with 415.
 */
export function dispatchHttp2ByContentType(grpc: Server, handler: Http2Handler): boolean {
  const server = onlyHttp2Server(grpc);
  if (server === undefined) return false;
  const toGrpc = server.listeners('stream') as StreamListener[];
  if (toGrpc.length === 0 || server.listenerCount('request') > 0) return false;

  // Node adds the compatibility layer, a second 'stream' listener, with the first 'request' listener.
  server.removeAllListeners('stream');
  server.on('request', handler);
  const toHandler = server.listeners('stream') as StreamListener[];
  server.removeAllListeners('stream');
  if (toHandler.length === 0) {
    server.removeAllListeners('request');
    for (const listener of toGrpc) server.on('stream', listener as never);
    return false;
  }
  const dispatch: StreamListener = (stream, headers, flags, rawHeaders) => {
    const listeners = isGrpc(headers['content-type']) ? toGrpc : toHandler;
    for (const listener of listeners) listener.call(server, stream, headers, flags, rawHeaders);
  };
  server.on('stream', dispatch as never);
  return true;
}

/** `application/grpc` and `application/grpc+proto`, not `application/grpc-web`. */
function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc($|[+; ])/.test(contentType);
}

function onlyHttp2Server(grpc: Server): Http2Server | undefined {
  const servers: unknown = Reflect.get(grpc, 'http2Servers');
  if (typeof servers !== 'object' || servers === null || !('keys' in servers)) return undefined;
  const all = [...(servers as Map<Http2Server, unknown>).keys()];
  const [server] = all;
  return all.length === 1 && typeof server?.listeners === 'function' ? server : undefined;
}
