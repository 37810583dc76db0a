import { createServer, type RequestListener, type Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { ServerCredentials, type Server as GrpcServer } from '@grpc/grpc-js';
import type { Timers } from '../base/clock.ts';
import { assert } from '../base/assert.ts';
import { isErrno, isErrorLike, TephraError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type { Logger } from '../base/logger.ts';
import type { Metrics } from '../base/metrics.ts';
import { dispatchHttp2ByContentType } from './h2-dispatch.ts';
import { sniff } from './sniff.ts';

/** Where to listen. */
export interface PortAddress {
  readonly host: string;
  readonly port: number;
}

/** What the port is made of. */
export interface PortOptions {
  /** Takes HTTP/1.1, and the HTTP/2 streams that are not gRPC. */
  readonly handler: RequestListener;
  readonly grpc: GrpcServer;
  readonly listen: PortAddress;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** How long a socket may take to show its protocol; LIMITS.prefaceTimeoutMs unless given. */
  readonly prefaceTimeoutMs?: number | undefined;
}

/** The one port. */
export interface Port {
  readonly address: PortAddress;
  /** Refuses new sockets, lets open requests end for `graceMs`, then ends what is left. */
  stop(graceMs: number): Promise<void>;
}

/** How often a stopping port looks for connections that have become idle. */
const IDLE_CHECK_MS = 50;

/**
 * Opens one TCP port for HTTP/1.1 and HTTP/2. The HTTP server itself listens, because time-outs only
 * work for sockets of a server that does; its own connection listener is put behind a sniffer, which
 * gives HTTP/2 to grpc-js. There is no 'upgrade' listener on purpose: `Upgrade: h2c` is then served
 * as plain HTTP/1.1. Throws `address_in_use`, `invalid_configuration`.
 */
export async function openPort(options: PortOptions): Promise<Port> {
  const { grpc, logger, metrics, timers } = options;
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  if (!dispatchHttp2ByContentType(grpc, options.handler)) {
    logger.warn('http/2 serves gRPC only: the gRPC library is not the version this was made for');
  }
  const http = createHttpServer(options.handler);
  const [toHttp1] = http.listeners('connection');
  assert(toHttp1 !== undefined, 'an http server has a connection listener');
  http.removeAllListeners('connection');
  const undecided = new Set<Socket>();
  http.on('connection', (socket: Socket) => {
    undecided.add(socket);
    const decided = (protocol: string): void => {
      undecided.delete(socket);
      metrics.connections.inc({ protocol });
    };
    const targets = {
      http1: () => {
        decided('h1');
        toHttp1.call(http, socket);
      },
      http2: () => {
        decided('h2');
        injector.injectConnection(socket);
      },
      none: () => decided('closed'),
    };
    sniff(socket, targets, timers, options.prefaceTimeoutMs ?? LIMITS.prefaceTimeoutMs);
  });
  const address = await listen(http, options.listen);
  return {
    address,
    async stop(graceMs) {
      const closed = new Promise<void>((resolve) => {
        http.close(() => resolve());
      });
      for (const socket of undecided) socket.destroy();
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
        http.closeAllConnections();
        grpc.forceShutdown();
      });
      await closed;
      waiting = false;
      cancel();
      grpc.forceShutdown();
    },
  };
}

function createHttpServer(handler: RequestListener): HttpServer {
  return createServer(
    {
      noDelay: true,
      maxHeaderSize: LIMITS.headerBytesMax,
      headersTimeout: LIMITS.headersTimeoutMs,
      requestTimeout: LIMITS.requestTimeoutMs,
      keepAliveTimeout: LIMITS.keepAliveTimeoutMs,
      connectionsCheckingInterval: 1_000,
    },
    handler,
  );
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
