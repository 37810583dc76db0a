import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { AnswerFront } from '../../query/request.ts';
import { holdAnswer, type AnswerDeps, type HeldAnswer } from '../answer/answer.ts';
import { gzipped } from '../answer/large-answer.ts';
import { MISSING_METHODS } from '../connect/missing-services.ts';
import { observed, unlessAborted, type RunDeps } from '../rpc/run.ts';
import { type ErrorBody, sendError, sendRpcError } from '../answer/send-error.ts';
import { takesGzip } from '../answer/takes-gzip.ts';
import { STREAM_NAME } from '../stream/hub.ts';

const gzipAsync = promisify(gzip);

/** What a plain route answers. */
export interface RouteAnswer {
  readonly status: number;
  /** Empty = no body and no content type. */
  readonly body: string | Uint8Array | SlicedBody;
  readonly contentType?: string | undefined;
  /** More headers, names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A body that is made while it is read. */
export interface SlicedBody {
  /** Bytes that it holds until it is read. */
  readonly byteLength: number;
  readonly front?: AnswerFront | undefined;
  /** To be compressed for clients that take gzip; what is compressed already is not. */
  readonly isPlain?: boolean | undefined;
  readonly slices: AsyncIterable<Uint8Array>;
}

/** A plain HTTP route. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** It asks the engine: it waits for its turn and for room for its answer, as queries do. Others never wait. */
  readonly isQuery?: boolean;
  /** The signal fires, with a TephraError as its reason, when the client leaves or the server stops. */
  readonly handle: (
    request: IncomingMessage,
    query: URLSearchParams,
    signal: AbortSignal,
  ) => Promise<RouteAnswer>;
  /** HTTP status of an error; that of the error table unless given. */
  readonly errorStatus?: (error: TephraError) => number;
  /** Body of an error, where it is not the usual JSON. */
  readonly errorBody?: (request: IncomingMessage, error: TephraError) => ErrorBody;
}

/** Plain routes by exact path: paths are looked up, never decoded or joined. */
export type Routes = ReadonlyMap<string, Route>;

/** Answers a request that is no RPC: by its route, else 404 or 405, in JSON unless the route says otherwise. */
export async function serveRoute(
  routes: Routes,
  services: ReadonlySet<string>,
  request: IncomingMessage,
  response: ServerResponse,
  deps: RunDeps & AnswerDeps,
): Promise<void> {
  const [path = '', search = ''] = (request.url ?? '').split(/\?(.*)/s, 2);
  const route = routes.get(path);
  if (route === undefined) {
    const { status, error } = unknownPath(path, services, request.httpVersionMajor);
    sendRpcError(request, response, error, status);
    return;
  }
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  if (method !== route.method) {
    const allow = route.method === 'GET' ? 'GET, HEAD' : route.method;
    response.setHeader('allow', allow);
    const error = new TephraError('invalid_argument', `${path} takes ${allow}`);
    sendError(request, response, error, 405, route.errorBody?.(request, error));
    return;
  }
  const held = holdAnswer(response, deps);
  const controller = new AbortController();
  const { signal } = controller;
  response.once('close', () => controller.abort(new TephraError('canceled', 'the client left')));
  const end = (error: TephraError): void => controller.abort(error);
  const forget = route.method === 'GET' ? deps.openCalls.add(end) : () => {};
  try {
    const answer = await observed(path, deps, async () => {
      const query = parseQuery(search);
      if (route.isQuery === true) await held.room();
      return unlessAborted(route.handle(request, query, signal), signal, closeBody);
    });
    forget();
    if (answer.contentType !== undefined) response.setHeader('content-type', answer.contentType);
    for (const [name, value] of Object.entries(answer.headers ?? {})) {
      response.setHeader(name, value);
    }
    const { body } = answer;
    if (typeof body === 'object' && 'slices' in body) {
      held.fit(body.byteLength, body.front);
      const slices = body.isPlain === true ? packed(request, response, body.slices) : body.slices;
      response.writeHead(answer.status);
      await sendSlices(request, response, slices, held);
    } else {
      await sendBody(request, response, { ...answer, body }, held);
    }
  } catch (thrown) {
    forget();
    const error = TephraError.from(thrown);
    if (response.headersSent) throw error;
    const status = route.errorStatus?.(error) ?? error.row.http;
    sendError(request, response, error, status, route.errorBody?.(request, error));
  }
}

