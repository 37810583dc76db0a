import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { expect, test } from '@jest/globals';
import { QuerierService } from '../../src/gen/querier/v1/querier_pb.ts';
import { QueryService } from '../../src/gen/tephra/v1/query_pb.ts';
import { NO_NOTES } from '../../src/query/request.ts';
import { send, startFixture, type Fixture } from './fixture.ts';

const GRACE_MS = 60_000;
const transports: Record<string, (baseUrl: string) => Transport> = {
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
  'gRPC-Web over HTTP/1.1': (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }),
  'Connect over HTTP/1.1': (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '1.1' }),
  'Connect over HTTP/2': (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '2' }),
};
const range = { start: 1n, end: 2n };

async function codeOf(work: Promise<unknown>): Promise<Code | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return ConnectError.from(error).code;
  }
}

/** The signal that the first query got. */
function signalOf({ engine }: Fixture): AbortSignal {
  const [request] = engine.calls[0]?.args ?? [];
  return (request as { signal: AbortSignal }).signal;
}

/** Resolves when the engine was asked `count` times. */
async function asked({ engine }: Fixture, count: number): Promise<void> {
  while (engine.calls.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
}

test.each(Object.keys(transports))(
  'an open merge by %s ends with UNAVAILABLE',
  async (name) => {
    const it = await startFixture();
    it.engine.gate = new Promise(() => {});
    const client = createClient(QuerierService, transports[name]?.(it.url) as Transport);
    const fields = { profileTypeID: 'a:b:c:d:e', labelSelector: '{}', ...range };
    const code = codeOf(client.selectMergeStacktraces(fields));
    await asked(it, 1);
    const signal = signalOf(it);
    // Far sooner than the grace time, which is for what cannot end by itself.
    await it.server.stop(GRACE_MS);
    expect(await code).toBe(Code.Unavailable);
    expect(signal.reason).toMatchObject({ reason: 'draining' });
  },
  30_000,
);

test.each(Object.keys(transports))(
  'an open stream by %s ends with UNAVAILABLE',
  async (name) => {
    const it = await startFixture();
    it.engine.nodes = async (...args: unknown[]) => {
      it.engine.calls.push({ method: 'nodes', args });
      return {
        nodes: 1,
        notes: NO_NOTES,
        chunks: { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) },
      };
    };
    const client = createClient(QueryService, transports[name]?.(it.url) as Transport);
    const selection = { profileType: 'a:b:c:d:e', selector: '{}', startMs: 1n, endMs: 2n };
    let stopped: Promise<void> | undefined;
    const read = async (): Promise<void> => {
      for await (const { nodeCount } of client.mergeStream({ selection })) {
        expect(nodeCount).toBe(1);
        stopped = it.server.stop(GRACE_MS);
      }
    };
    expect(await codeOf(read())).toBe(Code.Unavailable);
    await stopped;
    expect(signalOf(it).reason).toMatchObject({ reason: 'draining' });
  },
  30_000,
);

test('an open download ends with 503, and its query ends too', async () => {
  const it = await startFixture();
  it.engine.gate = new Promise(() => {});
  const answer = send(`${it.url}/pprof?query=a:b:c:d:e`, undefined, {}, 'GET');
  await asked(it, 1);
  const signal = signalOf(it);
  await it.server.stop(GRACE_MS);
  expect((await answer).status).toBe(503);
  expect(signal.aborted).toBe(true);
}, 30_000);

test('queries behind routes and profile types end when their clients leave', async () => {
  const it = await startFixture();
  it.engine.gate = new Promise(() => {});
  const controller = new AbortController();
  const download = fetch(`${it.url}/pprof?query=a:b:c:d:e`, { signal: controller.signal });
  const types = fetch(`${it.url}/querier.v1.QuerierService/ProfileTypes`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
    signal: controller.signal,
  });
  await asked(it, 2);
  controller.abort();
  await Promise.allSettled([download, types]);
  const signals = it.engine.calls.map(({ args }) => (args[0] as { signal: AbortSignal }).signal);
  while (!signals.every(({ aborted }) => aborted)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(signals.map(({ reason }) => reason as object)).toEqual([
    expect.objectContaining({ reason: 'canceled' }),
    expect.objectContaining({ reason: 'canceled' }),
  ]);
  await it.server.stop(GRACE_MS);
}, 30_000);
