/** The deadline of a client, and its leaving, reach the query that runs for it, by every way to ask. */
import { expect, test } from '@jest/globals';
import {
  Code,
  ConnectError,
  createClient,
  type Interceptor,
  type Transport,
} from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { QuerierService } from '../../../src/gen/querier/v1/querier_pb.ts';
import { startFixture, type Fixture } from '../fixture.ts';

/** Says a deadline and keeps none itself: what ends the call is the server. */
const says =
  (header: string, value: string): Interceptor =>
  (next) =>
  (request) => {
    if (request.header.has('test-deadline')) request.header.set(header, value);
    return next(request);
  };
const GRPC = [says('grpc-timeout', '300m')];
const CONNECT = [says('connect-timeout-ms', '300')];

const transports: Record<string, (baseUrl: string) => Transport> = {
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl, interceptors: GRPC }),
  'gRPC-Web over HTTP/1.1': (baseUrl) =>
    createGrpcWebTransport({ baseUrl, httpVersion: '1.1', interceptors: GRPC }),
  'gRPC-Web over HTTP/2': (baseUrl) =>
    createGrpcWebTransport({ baseUrl, httpVersion: '2', interceptors: GRPC }),
  'Connect over HTTP/1.1': (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: '1.1', interceptors: CONNECT }),
  'Connect over HTTP/2': (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: '2', interceptors: CONNECT }),
  'Connect in JSON': (baseUrl) =>
    createConnectTransport({
      baseUrl,
      httpVersion: '1.1',
      useBinaryFormat: false,
      interceptors: CONNECT,
    }),
};
const FIELDS = { profileTypeID: 'a:b:c:d:e', labelSelector: '{}', start: 1n, end: 2n };

/** The signal of the first query, once there is one. */
async function signalOf({ engine }: Fixture): Promise<AbortSignal> {
  while (engine.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const [request] = engine.calls[0]?.args ?? [];
  return (request as { signal: AbortSignal }).signal;
}

/** Why it was aborted, once it is. */
async function reasonOf(signal: AbortSignal): Promise<unknown> {
  while (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, 5));
  return (signal.reason as { reason?: unknown }).reason;
}

test.each(Object.keys(transports))(
  'a deadline by %s ends the query with it',
  async (name) => {
    const it = await startFixture();
    it.engine.gate = new Promise(() => {});
    const client = createClient(QuerierService, transports[name]?.(it.url) as Transport);
    const call = client.selectMergeStacktraces(FIELDS, { headers: { 'test-deadline': '1' } });
    const code = call.then(
      () => undefined,
      (error: unknown) => ConnectError.from(error).code,
    );
    const signal = await signalOf(it);
    expect(await code).toBe(Code.DeadlineExceeded);
    expect(await reasonOf(signal)).toBe('deadline');
    await it.server.stop(0);
  },
  30_000,
);

test.each(Object.keys(transports))(
  'a client that leaves by %s ends its query',
  async (name) => {
    const it = await startFixture();
    it.engine.gate = new Promise(() => {});
    const client = createClient(QuerierService, transports[name]?.(it.url) as Transport);
    const leave = new AbortController();
    const call = client.selectMergeStacktraces(FIELDS, { signal: leave.signal });
    const code = call.then(
      () => undefined,
      (error: unknown) => ConnectError.from(error).code,
    );
    const signal = await signalOf(it);
    expect(signal.aborted).toBe(false);
    leave.abort();
    expect(await code).toBe(Code.Canceled);
    expect(await reasonOf(signal)).toBe('canceled');
    await it.server.stop(0);
  },
  30_000,
);
