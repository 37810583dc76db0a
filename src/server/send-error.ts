import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TephraError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { errorBody, errorHeaders } from './status.ts';

/** Sends an error in JSON. If the body was not read to its end, the connection ends after it. */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  error: TephraError,
  status: number,
): void {
  const body = errorBody(error);
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...errorHeaders(error),
  };
  if (request.complete || request.httpVersionMajor !== 1) {
    request.resume();
    response.writeHead(status, headers);
    response.end(body);
    return;
  }
  response.writeHead(status, { ...headers, connection: 'close' });
  response.write(body);
  // A socket that is closed with bytes unread is reset, and a client that is still sending may then
  // never see the answer: drop what comes, up to a limit. What comes slowly meets the request timeout.
  let left: number = LIMITS.discardBytesMax;
  request.on('data', (chunk: Uint8Array) => {
    left -= chunk.byteLength;
    if (left < 0) response.end();
  });
  request.on('close', () => response.end());
  request.on('end', () => response.end());
  request.resume();
}
