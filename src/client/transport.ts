import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Interceptor, Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  Http2SessionManager,
} from '@connectrpc/connect-node';
import { refuseArgument } from './error.ts';

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
  /** Deadline of a call, in milliseconds; default 60,000. A stream has none. */
  readonly timeoutMs?: number | undefined;
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
  const common = { baseUrl: url, interceptors, useBinaryFormat: true } as const;
  const limits = { ...common, defaultTimeoutMs: options.timeoutMs ?? TIMEOUT_MS };
  const openSession = (): Http2SessionManager =>
    new Http2SessionManager(
      url,
      { pingIntervalMs: PING_INTERVAL_MS, pingTimeoutMs: PING_TIMEOUT_MS },
      tls,
    );
  const closers: (() => void)[] = [];
  const calls = ((): Transport => {
    if (options.protocol === undefined || options.protocol === 'connect') {
      const secure = url.startsWith('https:');
      const agent = secure ? new HttpsAgent({ keepAlive: true, ...tls }) : new HttpAgent(ALIVE);
      closers.push(() => agent.destroy());
      return createConnectTransport({ ...limits, httpVersion: '1.1', nodeOptions: { agent } });
    }
    const sessionManager = openSession();
    closers.push(() => sessionManager.abort());
    return options.protocol === 'grpc'
      ? createGrpcTransport({ ...limits, sessionManager })
      : createConnectTransport({ ...limits, httpVersion: '2', sessionManager });
  })();
  return {
    url,
    calls,
    stream: { url: new URL(url).origin, tls, headers: headersOf(options) },
    close() {
      for (const end of closers.splice(0)) end();
    },
  };
}

const ALIVE = { keepAlive: true };

function checkedUrl(url: string): string {
  if (/^https?:\/\//.test(url) && URL.canParse(url)) return url.replace(/\/+$/, '');
  throw refuseArgument(`url: expected http://HOST:PORT, found ${JSON.stringify(url)}`);
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
