import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { createMetrics } from '../../src/base/metrics.ts';
import { TephraClient } from '../../src/client/client.ts';
import { TephraClientError } from '../../src/client/error.ts';
import { connect } from '../../src/client/index.ts';
import { createTransports, type ConnectOptions } from '../../src/client/transport.ts';
import { startServer, type RunningServer } from '../../src/server/server.ts';
import { makeCertificate } from '../support/certificate.ts';
import { DAY, QueryBench, TYPE } from '../query/execute/bench.ts';

const bench = new QueryBench();
const clock = { ...systemClock, nowMs: () => bench.nowMs };
const certificate = makeCertificate();
let server: RunningServer;
let secure: RunningServer;
beforeAll(async () => {
  await bench.open();
  const options = {
    engine: bench.engine,
    listen: { host: '127.0.0.1', port: 0 },
    clock,
    timers: systemTimers,
    logger: silentLogger,
    metrics: createMetrics(),
  };
  server = await startServer(options);
  secure = await startServer({ ...options, tls: certificate, pathPrefix: '/t' });
});
afterAll(async () => {
  await server.stop(100);
  await secure.stop(100);
  await bench.engine.stop();
});

const url = (): string => `http://127.0.0.1:${server.address.port}`;
const open = (options: Partial<ConnectOptions> = {}): TephraClient =>
  new TephraClient(createTransports({ url: url(), ...options }), clock);
const CPU = { type: 'cpu', unit: 'nanoseconds' };
const labels = (service: string): Record<string, string> => ({
  __name__: 'process_cpu',
  service_name: service,
});
const select = (service: string): { profileType: string; selector: string; from: number } => ({
  profileType: TYPE,
  selector: `{service_name="${service}"}`,
  from: DAY,
});
const samples = [
  { stack: ['main', { function: 'parse', file: 'a.ts', line: 3 }], values: [30] },
  { stack: ['main', { function: 'parse', file: 'a.ts', line: 9 }], values: [5n] },
  { stack: ['main'], values: [7] },
];
const plain = { types: [CPU], periodType: CPU, period: 1, samples };

