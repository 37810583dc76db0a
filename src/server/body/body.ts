import type { IncomingMessage, ServerResponse } from 'node:http';
import { finished, type Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import type { Timers } from '../../base/clock.ts';
import { isErrno, TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { release } from '../../base/release.ts';
import type { AddressCredits, CreditSource } from './address-credits.ts';
import { damaged } from '../../profile/pprof/inflate.ts';
import type { Hold } from './credits.ts';

const gunzipAsync = promisify(gunzip);
const inflateAsync = promisify(inflate);

/** A request that can be read: HTTP/1.1, or HTTP/2 through Node's compatibility layer. */
export type BodySource = Readable & Pick<IncomingMessage, 'headers' | 'socket'>;

/** How bodies are read. */
export interface BodyRules {
  readonly bodyBytesMax: number;
  readonly credits: AddressCredits;
  readonly timers: Timers;
  /** From the headers to the last byte. */
  readonly requestTimeoutMs: number;
}

/** A body together with the credits that it holds. */
export interface HeldBody {
  readonly bytes: Uint8Array;
  readonly hold: Hold;
  /** Where more of them come from. */
  readonly credits: CreditSource;
}

/**
 * Reads a whole body. Its length is counted before reading (Content-Length) and while reading, and
 * credits are held for it until the caller gives them back. Throws `body_size_limit`, `overloaded`,
 * `request_timeout`, and `canceled` if the client leaves.
 */
export async function readBody(request: BodySource, rules: BodyRules): Promise<HeldBody> {
  const { bodyBytesMax, timers, requestTimeoutMs } = rules;
  const credits = rules.credits.of(request.socket.remoteAddress);
  const stated = Number(request.headers['content-length'] ?? Number.NaN);
  if (stated > bodyBytesMax) throw tooLarge(`${stated} bytes`, bodyBytesMax);
  const hold = await credits.acquire(Number.isNaN(stated) ? LIMITS.unsizedRequestBytes : stated);
  let cancel = (): void => {};
  // HTTP/1.1 has a time-out of its own, which answers by itself; HTTP/2 has none.
  const late = new Promise<never>((_, reject) => {
    cancel = timers.after(requestTimeoutMs, () =>
      reject(
        new TephraError('request_timeout', `the body was not complete in ${requestTimeoutMs} ms`),
      ),
    );
  });
  const { whole, leave } = collect(request, bodyBytesMax);
  try {
    const bytes = await Promise.race([whole, late]);
    hold.resize(bytes.byteLength);
    return { bytes, hold, credits };
  } catch (error) {
    hold.release();
    if (isErrno(error, 'ECONNRESET') || isErrno(error, 'ERR_STREAM_PREMATURE_CLOSE')) {
      throw new TephraError('canceled', 'the client left before the body was complete');
    }
    throw error;
  } finally {
    cancel();
    leave();
  }
}

/** A body that is being read. */
interface Reading {
  /** All of it. Rejects with `tiny_pieces`, `body_size_limit`, and with the stream's error. */
  readonly whole: Promise<Uint8Array<ArrayBuffer>>;
  /** Reads no more; what still comes waits for somebody else. */
  readonly leave: () => void;
}

/**
 * By events, not by iteration: the parser gives all pieces of a read at once, 10,000 of a byte each, and an
 * iterator would see the first of them when all have been made.
 */
function collect(request: BodySource, limitBytes: number): Reading {
  const parts = new Parts();
  let leave = (): void => {};
  const whole = new Promise<Uint8Array<ArrayBuffer>>((resolve, reject) => {
    const fail = (error: unknown): void => {
      leave();
      reject(error);
    };
    const onData = (chunk: Uint8Array): void => {
      parts.add(chunk);
      if (areTooTiny(parts.count, parts.size)) {
        const found = `${parts.count} pieces with ${parts.size} bytes`;
        fail(new TephraError('tiny_pieces', found));
        // The next ones cost as much, read or not.
        endConnection(request);
      } else if (parts.size > limitBytes) {
        fail(tooLarge(`more than ${limitBytes} bytes`, limitBytes));
      }
    };
    const forget = finished(request, { writable: false }, (error) => {
      leave();
      if (error) reject(error);
      else resolve(parts.join());
    });
    leave = (): void => {
      leave = () => {};
      forget();
      request.off('data', onData);
      request.pause();
    };
    request.on('data', onData);
  });
  return { whole, leave: () => leave() };
}

/** Whether so many pieces with so many bytes are an attack on our time rather than a body. */
export function areTooTiny(pieces: number, bytes: number): boolean {
  return pieces > LIMITS.tinyPiecesMax && bytes < pieces * LIMITS.pieceBytesMin;
}

function endConnection(request: BodySource): void {
  const { stream } = request as { stream?: { session?: { destroy(): void } } };
  if (stream?.session === undefined) request.destroy();
  else stream.session.destroy();
}

/** Bytes below which a chunk is copied beside the one before it. */
const SMALL_BYTES = 2_048;
const PAGE_BYTES = 64 * 1_024;

/**
 * Collects chunks. A sender that cuts its body into single bytes must not make us keep an object of
 * a hundred bytes for each of them, so small chunks are copied into pages.
 */
class Parts {
  readonly #parts: Uint8Array[] = [];
  #page = new Uint8Array(0);
  #used = 0;
  size = 0;
  count = 0;

  add(chunk: Uint8Array): void {
    this.count++;
    this.size += chunk.byteLength;
    if (chunk.byteLength >= SMALL_BYTES) {
      this.#closePage();
      this.#parts.push(chunk);
      return;
    }
    if (this.#used + chunk.byteLength > this.#page.byteLength) {
      this.#closePage();
      this.#page = new Uint8Array(this.size > PAGE_BYTES ? PAGE_BYTES : 2 * SMALL_BYTES);
    }
    this.#page.set(chunk, this.#used);
    this.#used += chunk.byteLength;
  }

  join(): Uint8Array<ArrayBuffer> {
    this.#closePage();
    const whole = Buffer.concat(this.#parts, this.size);
    // HTTP/1 gives each chunk a buffer of its own; what HTTP/2 gives are views of what a session has read.
    for (const part of this.#parts) if (part.byteLength === part.buffer.byteLength) release(part);
    return whole;
  }

  #closePage(): void {
    if (this.#used > 0) this.#parts.push(this.#page.subarray(0, this.#used));
    // What is left of the page takes the next small chunks.
    this.#page = this.#page.subarray(this.#used);
    this.#used = 0;
  }
}

/** A compression that requests may have. */
export type Encoding = 'gzip' | 'deflate';

/**
 * Inflates a body to at most `bodyBytesMax`, and gives its credits for those of the result. They are
 * taken before the result exists, so that small bodies cannot become more memory than is allowed. Throws
 * `malformed_gzip`, `body_size_limit`, `overloaded`; the credits are given back then.
 */
export async function inflateHeld(
  body: HeldBody,
  encoding: Encoding,
  bodyBytesMax: number,
): Promise<HeldBody> {
  const { credits } = body;
  body.hold.release();
  for (const limit of [Math.min(bodyBytesMax, likelyBytes(body.bytes, encoding)), bodyBytesMax]) {
    const hold = await credits.acquire(limit);
    try {
      const bytes = await inflateBody(body.bytes, limit, encoding);
      hold.resize(bytes.byteLength);
      return { bytes, hold, credits };
    } catch (thrown) {
      hold.release();
      // Several members, or a sender that lies about the size: again, with all that is allowed.
      const again = TephraError.from(thrown).reason === 'body_size_limit' && limit < bodyBytesMax;
      if (!again) throw thrown;
    }
  }
  throw tooLarge(`more than ${bodyBytesMax} bytes when inflated`, bodyBytesMax);
}

/**
 * Reads a body without its content encoding, which may be one of `taken`. Throws `unsupported_encoding`, and as
 * {@link readBody} and {@link inflateHeld} do.
 */
export async function readInflated(
  request: BodySource,
  rules: BodyRules,
  taken: readonly Encoding[],
): Promise<HeldBody> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? '';
  const packed = taken.find((name) => name === encoding);
  if (packed === undefined && encoding !== '' && encoding !== 'identity') {
    const found = JSON.stringify(encoding.slice(0, 32));
    const why = `${found}; ${taken.join(', ')} and identity are read`;
    throw new TephraError('unsupported_encoding', why);
  }
  const body = await readBody(request, rules);
  return packed === undefined ? body : inflateHeld(body, packed, rules.bodyBytesMax);
}

/** What a gzip member says that it inflates to (RFC 1952, ISIZE); zlib does not say it. */
function likelyBytes(bytes: Uint8Array, encoding: Encoding): number {
  const told =
    encoding === 'gzip' && bytes.byteLength >= 18
      ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.byteLength - 4, true)
      : 0;
  return Math.max(told, 4 * bytes.byteLength, 1_024);
}

/**
 * Inflates a gzip (or zlib) body of at most `limitBytes`. Throws `malformed_gzip`,
 * `body_size_limit`.
 */
async function inflateBody(
  bytes: Uint8Array,
  limitBytes: number,
  encoding: Encoding,
): Promise<Uint8Array<ArrayBuffer>> {
  const expand = encoding === 'gzip' ? gunzipAsync : inflateAsync;
  try {
    return await expand(bytes, { maxOutputLength: limitBytes });
  } catch (error) {
    if (isErrno(error, 'ERR_BUFFER_TOO_LARGE')) {
      throw tooLarge(`more than ${limitBytes} bytes when inflated`, limitBytes);
    }
    throw damaged(error);
  }
}

/**
 * Drops what a client still sends of a body that nobody wants, up to a limit and then its connection:
 * a socket that is closed with bytes unread is reset, and the client may never see the answer.
 */
export function discardBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete) return;
  let left: number = LIMITS.discardBytesMax;
  let pieces = 0;
  request.on('data', (chunk: Uint8Array) => {
    left -= chunk.byteLength;
    if (areTooTiny(++pieces, LIMITS.discardBytesMax - left)) endConnection(request);
    if (left >= 0) return;
    response.end();
    if (request.httpVersionMajor !== 1) response.destroy();
  });
  request.resume();
}

/** The error for a body over the limit; `found` says by what. */
export function tooLarge(found: string, limitBytes: number): TephraError {
  return new TephraError('body_size_limit', `the body has ${found}, ${limitBytes} are allowed`);
}
