import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Timers } from '../../base/clock.ts';
import { badAnswer, toClientError, type TephraClientError } from '../error.ts';
import type { StreamTarget } from '../transport.ts';

/** What happens to a call. */
export interface CallEvents {
  /** A message of the server; the bytes are the callee's. */
  message(bytes: Uint8Array): void;
  /** The last event; undefined where the server ended the call with OK. */
  end(error: TephraClientError | undefined): void;
}

/** A connection over which nothing was heard for this long is pinged, and ended if no answer comes. */
const PING_INTERVAL_MS = 20_000;
const PING_TIMEOUT_MS = 10_000;

/** After the end of a call its connection is closed within this time. */
const CLOSE_MS = 1_000;

/** Largest message of the server; acks are small. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

/**
 * One gRPC call with messages in both directions, over an HTTP/2 connection of its own. By Node's own
 * client, because the connection must not keep the process alive: an agent is a guest.
 */
export class GrpcCall {
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #events: CallEvents;
  readonly #timers: Timers;
  #pending: Buffer = Buffer.alloc(0);
  #error: TephraClientError | undefined;
  #status: { readonly code: number; readonly message: string } | undefined;
  #ended = false;
  #cancelPing = (): void => {};

  constructor(target: StreamTarget, path: string, timers: Timers, events: CallEvents) {
    this.#events = events;
    this.#timers = timers;
    this.#session = connect(target.url, { ...target.tls });
    this.#session.unref();
    this.#session.on('error', (error) => this.#fail(error));
    this.#session.on('close', () => this.#end());
    this.#stream = this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      ...target.headers,
    });
    this.#stream.on('response', (headers) => this.#takeHeaders(headers));
    this.#stream.on('trailers', (headers) => this.#takeStatus(headers));
    this.#stream.on('data', (chunk: Buffer) => this.#takeData(chunk));
    this.#stream.on('error', (error) => this.#fail(error));
    // The server is done although we are not: trailers may come right behind the end of the data.
    this.#stream.on('end', () => void timers.yield().then(() => this.#end()));
    this.#stream.on('close', () => this.#end());
    this.#ping();
  }

  /** Sends a message; resolves when HTTP/2 has taken it, never rejects. */
  write(message: Uint8Array): Promise<void> {
    if (this.#ended) return Promise.resolve();
    const framed = Buffer.allocUnsafe(5 + message.byteLength);
    framed[0] = 0;
    framed.writeUInt32BE(message.byteLength, 1);
    framed.set(message, 5);
    return new Promise((resolve) => {
      this.#stream.write(framed, () => resolve());
    });
  }

  /** Says that no more messages come. */
  halfClose(): void {
    if (!this.#ended) this.#stream.end();
  }

  /** Ends the call at once. */
  close(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#session.destroy();
  }

  /** Whether the connection keeps the process alive; it does not at first. */
  hold(held: boolean): void {
    if (this.#ended) return;
    if (held) this.#session.ref();
    else this.#session.unref();
  }

  #takeHeaders(headers: Readonly<Record<string, unknown>>): void {
    if (headers[':status'] !== 200) {
      const status = String(headers[':status']);
      this.#fail(new ConnectError(`HTTP status ${status}`, Code.Unavailable));
    } else if (headers['grpc-status'] !== undefined) this.#takeStatus(headers);
  }

  #takeStatus(headers: Readonly<Record<string, unknown>>): void {
    const code = Number(headers['grpc-status']);
    const message = headers['grpc-message'];
    this.#status = { code, message: typeof message === 'string' ? percentDecoded(message) : '' };
  }

  #takeData(chunk: Buffer): void {
    let bytes = this.#pending.byteLength === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (bytes.byteLength >= 5) {
      const size = bytes.readUInt32BE(1);
      if (bytes[0] !== 0 || size > MESSAGE_BYTES_MAX) {
        this.#fail(badAnswer('a message that was not asked for'));
        return;
      }
      if (bytes.byteLength < 5 + size) break;
      const message = bytes.subarray(5, 5 + size);
      bytes = bytes.subarray(5 + size);
      if (this.#ended) return;
      this.#events.message(message);
    }
    this.#pending = bytes;
  }

  #fail(error: unknown): void {
    this.#error ??= toClientError(
      isConnectError(error)
        ? error
        : new ConnectError(String(error), Code.Unavailable, {}, [], error),
    );
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelPing();
    const status = this.#status;
    let error = this.#error;
    if (status !== undefined && status.code !== 0) {
      error = toClientError(new ConnectError(status.message, status.code));
    } else if (status === undefined) {
      error ??= toClientError(new ConnectError('the connection ended', Code.Unavailable));
    }
    // Politely, so that the server forgets the stream at once.
    this.#stream.close(constants.NGHTTP2_NO_ERROR);
    this.#session.close();
    this.#timers.after(CLOSE_MS, () => this.#session.destroy());
    this.#events.end(error);
  }

  #ping(): void {
    this.#cancelPing = this.#timers.after(PING_INTERVAL_MS, () => {
      const cancel = this.#timers.after(PING_TIMEOUT_MS, () => {
        this.#fail(new ConnectError('no answer to a ping', Code.Unavailable));
      });
      this.#cancelPing = cancel;
      const isSent = this.#session.ping(() => {
        cancel();
        if (!this.#ended) this.#ping();
      });
      // Not connected yet: looked at again when the time is over.
      if (!isSent) this.#fail(new ConnectError('the connection is not made', Code.Unavailable));
    });
  }
}

function isConnectError(error: unknown): boolean {
  return (
    error instanceof ConnectError || (error as { name?: unknown }).name === 'TephraClientError'
  );
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
