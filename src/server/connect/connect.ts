import type { IncomingMessage, ServerResponse } from 'node:http';
import { create, type Message } from '@bufbuild/protobuf';
import {
  createConnectRouter,
  createContextKey,
  createContextValues,
  type ContextValues,
  type HandlerContext,
} from '@connectrpc/connect';
import { createAsyncIterable, type UniversalServerResponse } from '@connectrpc/connect/protocol';
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from '@connectrpc/connect-node';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { hasTinyAnswer, type AnswerBudget } from '../answer/budget.ts';
import { answerBytes, holdAnswer, wholeAnswer, type HeldAnswer } from '../answer/answer.ts';
import { discardBody, readBody, type BodyRules } from '../body/body.ts';
import type { Hold } from '../body/credits.ts';
import { dropEndlessDeadline } from './deadline.ts';
import { refusalOf, type UniversalHandler } from './refusal.ts';
import { largeAnswer, withLarge, type LargeAnswer } from '../answer/large-answer.ts';
import { isPlainCall, servePlainCall } from './plain-call.ts';
import { replyCarrier, replyMessage, replyNotes } from '../rpc/encoded.ts';
import { isStream, requestOf, type AnyRpc, type Reply, type RpcMethod } from '../rpc/method.ts';
import { callContext, observed, runMethod, runStream, type RunDeps } from '../rpc/run.ts';
import {
  decodeJson,
  decodeMessage,
  envelopeOf,
  messageOf,
  rpcFormat,
  type RpcFormat,
} from '../body/rpc-body.ts';
import { sendRpcError } from '../answer/send-error.ts';
import { takesGzip } from '../answer/takes-gzip.ts';
import { edgeHttpStatus, edgeRefusal, toConnectError } from '../answer/status.ts';

/** What Connect needs to serve. */
export interface ConnectDeps extends RunDeps, BodyRules {
  readonly methods: readonly AnyRpc[];
  readonly answers: AnswerBudget;
}

/** Serves the request if its path is that of a method; returns false if it is not. */
export type ConnectHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

/** What the edge has made of the request already: the message, or why it is refused. */
const READ = createContextKey<Message | TephraError | undefined>(undefined);

/** What a call's answer goes through. */
const ANSWER = createContextKey<Answering | undefined>(undefined);

interface Answering {
  readonly held: HeldAnswer;
  /** A large answer; the library gets an empty message in its place. */
  large?: LargeAnswer;
}

/** What nearly all requests are. */
const PUSH = 'push.v1.PusherService/Push';

const EMPTY = new Uint8Array(0);
const EMPTY_JSON = new Uint8Array(Buffer.from('{}'));

/**
 * Connect, gRPC-Web and gRPC by Connect-ES, binary and JSON, over HTTP/1.1; over HTTP/2 all but gRPC.
 * The edge reads the body itself: so it holds credits while it reads, answers 413 where clients
 * expect it, and tells bytes that do not decode (`invalid_argument`) from our own faults, which the
 * library calls `internal` both.
 */
