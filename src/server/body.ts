import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { isErrno, isErrorLike, TephraError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type { Credits, Hold } from './credits.ts';

const gunzipAsync = promisify(gunzip);

/** A request that can be read: HTTP/1.1, or HTTP/2 through Node's compatibility layer. */
export type BodySource = Pick<IncomingMessage, 'headers' | 'iterator'>;

/** A body together with the credits that it holds. */
export interface HeldBody {
  readonly bytes: Uint8Array;
  readonly hold: Hold;
}

/**
 * Reads a whole body. Its length is counted before reading (Content-Length) and while reading, and
 * credits are held for it until the caller gives them back. Throws `body_size_limit`, `overloaded`,
 * and `canceled` if the client leaves.
 */
export async function readBody(
  request: BodySource,
  limitBytes: number,
  credits: Credits,
): Promise<HeldBody> {
  const stated = Number(request.headers['content-length'] ?? Number.NaN);
  if (stated > limitBytes) throw tooLarge(`${stated} bytes`, limitBytes);
  const hold = await credits.acquire(Number.isNaN(stated) ? LIMITS.unsizedRequestBytes : stated);
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    // The default would destroy the socket when reading ends early, and the answer with it.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const bytes = chunk as Uint8Array;
      size += bytes.byteLength;
      if (size > limitBytes) throw tooLarge(`more than ${limitBytes} bytes`, limitBytes);
      chunks.push(bytes);
    }
    hold.resize(size);
    return { bytes: Buffer.concat(chunks, size), hold };
  } catch (error) {
    hold.release();
    if (isErrno(error, 'ECONNRESET') || isErrno(error, 'ERR_STREAM_PREMATURE_CLOSE')) {
      throw new TephraError('canceled', 'the client left before the body was complete');
    }
    throw error;
  }
}

/** Inflates a gzip body of at most `limitBytes`. Throws `malformed_gzip`, `body_size_limit`. */
export async function inflateBody(bytes: Uint8Array, limitBytes: number): Promise<Uint8Array> {
  try {
    return await gunzipAsync(bytes, { maxOutputLength: limitBytes });
  } catch (error) {
    if (isErrno(error, 'ERR_BUFFER_TOO_LARGE')) {
      throw tooLarge(`more than ${limitBytes} bytes when inflated`, limitBytes);
    }
    throw new TephraError('malformed_gzip', isErrorLike(error) ? error.message : String(error));
  }
}

function tooLarge(found: string, limitBytes: number): TephraError {
  return new TephraError('body_size_limit', `the body has ${found}, ${limitBytes} are allowed`);
}
