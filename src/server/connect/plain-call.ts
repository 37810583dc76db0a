import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Message } from '@bufbuild/protobuf';
import { TephraError } from '../../base/errors.ts';
import { release } from '../../base/release.ts';
import { holdAnswer, type AnswerDeps } from '../answer/answer.ts';
import { readBody, type BodyRules } from '../body/body.ts';
import type { Hold } from '../body/credits.ts';
import { replyBytes } from '../rpc/encoded.ts';
import type { RpcMethod } from '../rpc/method.ts';
import { edgeContext, observed, runMethod, type RunDeps } from '../rpc/run.ts';
import { decodeMessage, messageOf, type RpcFormat } from '../body/rpc-body.ts';
import { sendRpcError } from '../answer/send-error.ts';
import { connectHttpStatus, edgeHttpStatus, edgeRefusal } from '../answer/status.ts';

const CONTENT_TYPE = 'application/proto';
const FORMAT: RpcFormat = {
  enveloped: false,
  json: false,
  encodingHeader: 'content-encoding',
  isGrpc: false,
};

/** What a plain call needs. */
export interface PlainCallDeps extends RunDeps, BodyRules, AnswerDeps {}

/**
 * Whether a request is a binary Connect call in its simplest form: no deadline, no parameters. The library
 * makes some thirty objects for a call, signals and URLs among them, which cost more than all the
 * rest of taking a profile off the wire; everything else that Connect knows is left to it.
 */
export function isPlainCall(request: IncomingMessage): boolean {
  const { headers } = request;
  return (
    request.method === 'POST' &&
    headers['content-type'] === CONTENT_TYPE &&
    headers['connect-timeout-ms'] === undefined &&
    // A host that no URL can have is refused, by the library.
    URL.canParse(request.url ?? '', `http://${authorityOf(request) ?? ''}`)
  );
}

/**
 * Serves a plain call of a method whose answers are too small to be compressed. Statuses, headers and bodies
 * are those of the library's answer.
 */
export async function servePlainCall(
  request: IncomingMessage,
  response: ServerResponse,
  method: RpcMethod,
  deps: PlainCallDeps,
): Promise<void> {
  const held = holdAnswer(response, deps);
  let read: Read;
  try {
    read = await readMessage(request, method, deps);
  } catch (thrown) {
    const error = edgeRefusal(thrown, method.name);
    await observed(method.name, deps, () => Promise.reject(error)).catch(() => {});
    sendRpcError(request, response, error, edgeHttpStatus(error));
    return;
  }
  const { message, body, hold } = read;
  const call = edgeContext(deps.clock, request.headers.accept);
  response.once('close', () => {
    if (!response.writableEnded) call.end(new TephraError('canceled', 'the client left'));
  });
  let bytes: Uint8Array;
  try {
    const reply = await runMethod(method, () => message, call, deps);
    bytes = replyBytes(method.desc.output, reply);
    // Only now: what is refused or left may still be read.
    release(body);
  } catch (thrown) {
    const error = TephraError.from(thrown);
    sendRpcError(request, response, error, connectHttpStatus(error));
    return;
  } finally {
    hold.release();
  }
  held.fit(bytes.byteLength);
  response.writeHead(200, { 'content-type': CONTENT_TYPE, 'content-length': bytes.byteLength });
  response.end(bytes);
}

/** A message; its fields of bytes are views of `body`. */
interface Read {
  readonly message: Message;
  readonly body: Uint8Array;
  readonly hold: Hold;
}

/** The message, with credits held for its bytes. */
async function readMessage(
  request: IncomingMessage,
  method: RpcMethod,
  deps: PlainCallDeps,
): Promise<Read> {
  const encoding = request.headers['content-encoding'] ?? '';
  const body = await readBody(request, deps);
  const { bytes, hold } = await messageOf(body, FORMAT, encoding, deps.bodyBytesMax);
  try {
    return { message: decodeMessage(method.desc.input, bytes), body: bytes, hold };
  } catch (thrown) {
    hold.release();
    throw thrown;
  }
}

function authorityOf(request: IncomingMessage): string | undefined {
  return 'authority' in request ? String(request.authority) : request.headers.host;
}
