import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Interceptor, Transport } from '@connectrpc/connect';
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  Http2SessionManager,
} from '@connectrpc/connect-node';
import type { CallRules } from './caller.ts';
import { badForm } from './error.ts';
import { createHttpPost, type HttpPost } from './http-post.ts';

/** Certificates of a connection by TLS, in PEM. */
export interface TlsOptions {
  /** Authorities to trust instead of those of the system. */
  readonly ca?: string | Buffer;
  /** Certificate that the client shows. */
  readonly cert?: string | Buffer;
  /** Key of that certificate. */
  readonly key?: string | Buffer;
  /** Name that the server's certificate must have; default: the host of the URL. */
  readonly servername?: string;
  /** False takes any certificate: only towards a server on this very machine. */
  readonly rejectUnauthorized?: boolean;
}

/** Where and how to reach a server. */
export interface ConnectOptions {
  /** `http://HOST:PORT` or `https://…`, with the server's path prefix if it has one. */
  readonly url: string;
  /** Sent as `authorization: Bearer TOKEN`. */
  readonly token?: string | undefined;
  /** Sent with every call, for example `X-Scope-OrgID`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Deadline of a call, in milliseconds; default 60,000, 0 = none. A stream has none. */
  readonly timeoutMs?: number | undefined;
  /**
   * How often a call is tried again that failed for now (`retryable`, but not its deadline): questions, and
   * pushes of profiles that all have an id or a start, which count once. Default 0. It waits as long as
   * the server asks, and a random part of 0.2 s, 0.4 s, … 10 s, before each; the deadline holds for all tries together.
   */
  readonly retries?: number | undefined;
  /** Gzip requests of more than 1 KiB; pays for plain profiles and slow links. Answers may always be. */
  readonly compress?: boolean | undefined;
  /**
   * How calls travel: Connect over HTTP/1.1 (default), Connect over HTTP/2, or gRPC. Streams are
   * always gRPC.
   */
  readonly protocol?: 'connect' | 'connect-http2' | 'grpc' | undefined;
}

/** What a stream needs to connect by itself. */
export interface StreamTarget {
  /** gRPC has no path prefix: only its origin is used. */
  readonly url: string;
  readonly tls: TlsOptions;
  readonly headers: Readonly<Record<string, string>>;
}

/** Connections to one server. */
export interface Transports {
  /** The URL without a slash at its end. */
  readonly url: string;
  /** For single calls and streams of answers. */
  readonly calls: Transport;
  /** For plain routes. */
  readonly post: HttpPost;
  readonly rules: CallRules;
  /** Where `IngestService.Stream` is; each stream makes a connection of its own. */
  readonly stream: StreamTarget;
  /** Ends all connections, open calls too. */
  close(): void;
}

const TIMEOUT_MS = 60_000;

/** A silent connection is pinged after this time: half-open ones are noticed. */
const PING_INTERVAL_MS = 20_000;
const PING_TIMEOUT_MS = 10_000;

/** Prepares connections; none is opened before the first call. Throws {@link TephraClientError}. */
export function createTransports(options: ConnectOptions): Transports {
  const url = checkedUrl(options.url);
  const tls = { ...options.tls };
  const interceptors = [withHeaders(options)];
  const compression = options.compress === true ? { sendCompression: compressionGzip } : {};
  const common = { baseUrl: url, interceptors, useBinaryFormat: true, ...compression } as const;
  const agent = url.startsWith('https:')
    ? new HttpsAgent({ keepAlive: true, ...tls })
    : new HttpAgent({ keepAlive: true });
  const closers = [(): void => agent.destroy()];
  const calls = ((): Transport => {
    if (options.protocol === undefined || options.protocol === 'connect') {
      return createConnectTransport({ ...common, httpVersion: '1.1', nodeOptions: { agent } });
    }
    const sessionManager = new Http2SessionManager(
      url,
      { pingIntervalMs: PING_INTERVAL_MS, pingTimeoutMs: PING_TIMEOUT_MS },
      tls,
    );
    closers.push(() => sessionManager.abort());
    return options.protocol === 'grpc'
      ? createGrpcTransport({ ...common, sessionManager })
      : createConnectTransport({ ...common, httpVersion: '2', sessionManager });
  })();
  return {
    url,
    calls,
    post: createHttpPost(url, agent, headersOf(options)),
    rules: { timeoutMs: options.timeoutMs ?? TIMEOUT_MS, retries: options.retries ?? 0 },
    stream: { url: new URL(url).origin, tls, headers: headersOf(options) },
    close() {
      for (const end of closers.splice(0)) end();
    },
  };
}

function checkedUrl(url: string): string {
  if (/^https?:\/\//.test(url) && URL.canParse(url)) return url.replace(/\/+$/, '');
  throw badForm('url', 'http://HOST:PORT', url);
}

function headersOf({ token, headers = {} }: ConnectOptions): Record<string, string> {
  return { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
}

function withHeaders(options: ConnectOptions): Interceptor {
  const headers = Object.entries(headersOf(options));
  return (next) => (request) => {
    for (const [name, value] of headers) request.header.set(name, value);
    return next(request);
  };
}
