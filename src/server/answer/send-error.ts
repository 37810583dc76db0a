import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TephraError } from '../../base/errors.ts';
import { discardBody } from '../body/body.ts';
import { rpcFormat } from '../body/rpc-body.ts';
import { errorBody, errorHeaders, publicMessage, statusNumber } from './status.ts';

/** An error as a body. */
export interface ErrorBody {
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

/** Sends an error, in JSON unless a body is given. If the body was not read to its end, the connection ends after it. */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  error: TephraError,
  status: number,
  { contentType, body }: ErrorBody = { contentType: 'application/json', body: errorBody(error) },
): void {
  const headers = {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    ...errorHeaders(error),
  };
  if (request.complete || !hasBody(request) || request.httpVersionMajor !== 1) {
    discardBody(request, response);
    response.writeHead(status, headers);
    response.end(body);
    return;
  }
  response.writeHead(status, { ...headers, connection: 'close' });
  response.write(body);
  // Ended once the client has stopped sending. What comes slowly meets the request timeout.
  request.on('close', () => response.end());
  request.on('end', () => response.end());
  discardBody(request, response);
}

/** Whether one was announced: a request is not complete yet while its headers are handled. */
function hasBody({ headers }: IncomingMessage): boolean {
  return (headers['content-length'] ?? '0') !== '0' || headers['transfer-encoding'] !== undefined;
}

/** Sends an error of an RPC as its protocol says: in the headers for gRPC, else in JSON. */
export function sendRpcError(
  request: IncomingMessage,
  response: ServerResponse,
  error: TephraError,
  status: number,
): void {
  const contentType = request.headers['content-type'];
  if (rpcFormat(contentType)?.isGrpc !== true) {
    sendError(request, response, error, status);
    return;
  }
  discardBody(request, response);
  response.writeHead(200, {
    'content-type': contentType,
    'grpc-status': String(statusNumber(error)),
    'grpc-message': encodeURIComponent(publicMessage(error)),
    ...errorHeaders(error),
  });
  response.end();
}
