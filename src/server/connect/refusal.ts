import type { IncomingMessage } from 'node:http';
import type { ConnectRouter } from '@connectrpc/connect';
import { createAsyncIterable, type UniversalServerResponse } from '@connectrpc/connect/protocol';
import { TephraError } from '../../base/errors.ts';
import { errorBody } from '../answer/status.ts';
import { rpcFormat } from '../body/rpc-body.ts';
import { isStream, type AnyRpc } from '../rpc/method.ts';

/** What the library serves a method by. */
export type UniversalHandler = ConnectRouter['handlers'][number];

/** Content types by whether the answer is a stream; those of gRPC with `+proto` and `+json` too. */
const UNARY_TYPES = 'application/proto, application/json, application/grpc-web, application/grpc';
const STREAM_TYPES =
  'application/connect+proto, application/connect+json, application/grpc-web, application/grpc';

/**
 * Why a request to a method is none of the protocols', and its answer; undefined if it is one. The library
 * would answer a status alone.
 */
export function refusalOf(
  request: IncomingMessage,
  method: AnyRpc,
  handler: UniversalHandler,
): { readonly error: TephraError; readonly answer: UniversalServerResponse } | undefined {
  const { allowedMethods } = handler;
  if (!allowedMethods.includes(request.method ?? '')) {
    const allow = allowedMethods.join(', ');
    const error = new TephraError('invalid_argument', `${method.name} takes ${allow}`);
    return { error, answer: answerOf(request, error, 405, ['allow', allow]) };
  }
  const contentType = request.headers['content-type'] ?? '';
  // gRPC-Web text is a type of the library's, which it refuses later.
  const isServed = rpcFormat(contentType) !== undefined;
  if (isServed && handler.supportedContentType(contentType)) return undefined;
  const types = isStream(method) ? STREAM_TYPES : UNARY_TYPES;
  const found = JSON.stringify(contentType.slice(0, 64));
  const error = new TephraError('unsupported_media_type', `expected ${types}, found ${found}`);
  return { error, answer: answerOf(request, error, error.row.http, ['accept-post', types]) };
}

function answerOf(
  { method }: IncomingMessage,
  error: TephraError,
  status: number,
  [name, value]: readonly [name: string, value: string],
): UniversalServerResponse {
  const body = Buffer.from(errorBody(error));
  const header = new Headers({
    'content-type': 'application/json',
    'content-length': String(body.byteLength),
    [name]: value,
  });
  if (method === 'HEAD') return { status, header };
  return { status, header, body: createAsyncIterable([body]) };
}