export function createConnectHandler(deps: ConnectDeps): ConnectHandler {
  const router = createConnectRouter({
    acceptCompression: [compressionGzip],
    compressMinBytes: LIMITS.compressBytesMin,
    readMaxBytes: 2 * deps.bodyBytesMax,
  });
  const byPath = new Map<string, { method: AnyRpc; handler: UniversalHandler }>();
  for (const method of deps.methods) {
    if (isStream(method)) {
      router.rpc(method.desc, async function* answers(request: Message, context: HandlerContext) {
        const call = callContext(deps.clock, context.requestHeader.get('accept'), context.signal);
        try {
          for await (const reply of runStream(method, () => readOf(context, request), call, deps)) {
            yield shapeOf(method, reply, context);
          }
        } catch (thrown) {
          throw toConnectError(TephraError.from(thrown));
        }
      });
    } else {
      router.rpc(method.desc, (request: Message, context: HandlerContext) =>
        answer(method, request, context, deps),
      );
    }
    const handler = router.handlers.at(-1);
    if (handler !== undefined) byPath.set(handler.requestPath, { method, handler });
  }
  return (request, response) => {
    const found = byPath.get(request.url?.split('?', 1)[0] ?? '');
    if (found === undefined) return false;
    const { method, handler } = found;
    const served =
      method.name === PUSH && !isStream(method) && isPlainCall(request)
        ? servePlainCall(request, response, method, deps)
        : serve(request, response, method, handler, deps);
    served.catch((thrown: unknown) => {
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
  const call = callContext(deps.clock, context.requestHeader.get('accept'), context.signal);
  try {
    const reply = await runMethod(method, () => readOf(context, request), call, deps);
    for (const [name, value] of Object.entries(replyNotes(reply))) {
      context.responseHeader.set(name, value);
    }
    const answering = context.values.get(ANSWER);
    if (answering !== undefined && 'encoded' in reply) {
      const { encoded } = reply;
      answering.held.fit(answerBytes(encoded), encoded.front);
      const format = rpcFormat(context.requestHeader.get('content-type'));
      const large =
        format === undefined ? undefined : await largeAnswer(method.desc.output, encoded, format);
      if (large !== undefined) {
        answering.large = large;
        return create(method.desc.output);
      }
      if (encoded.front !== undefined) {
        return shapeOf(method, { encoded: await wholeAnswer(encoded) }, context);
      }
    }
    return shapeOf(method, reply, context);
  } catch (thrown) {
    throw toConnectError(TephraError.from(thrown));
  }
}

/** The message that the edge has read, else what the library has. Throws the edge's refusal. */
function readOf(context: HandlerContext, request: Message): Message {
  const read = context.values.get(READ);
  if (read instanceof TephraError) throw read;
  return read ?? request;
}

function shapeOf(
  method: AnyRpc,
  reply: Reply<AnyRpc['desc']['output']>,
  context: HandlerContext,
): Message {
  return rpcFormat(context.requestHeader.get('content-type'))?.json === true
    ? replyMessage(method.desc.output, reply)
    : replyCarrier(method.desc.output, reply);
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  method: AnyRpc,
  handler: UniversalHandler,
  deps: ConnectDeps,
): Promise<void> {
  const held = holdAnswer(response, deps);
  let result: UniversalServerResponse;
  const refused = refusalOf(request, method, handler);
  if (refused !== undefined) {
    await observed(method.name, deps, () => Promise.reject(refused.error)).catch(() => {});
    discardBody(request, response);
    await universalResponseToNodeResponse(refused.answer, response);
    return;
  }
  try {
    if (!hasTinyAnswer(method.name)) await held.room();
    result = await invoke(request, response, { method, handler, held }, deps);
  } catch (thrown) {
    const error = TephraError.from(thrown);
    await observed(method.name, deps, () => Promise.reject(error)).catch(() => {});
    sendRpcError(request, response, error, edgeHttpStatus(error));
    return;
  }
  const { body } = result;
  const counted = body === undefined ? result : { ...result, body: held.counted(body) };
  await universalResponseToNodeResponse(counted, response);
}

interface Invoked {
  readonly method: AnyRpc;
  readonly handler: UniversalHandler;
  readonly held: HeldAnswer;
}

/** Reads the request and runs the method. The credits end here: an answer is not a request. */
async function invoke(
  request: IncomingMessage,
  response: ServerResponse,
  { method, handler, held }: Invoked,
  deps: ConnectDeps,
): Promise<UniversalServerResponse> {
  const values = createContextValues();
  const answering: Answering = { held };
  values.set(ANSWER, answering);
  const universal = universalRequest(request, response, values);
  const header = new Headers(universal.header);
  dropEndlessDeadline(header);
  const format = rpcFormat(header.get('content-type'));
  let body = new Uint8Array(0);
  let hold: Hold | undefined;
  try {
    if (format === undefined) discardBody(request, response);
    else ({ body, hold } = await readRequest(request, header, format, method, values, deps));
    header.delete('content-length');
    // The library knows no weights.
    const isPacked = takesGzip(header.get('accept-encoding') ?? '');
    header.set('accept-encoding', isPacked ? 'gzip' : 'identity');
    const result = await handler({ ...universal, header, body: createAsyncIterable([body]) });
    if (answering.large !== undefined && format !== undefined && result.status === 200) {
      return withLarge(result, answering.large, format, isPacked);
    }
    return result;
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

/**
 * Reads the body and puts the message, or its refusal, into `values`. The library gets the empty message.
 */
async function readRequest(
  request: IncomingMessage,
  header: Headers,
  format: RpcFormat,
  method: AnyRpc,
  values: ContextValues,
  deps: ConnectDeps,
): Promise<{ body: Uint8Array<ArrayBuffer>; hold: Hold | undefined }> {
  let hold: Hold | undefined;
  try {
    const read = await readBody(request, deps);
    const encoding = header.get(format.encodingHeader) ?? '';
    const message = await messageOf(read, format, encoding, deps.bodyBytesMax);
    ({ hold } = message);
    const { bytes } = message;
    const decode = format.json ? decodeJson : decodeMessage;
    values.set(READ, requestOf(method, bytes, format.json, decode));
  } catch (thrown) {
    const error = edgeRefusal(thrown, method.name);
    if (!format.isGrpc) {
      hold?.release();
      throw error;
    }
    // gRPC's clients want their refusals in trailers: the library writes them, asked to run the method.
    values.set(READ, error);
  }
  header.delete(format.encodingHeader);
  const left = format.json ? EMPTY_JSON : EMPTY;
  return { body: format.enveloped ? envelopeOf(left) : left, hold };
}
