import { request as httpRequest, type Agent as HttpAgent } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Attempt } from './caller.ts';

/** An answer of HTTP. */
export interface HttpAnswer {
  readonly status: number;
  readonly statusText: string;
  /** The header of that name. */
  readonly retryAfter: string | undefined;
  /** The body as UTF-8, at most 64 KiB of it. */
  readonly text: string;
}

/** Sends a body to a path below the server's URL. */
export type HttpPost = (
  pathAndQuery: string,
  body: Uint8Array,
  attempt: Attempt,
) => Promise<HttpAnswer>;

const ANSWER_BYTES_MAX = 64 * 1024;

/** Posts to `url` (no slash at its end) over HTTP/1.1. The function rejects with what Node throws. */
export function createHttpPost(
  url: string,
  agent: HttpAgent,
  headers: Readonly<Record<string, string>>,
): HttpPost {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  return (pathAndQuery, body, { signal, timeoutMs }) => {
    const deadline = timeoutMs > 0 ? AbortSignal.timeout(timeoutMs) : undefined;
    const signals = [signal, deadline].filter((one) => one !== undefined);
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        if (deadline?.aborted === true && signal?.aborted !== true) {
          reject(new ConnectError('the operation timed out', Code.DeadlineExceeded));
        } else if (signal?.aborted === true) {
          reject(new ConnectError('the caller gave up', Code.Canceled));
        } else reject(error);
      };
      const sent = request(`${url}${pathAndQuery}`, {
        method: 'POST',
        agent,
        signal: AbortSignal.any(signals),
        headers: { ...headers, 'content-length': String(body.byteLength) },
      });
      // A server may answer before it has read all, and hang up: then its answer counts.
      let answered = false;
      sent.on('error', (error) => {
        if (!answered) fail(error);
      });
      sent.on('response', (response) => {
        answered = true;
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          if (size < ANSWER_BYTES_MAX) chunks.push(chunk);
          size += chunk.byteLength;
        });
        response.on('error', fail);
        response.on('end', () => {
          const { statusCode: status = 0, statusMessage: statusText = '' } = response;
          const text = Buffer.concat(chunks).subarray(0, ANSWER_BYTES_MAX).toString();
          const retryAfter = response.headers['retry-after'];
          resolve({ status, statusText, retryAfter, text });
        });
      });
      sent.end(body);
    });
  };
}
