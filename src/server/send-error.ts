import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TephraError } from '../base/errors.ts';
import { errorBody, errorHeaders } from './status.ts';

/** Sends an error in JSON; ends the connection if the body was not read to its end. */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  error: TephraError,
  status: number,
): void {
  if (!request.complete && request.httpVersionMajor === 1) response.setHeader('connection', 'close');
  else request.resume();
  response.writeHead(status, { 'content-type': 'application/json', ...errorHeaders(error) });
  response.end(errorBody(error));
}
