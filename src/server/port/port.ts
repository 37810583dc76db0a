import { createServer, type RequestListener, type Server as HttpServer } from 'node:http';
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { ServerCredentials, type Server as GrpcServer } from '@grpc/grpc-js';
import type { Clock, Timers } from '../../base/clock.ts';
import { assert } from '../../base/assert.ts';
import { isErrno, isErrorLike, TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Logger } from '../../base/logger.ts';
import type { Metrics } from '../../base/metrics.ts';
import { Admission, type AdmissionLimits } from './admission.ts';
import { dispatchHttp2ByContentType } from './h2-dispatch.ts';
import type { RequestBounds } from './request-bounds.ts';
import { ResetCount } from './reset-count.ts';
import { sniff } from './sniff.ts';

/** Where to listen. */
export interface PortAddress {
  readonly host: string;
  readonly port: number;
}

/** A certificate chain and its key, both PEM. */
export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
}

/** How long clients may take. */
export interface PortTimes {
  /** To show the protocol. */
  readonly prefaceTimeoutMs: number;
  /** To send the headers of an HTTP/1.1 request. */
  readonly headersTimeoutMs: number;
  /** To send all of it. */
  readonly requestTimeoutMs: number;
  /** To send the next one on the same connection. */
  readonly keepAliveTimeoutMs: number;
  /** For anything at all. */
  readonly socketIdleTimeoutMs: number;
}

/** What the port is made of. */
export interface PortOptions {
  /** Takes HTTP/1.1, and the HTTP/2 streams that are not gRPC. */
  readonly handler: RequestListener;
  readonly grpc: GrpcServer;
  /** Paths of HTTP/2 calls without a limit of time. */
  readonly longPaths: ReadonlySet<string>;
  /** Ends open calls with a status that says why; called once no socket is taken any more. */
  readonly endCalls: () => void;
  readonly listen: PortAddress;
  /** With it the port speaks TLS only. */
  readonly tls?: TlsIdentity | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly times: PortTimes;
  readonly bounds: RequestBounds;
  readonly admission: AdmissionLimits;
}

/** The one port. */
export interface Port {
  readonly address: PortAddress;
  /** Uses another certificate for connections from now on. Throws `invalid_configuration`. */
  setTls(identity: TlsIdentity): void;
  /** Refuses new sockets, ends open calls, lets what is left end for `graceMs`, then ends what is left. */
  stop(graceMs: number): Promise<void>;
}

/** How often a stopping port looks for connections that have become idle. */
const IDLE_CHECK_MS = 50;

/**
 * Opens one TCP port for HTTP/1.1 and HTTP/2. The HTTP server itself listens, because time-outs only
 * work for sockets of a server that does; its own connection listener is put behind a sniffer, which
 * gives HTTP/2 to grpc-js. With TLS, what the handshake agreed on takes the sniffer's place; a client
 * that offered nothing is sniffed. There is no 'upgrade' listener on purpose: `Upgrade: h2c` is then
 * served as plain HTTP/1.1. Throws `address_in_use`, `invalid_configuration`.
 */
export async function openPort(options: PortOptions): Promise<Port> {
  const { grpc, logger, timers, tls } = options;
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const resets = new ResetCount(options.clock);
  if (!dispatchHttp2ByContentType(grpc, { ...options, resets })) {
    logger.warn('http/2 serves gRPC only: the gRPC library is not the version this was made for');
  }
  const http = tls === undefined ? createPlainServer(options) : createSecureServer(options, tls);
  const { undecided, all } = takeSockets(http, options, resets, (socket) =>
    injector.injectConnection(socket),
  );
  const address = await listen(http, options.listen);
  return {
    address,
    setTls(identity) {
      if (!('setSecureContext' in http)) {
        throw new TephraError('invalid_configuration', 'the port does not speak TLS');
      }
      checked(() => http.setSecureContext(identity));
    },
    async stop(graceMs) {
      const closed = new Promise<void>((resolve) => {
        http.close(() => resolve());
      });
      for (const socket of undecided) socket.destroy();
      // Before draining: that would end them as if their clients had cancelled.
      options.endCalls();
      injector.drain(graceMs);
      let waiting = true;
      const closeIdle = (): void => {
        if (!waiting) return;
        http.closeIdleConnections();
        timers.after(IDLE_CHECK_MS, closeIdle);
      };
      closeIdle();
      const cancel = timers.after(graceMs, () => {
        logger.warn('requests were still open after the grace time and are cut', { graceMs });
        grpc.forceShutdown();
        for (const socket of all) socket.destroy();
      });
      await closed;
      waiting = false;
      cancel();
      grpc.forceShutdown();
    },
  };
}

