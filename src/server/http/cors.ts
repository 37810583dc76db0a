import type { IncomingMessage, ServerResponse } from 'node:http';
import { cors } from '@connectrpc/connect';

const ALLOWED_HEADERS = [...cors.allowedHeaders, 'Accept', 'Authorization', 'X-Scope-OrgID'].join(
  ', ',
);
const EXPOSED_HEADERS = [
  ...cors.exposedHeaders,
  'Retry-After',
  'Tephra-Exact',
  'Tephra-Notes',
].join(', ');
/** How long browsers may remember the answer to a preflight; some cut it to two hours. */
const MAX_AGE_SECONDS = 7_200;

/**
 * Lets pages of the allowed origins read answers; `*` allows all. Cookies are never allowed: whoever
 * may write says so with a token. Returns true if the request was a preflight and is answered.
 *
 * Source: https://fetch.spec.whatwg.org/#http-cors-protocol.
 */
export function applyCors(
  request: IncomingMessage,
  response: ServerResponse,
  origins: readonly string[],
): boolean {
  const { origin } = request.headers;
  if (origins.length === 0) return false;
  response.setHeader('vary', 'Origin');
  if (origin === undefined || !(origins.includes('*') || origins.includes(origin))) return false;
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-expose-headers', EXPOSED_HEADERS);
  const asked = request.headers['access-control-request-method'];
  if (request.method !== 'OPTIONS' || asked === undefined) return false;
  response.writeHead(204, {
    'access-control-allow-methods': 'GET, HEAD, POST',
    'access-control-allow-headers': ALLOWED_HEADERS,
    'access-control-max-age': String(MAX_AGE_SECONDS),
  });
  response.end();
  return true;
}
