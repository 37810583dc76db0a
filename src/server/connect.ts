import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DescMethodUnary, Message } from '@bufbuild/protobuf';
import { fromBinary } from '@bufbuild/protobuf';
import {
  createConnectRouter,
  createContextKey,
  createContextValues,
  type ConnectRouter,
  type ContextValues,
  type HandlerContext,
} from '@connectrpc/connect';
import { createAsyncIterable, type UniversalServerResponse } from '@connectrpc/connect/protocol';
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from '@connectrpc/connect-node';
import { isErrorLike, TephraError } from '../base/errors.ts';
import { inflateBody, readBody } from './body.ts';
import type { Credits, Hold } from './credits.ts';
import { replyCarrier, replyMessage, replyNotes } from './rpc/encoded.ts';
import type { RpcMethod } from './rpc/method.ts';
import { callContext, observed, runMethod, type RunDeps } from './rpc/run.ts';
import { sendError } from './send-error.ts';
import { connectHttpStatus, toConnectError } from './status.ts';

/** What Connect needs to serve. */
export interface ConnectDeps extends RunDeps {
  readonly methods: readonly RpcMethod[];
  readonly credits: Credits;
  readonly bodyBytesMax: number;
}

/** Serves the request if its path is that of a method; returns false if it is not. */
export type ConnectHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

/** The request, where the edge has decoded it already. */
const DECODED = createContextKey<Message | undefined>(undefined);

const PUSH = 'push.v1.PusherService/Push';

type UniversalHandler = ConnectRouter['handlers'][number];

/**
 * Connect unary over HTTP/1.1 and HTTP/2, binary and JSON, by Connect-ES. The edge reads the body
 * itself: so it holds credits while it reads, answers 413 where clients expect it, and tells bytes
 * that do not decode (`invalid_argument`) from our own faults, which the library calls `internal`
 * both.
 */
export function createConnectHandler(deps: ConnectDeps): ConnectHandler {
  const router = createConnectRouter({
    connect: true,
    grpc: false,
    grpcWeb: false,
    acceptCompression: [compressionGzip],
    readMaxBytes: 2 * deps.bodyBytesMax,
  });
  const byPath = new Map<string, { method: RpcMethod; handler: UniversalHandler }>();
  for (const method of deps.methods) {
    router.rpc(method.desc, (request: Message, context: HandlerContext) =>
      answer(method, context.values.get(DECODED) ?? request, context, deps),
    );
    const handler = router.handlers.at(-1);
    if (handler !== undefined) byPath.set(handler.requestPath, { method, handler });
  }
  return (request, response) => {
    const found = byPath.get(request.url?.split('?', 1)[0] ?? '');
    if (found === undefined) return false;
    serve(request, response, found.method, found.handler, deps).catch((thrown: unknown) => {
      // The client is gone, or nothing more can be written to it.
      deps.logger.debug('a connect answer was not delivered', { detail: String(thrown) });
      response.destroy();
    });
    return true;
  };
}

async function answer(
  method: RpcMethod,
  request: Message,
  context: HandlerContext,
  deps: ConnectDeps,
): Promise<Message> {
  const call = callContext(deps.clock, context.requestHeader.get('accept'));
  try {
    const reply = await runMethod(method, () => request, call, deps, context.signal);
    for (const [name, value] of Object.entries(replyNotes(reply))) {
      context.responseHeader.set(name, value);
    }
    return isJson(context.requestHeader.get('content-type'))
      ? replyMessage(method.desc.output, reply)
      : replyCarrier(method.desc.output, reply);
  } catch (thrown) {
    throw toConnectError(TephraError.from(thrown));
  }
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  method: RpcMethod,
  handler: UniversalHandler,
  deps: ConnectDeps,
): Promise<void> {
  let result: UniversalServerResponse;
  try {
    result = await invoke(request, response, method, handler, deps);
  } catch (thrown) {
    const error = TephraError.from(thrown);
    await observed(method.name, deps, () => Promise.reject(error)).catch(() => {});
    refuse(request, response, method, error);
    return;
  }
  await universalResponseToNodeResponse(result, response);
}

/** Reads the request and runs the method. The credits end here: an answer is not a request. */
async function invoke(
  request: IncomingMessage,
  response: ServerResponse,
  method: RpcMethod,
  handler: UniversalHandler,
  deps: ConnectDeps,
): Promise<UniversalServerResponse> {
  const values = createContextValues();
  const universal = universalRequest(request, response, values);
  const header = new Headers(universal.header);
  let body = new Uint8Array(0);
  let hold: Hold | undefined;
  try {
    if (request.method === 'POST' && handler.supportedContentType(header.get('content-type'))) {
      ({ body, hold } = await readRequest(request, header, deps));
      if (!isJson(header.get('content-type')) && isIdentity(header)) {
        values.set(DECODED, decode(method.desc, body));
        // Decoded here; what the library reads is the empty message.
        body = new Uint8Array(0);
      }
    } else {
      request.resume();
    }
    header.delete('content-length');
    const result = await handler({ ...universal, header, body: createAsyncIterable([body]) });
    return withAllow(result, handler);
  } finally {
    hold?.release();
  }
}

function universalRequest(
  request: IncomingMessage,
  response: ServerResponse,
  values: ContextValues,
): ReturnType<typeof universalRequestFromNodeRequest> {
  try {
    return universalRequestFromNodeRequest(request, response, undefined, values);
  } catch {
    // HTTP/1.0 without a host, or a host that no URL can have.
    throw new TephraError('invalid_argument', 'the Host header is missing or malformed');
  }
}

/** The body, inflated if the header says gzip; the header then no longer says so. */
async function readRequest(
  request: IncomingMessage,
  header: Headers,
  deps: ConnectDeps,
): Promise<{ body: Uint8Array<ArrayBuffer>; hold: Hold }> {
  const { bytes, hold } = await readBody(request, deps.bodyBytesMax, deps.credits);
  try {
    let body = bytes;
    if (header.get('content-encoding') === 'gzip') {
      body = await inflateBody(bytes, deps.bodyBytesMax);
      hold.resize(body.byteLength);
      header.delete('content-encoding');
    }
    return { body: body as Uint8Array<ArrayBuffer>, hold };
  } catch (error) {
    hold.release();
    throw error;
  }
}

function decode(desc: DescMethodUnary, body: Uint8Array): Message {
  try {
    return fromBinary(desc.input, body);
  } catch (error) {
    throw new TephraError(
      'malformed_protobuf',
      `${desc.input.typeName}: ${isErrorLike(error) ? error.message : String(error)}`,
    );
  }
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  method: RpcMethod,
  error: TephraError,
): void {
  const tooLarge = error.reason === 'body_size_limit';
  // A push too large is the client's fault for ever; a query too large meets a limit of this server.
  const told =
    tooLarge && method.name !== PUSH ? new TephraError('query_limit', error.detail) : error;
  const status = told.reason === 'body_size_limit' ? told.row.http : connectHttpStatus(told);
  sendError(request, response, told, status);
}

function withAllow(
  result: UniversalServerResponse,
  handler: UniversalHandler,
): UniversalServerResponse {
  if (result.status !== 405) return result;
  const header = new Headers(result.header);
  header.set('allow', handler.allowedMethods.join(', '));
  return { ...result, header };
}

function isJson(contentType: string | null): boolean {
  return /^application\/json\b/i.test(contentType ?? '');
}

function isIdentity(header: Headers): boolean {
  return (header.get('content-encoding') ?? 'identity') === 'identity';
}