/** Puts admission and the choice of protocol before the server's own listeners. */
function takeSockets(
  http: HttpServer | HttpsServer,
  options: PortOptions,
  resets: ResetCount,
  toHttp2: (socket: Socket) => void,
): { readonly undecided: ReadonlySet<Socket>; readonly all: ReadonlySet<Socket> } {
  const { metrics, timers, times } = options;
  const admission = new Admission(options.admission, options.clock);
  const undecided = new Set<Socket>();
  const all = new Set<Socket>();
  const secure = options.tls !== undefined;
  const toHttp1 = takeListener(http, secure ? 'secureConnection' : 'connection');

  const targetsOf = (socket: Socket): Parameters<typeof sniff>[1] => {
    const decided = (protocol: string): void => {
      undecided.delete(socket);
      metrics.connections.inc({ protocol });
    };
    return {
      http1: () => {
        decided('h1');
        toHttp1.call(http, socket);
      },
      http2: () => {
        decided('h2');
        // An HTTP server's sockets stay open when the peer has ended; HTTP/2 has no use for that, and
        // would not notice that the client is gone.
        socket.allowHalfOpen = false;
        toHttp2(socket);
      },
      none: () => decided('closed'),
    };
  };
  const decide = (socket: Socket): void => {
    undecided.add(socket);
    sniff(socket, targetsOf(socket), timers, times.prefaceTimeoutMs);
  };
  const admitted = (then: (socket: Socket) => void) => (socket: Socket) => {
    if (!admission.admit(socket)) {
      metrics.connections.inc({ protocol: 'refused' });
      return;
    }
    all.add(socket);
    socket.once('close', () => all.delete(socket));
    if (resets.mayConnect(socket.remoteAddress ?? '')) then(socket);
    else keepUnread(socket, timers);
  };
  if (!secure) {
    http.on('connection', admitted(decide));
    return { undecided, all };
  }
  const toHandshake = takeListener(http, 'connection');
  http.on(
    'connection',
    admitted((socket) => toHandshake.call(http, socket)),
  );
  http.on('secureConnection', (socket: TLSSocket) => {
    const targets = targetsOf(socket);
    if (socket.alpnProtocol === 'h2') targets.http2(socket);
    else if (socket.alpnProtocol === 'http/1.1') targets.http1(socket);
    else decide(socket);
  });
  return { undecided, all };
}

/**
 * Lets a socket wait, unread, and ends it. Closed at once, its client would be back with the next one at
 * once: accepting those costs more than what they are refused for.
 */
function keepUnread(socket: Socket, timers: Timers): void {
  socket.on('error', () => {});
  socket.pause();
  socket.once(
    'close',
    timers.after(LIMITS.resetWaitMs, () => socket.destroy()),
  );
}

type Listener = (this: unknown, socket: Socket) => void;

function takeListener(http: HttpServer, event: 'connection' | 'secureConnection'): Listener {
  const [listener] = http.listeners(event) as Listener[];
  assert(listener !== undefined, `an http server has a ${event} listener`);
  http.removeAllListeners(event);
  return listener;
}

function serverOptions({
  bounds,
  times,
}: PortOptions): Parameters<typeof createServer>[0] & object {
  return {
    noDelay: true,
    // The handler refuses headers and URLs over our limits by name; the parser only at twice that.
    maxHeaderSize: 2 * bounds.headerBytesMax,
    headersTimeout: times.headersTimeoutMs,
    requestTimeout: times.requestTimeoutMs,
    keepAliveTimeout: times.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, times.headersTimeoutMs),
  };
}

function createPlainServer(options: PortOptions): HttpServer {
  return limited(createServer(serverOptions(options), options.handler), options.times);
}

function createSecureServer(options: PortOptions, tls: TlsIdentity): HttpsServer {
  const secure = {
    ...serverOptions(options),
    ...tls,
    // This order: clients that offer both and speak Connect want HTTP/1.1; gRPC's offer h2 alone.
    ALPNProtocols: ['http/1.1', 'h2'],
    handshakeTimeout: LIMITS.handshakeTimeoutMs,
  };
  return limited(
    checked(() => createTlsServer(secure, options.handler)),
    options.times,
  );
}

function limited<S extends HttpServer>(http: S, times: PortTimes): S {
  http.timeout = times.socketIdleTimeoutMs;
  // More are cut off by the parser; the handler sees that there were too many.
  http.maxHeadersCount = 2 * LIMITS.headersMax;
  return http;
}

/** Runs what reads a certificate; what is wrong with it is the operator's to mend. */
function checked<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const text = isErrorLike(error) ? error.message : String(error);
    throw new TephraError('invalid_configuration', `the certificate or its key: ${text}`);
  }
}

function listen(http: HttpServer, at: PortAddress): Promise<PortAddress> {
  return new Promise((resolve, reject) => {
    http.once('error', (error) => reject(listenError(error, at)));
    http.listen(at.port, at.host, () => {
      const bound = http.address();
      assert(typeof bound === 'object' && bound !== null, 'a TCP server has an address');
      resolve({ host: at.host, port: bound.port });
    });
  });
}

function listenError(error: unknown, at: PortAddress): TephraError {
  const where = `${at.host}:${at.port}`;
  if (isErrno(error, 'EADDRINUSE')) {
    return new TephraError(
      'address_in_use',
      `${where}: stop what listens there, or --listen elsewhere`,
    );
  }
  const text = isErrorLike(error) ? error.message : String(error);
  return new TephraError('invalid_configuration', `cannot listen on ${where}: ${text}`);
}
