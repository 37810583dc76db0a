import type { IncomingMessage, ServerResponse } from 'node:http';
import { TIMER_MAX_MS, type Clock, type Timers } from '../base/clock.ts';
import { TephraError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type { Logger } from '../base/logger.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Engine } from '../shards/engine.ts';
import type { AdmissionLimits } from './port/admission.ts';
import { AddressCredits } from './body/address-credits.ts';
import { AnswerBudget } from './answer/budget.ts';
import { buildInfoRoute } from './http/build-info.ts';
import { createConnectHandler, type ConnectDeps } from './connect/connect.ts';
import { applyCors } from './http/cors.ts';
import { Credits } from './body/credits.ts';
import { startGovernor, type Pressure } from './body/governor.ts';
import { createGrpcServer } from './grpc/grpc.ts';
import { patchGrpc } from './grpc/patch.ts';
import { healthRoutes, type Troubles } from './http/health.ts';
import { ingestRoute } from './http/ingest/ingest-route.ts';
import { OpenCalls } from './open-calls.ts';
import { pprofRoute } from './http/pprof-route.ts';
import { OtlpReceiver } from './otlp/receive.ts';
import { otlpRoute } from './otlp/route.ts';
import { openPort, type PortAddress, type PortTimes, type TlsIdentity } from './port/port.ts';
import { pageRoutes, redirectToPage, type PageFiles } from './http/page-route.ts';
import { REFLECTION_PATHS } from './grpc/reflection.ts';
import { labelValuesRoute } from './http/render/label-values-route.ts';
import { renderDiffRoute } from './http/render/render-diff-route.ts';
import { renderRoute } from './http/render/render-route.ts';
import { serveRoute, type Routes } from './http/routes.ts';
import { Readiness } from './rpc/health.ts';
import { isStream } from './rpc/method.ts';
import { rpcMethods } from './rpc/methods.ts';
import { headerExcess, urlExcess, type RequestBounds } from './port/request-bounds.ts';
import { sendError, sendRpcError } from './answer/send-error.ts';
import { STREAM_NAME, StreamHub } from './stream/hub.ts';
import type { StreamCall } from './stream/session.ts';

/** Of the bytes in flight, what one address may hold: the rest is left to the others. */
const ADDRESS_SHARE = 0.75;

/** A process is no series: there would be a new one with each start. */
const OTLP_DROPPED_ATTRIBUTES: readonly string[] = ['process.pid'];

/** What a server is made of. */
export interface ServerOptions {
  readonly engine: Engine;
  readonly listen: PortAddress;
  /** What `/readyz` names beside `ready`; nothing unless given. */
  readonly troubles?: Troubles | undefined;
  /** Whether there is room for pushes, as health tells of `ingest`; always unless given. */
  readonly takesPushes?: (() => boolean) | undefined;
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
  /** Bytes of answers that clients have not taken; LIMITS.answerBytes unless given. */
  readonly answerBytesMax?: number | undefined;
  /** Times that differ from LIMITS. */
  readonly times?: Partial<PortTimes> | undefined;
  /** Sizes and counts that differ from LIMITS. */
  readonly bounds?: Partial<RequestBounds> | undefined;
  /** Queries of one address that run, wait or are not taken; LIMITS.queriesPerAddressMax unless given. */
  readonly queriesPerAddressMax?: number | undefined;
  /** How long a query waits for others of its address; LIMITS.queryTimeoutMs unless given. */
  readonly queryTimeoutMs?: number | undefined;
  /** How far the engine and the disk are behind; unless given, they never are. */
  readonly pressure?: (() => Pressure) | undefined;
  /** Limits of connections that differ from LIMITS. */
  readonly admission?: Partial<AdmissionLimits> | undefined;
  /** With it the port speaks TLS only. */
  readonly tls?: TlsIdentity | undefined;
  /** The page that `/` shows; none unless given. */
  readonly page?: PageFiles | undefined;
  /** Of Tephra, as `/api/v1/status/buildinfo` tells it; '' unless given. */
  readonly version?: string | undefined;
  /** Path in front of all others, without a slash at its end; '' unless given. */
  readonly pathPrefix?: string | undefined;
  /** Attributes of OTLP that become no labels; OTLP_DROPPED_ATTRIBUTES unless given. */
  readonly otlpDropAttributes?: readonly string[] | undefined;
  /** Origins of pages that may read answers; none unless given. */
  readonly corsOrigins?: readonly string[] | undefined;
}

/** A running server. */
export interface RunningServer {
  readonly address: PortAddress;
  /** Answers `/ready` with 503 from now on, so that balancers stop sending. */
  setNotReady(): void;
  /** Uses another certificate from now on. Throws `invalid_configuration`. */
  setTls(identity: TlsIdentity): void;
  /**
   * Refuses new connections, ends queries and streams with UNAVAILABLE, finishes the pushes that were
   * accepted for `graceMs`, then cuts the rest.
   */
  stop(graceMs: number): Promise<void>;
}

/**
 * Serves an engine on one port: gRPC, Connect and plain HTTP. It only translates; what is stored and
 * answered is the engine's business. Throws as {@link openPort} does.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { clock, engine, logger, metrics, timers } = options;
  if (!patchGrpc()) {
    logger.warn('the gRPC library is not the version that our repairs were made for');
  }
  const bodyBytesMax = options.bodyBytesMax ?? LIMITS.bodyBytesMax;
  const waitMs = options.inFlightWaitMs ?? LIMITS.inFlightWaitMs;
  const times: PortTimes = { ...LIMITS, ...options.times };
  const bounds: RequestBounds = { ...LIMITS, ...options.bounds };
  const inFlightBytes = options.inFlightBytesMax ?? LIMITS.inFlightBytes;
  const inFlight = new Credits({
    limitBytes: inFlightBytes,
    waitMs,
    timers,
    onChange: (bytes) => metrics.inFlightBytes.set(bytes),
  });
  const credits = new AddressCredits(
    inFlight,
    () => new Credits({ limitBytes: inFlightBytes * ADDRESS_SHARE, waitMs, timers }),
  );
  const answerBytes = new Credits({
    limitBytes: options.answerBytesMax ?? LIMITS.answerBytes,
    waitMs,
    timers,
    onChange: (bytes) => metrics.answerBytes.set(bytes),
  });
  const answers = new AnswerBudget(answerBytes, {
    bytesMax: LIMITS.answerBytesPerAddressMax,
    callsMax: options.queriesPerAddressMax ?? LIMITS.queriesPerAddressMax,
    runningMax: LIMITS.queriesPerAddressAtOnce,
    waitMs: options.queryTimeoutMs ?? LIMITS.queryTimeoutMs,
    timers,
    unsizedBytes: LIMITS.unsizedAnswerBytes,
  });
  const splitting = new Credits({ limitBytes: LIMITS.otlpSplitBytes, waitMs, timers });
  const droppedAttributes = options.otlpDropAttributes ?? OTLP_DROPPED_ATTRIBUTES;
  const otlp = new OtlpReceiver({ engine, metrics, splitting, droppedAttributes });
  const readiness = new Readiness({ timers, takesPushes: options.takesPushes });
  const methods = rpcMethods(engine, metrics, readiness, otlp);
  const openCalls = new OpenCalls();
  const hub = new StreamHub({
    openCalls,
    clock,
    timers,
    logger,
    metrics,
    engine,
    isBusy: () => inFlight.heldBytes > inFlight.limitBytes / 2,
  });
  const deps = {
    duplex: { [STREAM_NAME]: (call: StreamCall) => hub.serve(call) },
    streams: {
      credits,
      partial: hub.partial,
      timers,
      watch: hub.watch.bind(hub),
    },
    openCalls,
    clock,
    timers,
    logger,
    metrics,
    engine,
    credits,
    answers,
    bodyBytesMax,
    bounds,
    methods,
    requestTimeoutMs: times.requestTimeoutMs,
  };
  const ingest = ingestRoute(deps);
  const routes: Routes = new Map([
    ...healthRoutes(() => readiness.ready, metrics, options.troubles ?? (() => [])),
    ['/ingest', ingest],
    ['/pyroscope/ingest', ingest],
    ['/v1development/profiles', otlpRoute({ ...deps, otlp })],
    ['/pprof', pprofRoute(deps)],
    ['/pyroscope/render', renderRoute(deps)],
    ['/pyroscope/render-diff', renderDiffRoute(deps)],
    ['/pyroscope/label-values', labelValuesRoute(deps)],
    ['/api/v1/status/buildinfo', buildInfoRoute(options.version ?? '')],
    ...pageRoutes(options.page ?? new Map()),
  ]);
  const port = await openPort({
    handler: httpHandler(options, routes, deps),
    grpc: createGrpcServer(deps),
    longPaths: new Set([
      ...methods.filter(isStream).map(({ name }) => `/${name}`),
      ...REFLECTION_PATHS,
      `/${STREAM_NAME}`,
    ]),
    endCalls: () => {
      hub.drain();
      openCalls.end();
    },
    listen: options.listen,
    tls: options.tls,
    clock,
    timers,
    logger,
    metrics,
    times,
    bounds,
    admission: { ...LIMITS, ...options.admission },
  });
  const endGovernor = startGovernor({
    credits: inFlight,
    pressure: options.pressure ?? (() => NO_PRESSURE),
    timers,
    onLimit: (bytes) => metrics.inFlightLimitBytes.set(bytes),
  });
  return {
    address: port.address,
    setNotReady: () => readiness.setNotReady(),
    setTls: (identity) => port.setTls(identity),
    stop: (graceMs) => {
      readiness.end();
      endGovernor();
      return port.stop(Math.min(graceMs, TIMER_MAX_MS));
    },
  };
}

const NO_PRESSURE: Pressure = { unabsorbedBytes: 0, writeP99Ms: 0 };

/** Takes every request that is not gRPC over HTTP/2. */
function httpHandler(
  options: ServerOptions,
  routes: Routes,
  deps: ConnectDeps & { readonly bounds: RequestBounds },
): (request: IncomingMessage, response: ServerResponse) => void {
  const connect = createConnectHandler(deps);
  const services = new Set(deps.methods.map((method) => method.desc.parent.typeName));
  const prefix = options.pathPrefix ?? '';
  const { headerBytesMax } = deps.bounds;
  return (request, response) => {
    // A reset by the client must not become an unhandled 'error' event.
    request.on('error', () => {});
    response.on('error', () => {});
    const excess = headerExcess(request.rawHeaders, headerBytesMax) ?? urlExcess(request.url);
    if (excess !== undefined) {
      sendRpcError(request, response, excess, excess.row.http);
      return;
    }
    request.url = originForm(request.url ?? '');
    if (applyCors(request, response, options.corsOrigins ?? [])) return;
    if (redirectToPage(request, response, prefix)) return;
    const path = withoutPrefix(request.url, prefix);
    if (path === undefined) {
      const where = prefix === '' ? 'paths begin with /' : `everything is served under ${prefix}`;
      const error = new TephraError('not_found', where);
      sendError(request, response, error, error.row.http);
      return;
    }
    request.url = path;
    if (connect(request, response)) return;
    serveRoute(routes, services, request, response, deps).catch((thrown: unknown) => {
      deps.logger.debug('an answer was not delivered', { detail: String(thrown) });
      response.destroy();
    });
  };
}

/** The path and query of a URL: proxies may send all of it, and servers have to take that (RFC 9112, 3.2.2). */
function originForm(url: string): string {
  const [, rest] = /^https?:\/\/[^/?]*(.*)$/is.exec(url) ?? [];
  if (rest === undefined) return url;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** The URL without the prefix, undefined if it does not begin with it. */
function withoutPrefix(url: string, prefix: string): string | undefined {
  if (!url.startsWith(prefix)) return undefined;
  const rest = url.slice(prefix.length);
  if (rest === '' || rest.startsWith('?')) return `/${rest}`;
  return rest.startsWith('/') ? rest : undefined;
}