describe.each(['connect', 'connect-http2', 'grpc'] as const)('over %s', (protocol) => {
  const service = `client-${protocol}`;
  const selection = select(service);
  let client: TephraClient;
  beforeAll(async () => {
    client = open({ protocol });
    await client.push([{ labels: labels(service), start: DAY, payload: plain }]);
  });
  afterAll(() => client.close());

  test('profiles come back in every form, with their record', async () => {
    const { root, exactness } = await client.tree(selection);
    expect(root).toMatchObject({ name: '', self: 0n, total: 42n });
    expect(root.children).toMatchObject([
      { name: 'main', self: 7n, total: 42n, children: [{ name: 'parse', self: 35n, total: 35n }] },
    ]);
    expect(exactness).toMatchObject({ exact: true, total: 42n, profiles: 1, lost: [] });
    const { flameGraph } = await client.flameGraph(selection);
    expect(flameGraph).toMatchObject({
      names: ['total', 'main', 'parse'],
      total: 42n,
      maxSelf: 35n,
    });
    expect((await client.dot(selection)).dot).toMatch(/^digraph/);
    const pprof = await client.pprof(selection);
    expect(pprof.profile.sample.map(({ value }) => Number(value[0])).sort((a, b) => a - b)).toEqual(
      [5, 7, 30],
    );
    const again = await client.push([
      { labels: labels(`${service}-again`), start: DAY, payload: pprof.toBytes() },
    ]);
    expect(again).toEqual([{ outcome: 'stored', entries: 3 }]);
    expect((await client.tree(select(`${service}-again`))).root.total).toBe(42n);
  });

  test('large trees come in chunks', async () => {
    const { nodeCount, chunks, exactness } = await client.nodes(selection);
    expect([nodeCount, exactness.total]).toEqual([3, 42n]);
    const totals: bigint[] = [];
    for await (const { total } of chunks) totals.push(...total);
    expect(totals).toEqual([42n, 42n, 35n]);
  });

  test('two merges are compared', async () => {
    const { flameGraph } = await client.diff(selection, {
      ...selection,
      from: DAY - 10,
      to: DAY - 1,
    });
    expect(flameGraph).toMatchObject({ total: 42n, leftTotal: 42n, rightTotal: 0n });
  });

  test('functions, lines and labels are told', async () => {
    const top = await client.top(selection, { limit: 1 });
    expect(top).toMatchObject({ functionCount: 2, restSelf: 7n });
    expect(top.functions).toEqual([{ name: 'parse', self: 35n, total: 35n }]);
    const options = { stepMs: 60_000, groupBy: ['service_name'], exemplars: true };
    const { lines } = await client.series({ ...selection, to: DAY + 60_000 }, options);
    expect(lines).toMatchObject([
      { labels: { service_name: service }, points: [{ timeMs: DAY, sum: 42n, profiles: 1 }] },
    ]);
    const asked = { selectors: [selection.selector], from: DAY };
    expect((await client.labelNames(asked)).names).toContain('service_name');
    expect((await client.labelValues('service_name', asked)).names).toEqual([service]);
    expect((await client.profileTypes(asked)).names).toEqual([TYPE]);
    expect(await client.labelSets({ ...asked, names: ['service_name'] })).toEqual([
      { service_name: service },
    ]);
    expect((await client.stats()).hasProfiles).toBe(true);
  });

  test('the questions of querier.v1 have the same answers', async () => {
    const { querier } = client;
    const exact = { exact: true, notes: undefined };
    const merged = await client.flameGraph(selection);
    const { flameGraph } = merged;
    expect(await querier.flameGraph(selection)).toEqual({ flameGraph, ...exact });
    const folded = await querier.flameGraph(selection, { maxNodes: 1 });
    expect(folded.flameGraph).toMatchObject({ names: expect.arrayContaining(['other']) });
    const { profile } = await client.pprof(selection);
    expect(await querier.pprof(selection)).toEqual({ profile, ...exact });
    const before = { ...selection, from: DAY - 10, to: DAY - 1 };
    expect(await querier.diff(selection, before)).toEqual({
      flameGraph: (await client.diff(selection, before)).flameGraph,
      ...exact,
    });
    const options = { stepMs: 60_000, groupBy: ['service_name'], limit: 1 };
    expect(await querier.series({ ...selection, to: DAY + 60_000 }, options)).toMatchObject({
      lines: [{ labels: { service_name: service }, points: [{ timeMs: DAY, value: 42 }] }],
    });
    const asked = { selectors: [selection.selector], from: DAY };
    expect((await querier.labelNames(asked)).names).toContain('service_name');
    expect((await querier.labelValues('__profile_type__', asked)).names).toEqual([TYPE]);
    await expect(querier.pprof({ ...selection, selector: '{' })).rejects.toMatchObject({
      code: 'invalid_argument',
      reason: 'parse_error',
    });
  });

  test('a profile is stored as a tool wrote it', async () => {
    const file = { service: `${service}-file`, labels: { pod: 'a' }, start: DAY };
    const bytes = (await client.pprof(selection)).toBytes();
    await client.ingest({ ...file, format: 'pprof', payload: bytes });
    await client.ingest({ ...file, format: 'pprof', payload: bytes });
    const text = Buffer.from('main;read 2\n');
    await client.ingest({ ...file, format: 'folded', sampleRateHz: 1_000, payload: text });
    const { root } = await client.tree(select(file.service));
    expect(root.total).toBe(42n + 2_000_000n);
    const payload = Uint8Array.of(1);
    await expect(client.ingest({ ...file, format: 'pprof', payload })).rejects.toMatchObject({
      code: 'invalid_argument',
      reason: 'malformed_protobuf',
      retryable: false,
    });
    for (const wrong of [{ service: 'a b' }, { labels: { a: 'x,y' } }, { start: 'soon' }]) {
      await expect(
        client.ingest({ ...file, format: 'pprof', payload, ...wrong }),
      ).rejects.toMatchObject({ reason: 'invalid_argument' });
    }
  });

  test('requests may be compressed', async () => {
    const small = open({ protocol, compress: true });
    const long = { stack: ['main', 'x'.repeat(10_000)], values: [1] };
    const payload = { ...plain, samples: [long] };
    const pushed = { labels: labels(`${service}-gzip`), start: DAY, payload };
    expect(await small.push([pushed])).toEqual([{ outcome: 'stored', entries: 1 }]);
    expect((await client.push([pushed]))[0]).toEqual({ outcome: 'duplicate' });
    small.close();
  });

  test('each profile has a result of its own, and an id counts once', async () => {
    const good = { labels: labels(`${service}-ids`), id: 'one', start: DAY, payload: plain };
    const results = await client.push([
      good,
      good,
      { ...good, labels: {} },
      { ...good, id: 'two', payload: Uint8Array.of(1) },
      { ...good, id: 'three', payload: { types: [CPU], samples: [] } },
    ]);
    expect(results).toMatchObject([
      { outcome: 'stored', entries: 3 },
      { outcome: 'duplicate' },
      { outcome: 'refused', reason: 'missing_labels', retryable: false },
      { outcome: 'refused', reason: 'malformed_protobuf' },
      { outcome: 'empty' },
    ]);
  });

  test('a refusal has its code, its reason and whether to try again', async () => {
    const error = await client.tree({ ...selection, selector: '{' }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(TephraClientError);
    expect(error).toMatchObject({
      code: 'invalid_argument',
      reason: 'parse_error',
      retryable: false,
    });
    const left = AbortSignal.abort();
    await expect(client.tree(selection, { signal: left })).rejects.toMatchObject({
      code: 'canceled',
      retryable: false,
    });
  });
});

describe('the client', () => {
  test('asks in its own words about time', async () => {
    const client = open();
    const push = { labels: labels('now'), start: 'now-10m', payload: plain };
    await client.push([push]);
    const { profileType, selector } = select('now');
    expect((await client.tree({ profileType, selector })).root.total).toBe(42n);
    expect((await client.tree({ profileType, selector, from: 'now-5m' })).root.total).toBe(0n);
    const until = { profileType, selector, from: new Date(DAY), to: 'now-5m' };
    expect((await client.tree(until)).root.total).toBe(42n);
    await expect(client.tree({ ...until, to: 'soon' })).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('to: '),
    });
    client.close();
  });

  test('tells a server that is not there from one that refuses', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as { port: number };
    closed.close();
    for (const protocol of ['connect', 'grpc'] as const) {
      const client = connect({ url: `http://127.0.0.1:${port}/`, protocol });
      await expect(client.stats()).rejects.toMatchObject({
        code: 'unavailable',
        reason: 'unreachable',
        retryable: true,
      });
      client.close();
    }
    expect(() => connect({ url: 'localhost:4040' })).toThrow(TephraClientError);
  });

  test('a call that takes too long ends by its deadline', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const client = connect({ url: `http://127.0.0.1:${port}`, timeoutMs: 50 });
    await expect(client.stats()).rejects.toMatchObject({ reason: 'deadline', retryable: true });
    client.close();
    silent.close();
  });

  test('gives up a file for its deadline, its caller and a server that hangs up', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    const rude = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await Promise.all([once(silent, 'listening'), once(rude, 'listening')]);
    const at = (of: typeof silent): TephraClient =>
      connect({ url: `http://127.0.0.1:${(of.address() as { port: number }).port}` });
    const file = { service: 'a', format: 'pprof', payload: new Uint8Array(1) } as const;
    const [slow, gone] = [at(silent), at(rude)];
    await expect(slow.ingest(file, { timeoutMs: 50 })).rejects.toMatchObject({
      reason: 'deadline',
    });
    await expect(slow.ingest(file, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
      code: 'canceled',
    });
    await expect(gone.ingest(file)).rejects.toMatchObject({ reason: 'unreachable' });
    for (const client of [slow, gone]) client.close();
    for (const one of [silent, rude]) one.close();
  });

  test('speaks TLS below a prefix, and sends its token and headers', async () => {
    const client = open({
      url: `https://127.0.0.1:${secure.address.port}/t/`,
      tls: { ca: certificate.cert },
      token: 'secret',
      headers: { 'x-scope-orgid': 'anonymous' },
    });
    expect(client.url.endsWith('/t')).toBe(true);
    await bench.push({ startMs: DAY, samples: [{ stack: ['tls'], value: 3n }] });
    expect((await client.tree(select('shop'))).root.total).toBe(3n);
    const payload = Buffer.from('tls 1\n');
    await client.ingest({ service: 'tls-file', format: 'folded', start: DAY, payload });
    const stream = client.stream({ labels: { service_name: 'tls-stream' } });
    const { tables } = stream;
    const type = { name: 'process_cpu', ...CPU, periodType: CPU };
    const family = tables.family({ labels: {}, types: [type] });
    const stacks = [tables.stack(0, tables.frame('tls'))];
    stream.write([{ family, startMs: DAY, durationMs: 0, stacks, columns: [[4]] }]);
    expect(await stream.close(10_000)).toBe(true);
    expect(stream.stats).toMatchObject({ settledEntries: 1, refusedEntries: 0 });
    expect((await client.tree(select('tls-stream'))).root.total).toBe(4n);
    client.close();
  });
});
