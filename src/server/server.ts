import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, Timers } from '../base/clock.ts';
import { TephraError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type { Logger } from '../base/logger.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Engine } from '../shards/engine.ts';
import { createConnectHandler } from './connect.ts';
import { Credits } from './credits.ts';
import { createGrpcServer } from './grpc.ts';
import { healthRoutes } from './health.ts';
import { ingestRoute } from './ingest-route.ts';
import { openPort, type PortAddress } from './port.ts';
import { serveRoute, type Routes } from './routes.ts';
import { pushMethods } from './rpc/push.ts';
import { querierMethods } from './rpc/querier.ts';
import { sendError } from './send-error.ts';

/** Longest delay that a timer of Node can have; longer ones would fire at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** What a server is made of. */
export interface ServerOptions {
  readonly engine: Engine;
  readonly listen: PortAddress;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Bytes of one body; LIMITS.bodyBytesMax unless given. */
  readonly bodyBytesMax?: number | undefined;
  /** Bytes of all requests in flight; LIMITS.inFlightBytes unless given. */
  readonly inFlightBytesMax?: number | undefined;
  /** Wait for room in flight; LIMITS.inFlightWaitMs unless given. */
  readonly inFlightWaitMs?: number | undefined;
  /** LIMITS.prefaceTimeoutMs unless given. */
  readonly prefaceTimeoutMs?: number | undefined;
}

/** A running server. */
export interface RunningServer {
  readonly address: PortAddress;
  /** Answers `/ready` with 503 from now on, so that balancers stop sending. */
  setNotReady(): void;
  /** Refuses new connections, finishes what was accepted for `graceMs`, then cuts the rest. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Serves an engine on one port: gRPC, Connect and plain HTTP. It only translates; what is stored and
 * answered is the engine's business. Throws as {@link openPort} does.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { clock, engine, logger, metrics, timers } = options;
  const bodyBytesMax = options.bodyBytesMax ?? LIMITS.bodyBytesMax;
  const credits = new Credits({
    limitBytes: options.inFlightBytesMax ?? LIMITS.inFlightBytes,
    waitMs: options.inFlightWaitMs ?? LIMITS.inFlightWaitMs,
    timers,
    onChange: (bytes) => metrics.inFlightBytes.set(bytes),
  });
  const methods = [...pushMethods(engine, metrics), ...querierMethods(engine)];
  const deps = { clock, logger, metrics, credits, bodyBytesMax, methods, engine };

  let ready = true;
  const ingest = ingestRoute(deps);
  const routes: Routes = new Map([
    ...healthRoutes(() => ready, metrics),
    ['/ingest', ingest],
    ['/pyroscope/ingest', ingest],
  ]);
  const services = new Set(methods.map((method) => method.desc.parent.typeName));
  const connect = createConnectHandler(deps);

  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    // A reset by the client must not become an unhandled 'error' event.
    request.on('error', () => {});
    response.on('error', () => {});
    if (request.rawHeaders.length > 2 * LIMITS.headersMax) {
      const error = new TephraError('invalid_argument', `more than ${LIMITS.headersMax} headers`);
      sendError(request, response, error, 431);
      return;
    }
    if (connect(request, response)) return;
    serveRoute(routes, services, request, response, deps).catch((thrown: unknown) => {
      logger.debug('an answer was not delivered', { detail: String(thrown) });
      response.destroy();
    });
  };
  const port = await openPort({
    handler,
    grpc: createGrpcServer(deps),
    listen: options.listen,
    timers,
    logger,
    metrics,
    prefaceTimeoutMs: options.prefaceTimeoutMs,
  });
  return {
    address: port.address,
    setNotReady: () => {
      ready = false;
    },
    stop: (graceMs) => {
      ready = false;
      return port.stop(Math.min(graceMs, TIMER_MAX_MS));
    },
  };
}