/** Throws `too_many_parameters`, before anything is made of them, and `invalid_argument` for bytes that are no UTF-8. */
function parseQuery(search: string): URLSearchParams {
  const count = search.split('&', LIMITS.queryParametersMax + 1).length;
  if (count > LIMITS.queryParametersMax) {
    const found = `more than ${LIMITS.queryParametersMax} query parameters`;
    throw new TephraError('too_many_parameters', found);
  }
  const query = new URLSearchParams(search);
  // Decoding puts U+FFFD where the bytes are no UTF-8: another text than the one that was sent.
  if (!/%EF%BF%BD|\uFFFD/i.test(search)) {
    for (const [name, value] of query) {
      if (!`${name}${value}`.includes('\uFFFD')) continue;
      throw new TephraError('invalid_argument', `${name.slice(0, 64)}: expected UTF-8`);
    }
  }
  return query;
}

async function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  answer: RouteAnswer & { readonly body: string | Uint8Array },
  held: HeldAnswer,
): Promise<void> {
  let bytes = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body;
  if (
    bytes.byteLength >= LIMITS.compressBytesMin &&
    takesGzip(request.headers['accept-encoding'])
  ) {
    bytes = await gzipAsync(bytes, { level: 1 });
    response.setHeader('content-encoding', 'gzip');
  }
  response.appendHeader('vary', 'Accept-Encoding');
  // The length of a 304 would be that of the file which is not sent.
  const length = answer.status === 304 ? {} : { 'content-length': bytes.byteLength };
  response.writeHead(answer.status, length);
  await sendSlices(request, response, once(bytes), held);
}

/** The slices as this client takes them: compressed on the way, if it takes that. */
function packed(
  request: IncomingMessage,
  response: ServerResponse,
  slices: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  response.appendHeader('vary', 'Accept-Encoding');
  if (!takesGzip(request.headers['accept-encoding'])) return slices;
  response.setHeader('content-encoding', 'gzip');
  return request.method === 'HEAD' ? slices : gzipped(slices);
}

async function sendSlices(
  request: IncomingMessage,
  response: ServerResponse,
  slices: AsyncIterable<Uint8Array>,
  held: HeldAnswer,
): Promise<void> {
  if (request.method !== 'HEAD') {
    for await (const chunk of held.counted(slices)) {
      if (!response.write(chunk)) await drained(response);
      if (response.destroyed) return;
    }
  }
  response.end();
}

/** Gives back what an answer holds that nobody will get. */
function closeBody({ body }: RouteAnswer): void {
  if (typeof body === 'object' && 'slices' in body) body.front?.close();
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield bytes;
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}

/**
 * A method missing in a service that is here is 501; a service that is not here is 404. What needs both
 * directions at once is 505 over HTTP/1.1, which has no such thing.
 */
function unknownPath(
  path: string,
  services: ReadonlySet<string>,
  httpVersion: number,
): { status: number; error: TephraError } {
  if (path === `/${STREAM_NAME}`) {
    const error = new TephraError('unimplemented', 'streams are spoken by gRPC over HTTP/2 only');
    return { status: httpVersion < 2 ? 505 : error.row.http, error };
  }
  const [, service, rpc] = /^\/([\w.]+)\/(\w+)$/.exec(path) ?? [];
  if (service !== undefined && (services.has(service) || MISSING_METHODS.has(path))) {
    return { status: 501, error: new TephraError('unimplemented', `no method ${service}/${rpc}`) };
  }
  const shown = JSON.stringify(path.slice(0, 128));
  return { status: 404, error: new TephraError('not_found', `nothing is served at ${shown}`) };
}
