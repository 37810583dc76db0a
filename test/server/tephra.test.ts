import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { gunzipSync, gzipSync } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { ProfileSchema } from '../../src/gen/google/v1/profile_pb.ts';
import {
  IngestService,
  PlainProfileSchema,
  PushOutcome,
  type PushResult,
} from '../../src/gen/tephra/v1/ingest_pb.ts';
import { MergeFormat, QueryService } from '../../src/gen/tephra/v1/query_pb.ts';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { createMetrics } from '../../src/base/metrics.ts';
import { startServer, type RunningServer } from '../../src/server/server.ts';
import { DAY, itemOf, QueryBench, readTree, sorted, TYPE } from '../query/execute/bench.ts';
import { send } from './fixture.ts';

const bench = new QueryBench();
let server: RunningServer;
let url = '';
beforeAll(async () => {
  await bench.open();
  server = await startServer({
    engine: bench.engine,
    listen: { host: '127.0.0.1', port: 0 },
    clock: { ...systemClock, nowMs: () => bench.nowMs },
    timers: systemTimers,
    logger: silentLogger,
    metrics: createMetrics(),
  });
  url = `http://127.0.0.1:${server.address.port}`;
});
afterAll(async () => {
  await server.stop(100);
  await bench.engine.stop();
});

const LABELS = [
  { name: '__name__', value: 'process_cpu' },
  { name: 'service_name', value: 'plain' },
];
const PLAIN = toBinary(
  PlainProfileSchema,
  create(PlainProfileSchema, {
    strings: ['main', 'work'],
    types: [{ type: 'cpu', unit: 'nanoseconds' }],
    periodType: { type: 'cpu', unit: 'nanoseconds' },
    frameFunction: [0, 1],
    stackFrames: [0, 0, 1],
    stackDepth: [1, 2],
    values: [3n, 5n],
  }),
);
const SELECTION = {
  profileType: TYPE,
  selector: '{service_name="plain"}',
  startMs: BigInt(DAY),
  endMs: BigInt(DAY + 1_000),
};

describe('tephra.v1.IngestService', () => {
  test('gives each profile a result of its own', async () => {
    const good = { labels: LABELS, id: 'k1', startMs: BigInt(DAY) };
    const plain = { case: 'plain', value: PLAIN } as const;
    const nothing = toBinary(
      PlainProfileSchema,
      create(PlainProfileSchema, { types: [{ type: 'cpu', unit: 'ns' }] }),
    );
    const pprof = itemOf(
      { startMs: DAY, samples: [{ stack: ['main'], value: 1n }] },
      bench.nowMs,
    ).payload;
    const { results } = await bench.call(IngestService.method.push, {
      profiles: [
        { ...good, payload: plain },
        { ...good, payload: plain },
        { ...good, labels: [], payload: plain },
        { ...good, payload: { case: 'plain', value: Uint8Array.of(1, 2, 3) } },
        { ...good, payload: { case: 'plain', value: nothing } },
        { ...good, id: 'k2', payload: { case: 'pprof', value: pprof } },
        good,
        { ...good, endMs: 1n, payload: plain },
        { ...good, startMs: 1n, payload: plain },
      ],
    });
    const shown = results.map((result: PushResult) =>
      result.outcome === PushOutcome.REFUSED ? result.reason : result.outcome,
    );
    expect(shown).toEqual([
      PushOutcome.STORED,
      PushOutcome.DUPLICATE,
      'missing_labels',
      'malformed_protobuf',
      PushOutcome.EMPTY,
      PushOutcome.STORED,
      'empty_request',
      'invalid_time_range',
      'not_in_ingestion_window',
    ]);
    expect(results[0]?.entries).toBe(2n);
    expect(results.every(({ retryable }) => !retryable)).toBe(true);
  });

  test('stores plain profiles, gzip too, once a key', async () => {
    const profile = {
      labels: LABELS,
      id: 'k3',
      startMs: BigInt(DAY + 500),
      payload: { case: 'plain', value: new Uint8Array(gzipSync(PLAIN)) } as const,
    };
    for (const expected of [PushOutcome.STORED, PushOutcome.DUPLICATE]) {
      const { results } = await bench.call(IngestService.method.push, { profiles: [profile] });
      expect(results[0]?.outcome).toBe(expected);
    }
    const { tree, exactness } = await bench.call(QueryService.method.merge, {
      selection: { ...SELECTION, startMs: BigInt(DAY + 500) },
      format: MergeFormat.TREE,
    });
    expect(sorted(readTree(tree))).toEqual([
      ['["main","work"]', 5n],
      ['["main"]', 3n],
    ]);
    expect(exactness?.exact).toBe(true);
    const byId = await bench.call(QueryService.method.merge, {
      selection: { ...SELECTION, profileIds: ['k3'] },
    });
    expect(byId.exactness).toMatchObject({ total: 8n, profiles: 1n });
  });

  test('refuses a request without profiles', async () => {
    await expect(bench.call(IngestService.method.push, {})).rejects.toMatchObject({
      reason: 'empty_request',
    });
  });
});

describe('tephra.v1.QueryService', () => {
  test('answers every method over Connect JSON', async () => {
    const selection = {
      profileType: TYPE,
      selector: SELECTION.selector,
      startMs: String(DAY),
      endMs: String(DAY + 1_000),
    };
    const ask = async (name: string, request: object): Promise<Record<string, unknown>> => {
      const path = `${url}/tephra.v1.QueryService/${name}`;
      const json = { 'content-type': 'application/json' };
      const answer = await send(path, JSON.stringify(request), json);
      expect([answer.status, answer.text.slice(0, 200)]).toEqual([200, expect.any(String)]);
      return JSON.parse(answer.text) as Record<string, unknown>;
    };
    const exact = { exactness: expect.objectContaining({ exact: true }) };
    expect(await ask('Merge', { selection })).toMatchObject({
      flamegraph: expect.objectContaining({ total: '17' }),
      ...exact,
    });
    expect(await ask('Diff', { left: selection, right: selection })).toMatchObject(exact);
    expect(await ask('Series', { selection, stepMs: '1000' })).toMatchObject(exact);
    const top = await ask('TopFunctions', { selection, limit: 1 });
    expect(top).toMatchObject({ functions: [{ name: 'work', self: '10', total: '10' }], ...exact });
    const labels = { startMs: String(DAY), endMs: String(DAY + 1), name: 'service_name' };
    expect(await ask('Labels', labels)).toMatchObject({ names: ['plain'], ...exact });
    expect(await ask('Labels', { ...labels, name: '' })).toMatchObject({
      names: expect.arrayContaining(['service_name', '__profile_type__']),
    });
  });

  test('refuses what it cannot answer', async () => {
    const { method } = QueryService;
    const refused = (request: object, reason: string) =>
      expect(bench.call(method.merge, request)).rejects.toMatchObject({ reason });
    await refused({}, 'invalid_argument');
    await refused({ selection: { ...SELECTION, profileType: 'x' } }, 'invalid_profile_type');
    await refused({ selection: { ...SELECTION, startMs: 0n } }, 'missing_time_range');
    await refused({ selection: SELECTION, maxNodes: -1n }, 'invalid_max_nodes');
    await expect(
      bench.call(method.series, {
        selection: { ...SELECTION, spanIds: ['0'.repeat(16)] },
        stepMs: 1n,
      }),
    ).rejects.toMatchObject({ reason: 'unimplemented' });
    await expect(
      bench.call(method.series, { selection: SELECTION, stepMs: 0n }),
    ).rejects.toMatchObject({ reason: 'invalid_step' });
  });
});

describe('GET /pprof', () => {
  const get = (query: string) => send(`${url}/pprof?${query}`, undefined, {}, 'GET');
  const range = `from=${DAY}&until=${DAY + 1_000}`;

  test('answers gzip pprof for a type with labels, and for a selector with the type in it', async () => {
    const queries = [
      `${TYPE}{service_name="plain"}`,
      `{service_name="plain", __profile_type__="${TYPE}"}`,
    ];
    for (const query of queries) {
      const answer = await get(`query=${encodeURIComponent(query)}&${range}&seconds=5`);
      expect([answer.status, answer.headers['content-type']]).toEqual([
        200,
        'application/octet-stream',
      ]);
      const profile = fromBinary(ProfileSchema, gunzipSync(answer.body));
      const sum = profile.sample.reduce((all, { value }) => all + (value[0] ?? 0n), 0n);
      expect(sum).toBe(17n);
    }
  });

  test.each([
    ['no query', range, 400, 'query is required'],
    ['no type', `query=%7B%7D&${range}`, 400, 'expected a profile type'],
    ['a bad type', `query=cpu%7B%7D&${range}`, 400, 'invalid_profile_type'],
    ['a bad selector', `query=${TYPE}%7Ba&${range}`, 400, 'parse_error'],
    ['a bad time', `query=${TYPE}&from=yesterday`, 400, 'invalid_time'],
    ['times the wrong way round', `query=${TYPE}&from=now&until=now-1h`, 400, 'from is after'],
    ['a query twice', `query=a&query=b`, 400, 'given twice'],
  ])('refuses %s', async (_, query, status, text) => {
    const answer = await get(query);
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(text)]);
  });
});

describe('POST /ingest with sample_type_config', () => {
  const form = (config: string, pprof: Uint8Array): Buffer => {
    const part = (name: string, body: Uint8Array | string) => [
      Buffer.from(`--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n`),
      Buffer.from(body as string),
      Buffer.from('\r\n'),
    ];
    return Buffer.concat([
      ...part('profile', pprof),
      ...part('sample_type_config', config),
      Buffer.from('--x--\r\n'),
    ]);
  };
  const contentions = (): Uint8Array =>
    itemOf(
      {
        startMs: DAY + 2_000,
        type: ['contentions', 'count'],
        samples: [{ stack: ['main'], value: 4n }],
      },
      bench.nowMs,
    ).payload;
  const post = (config: string) =>
    send(
      `${url}/ingest?name=blocked&from=${DAY + 2_000}&until=${DAY + 3_000}`,
      form(config, contentions()),
      {
        'content-type': 'multipart/form-data; boundary=x',
      },
    );

  test('names the profile by the display names', async () => {
    const config = { contentions: { 'display-name': 'block_count', units: 'lock_samples' } };
    const answer = await post(JSON.stringify(config));
    expect([answer.status, answer.text]).toEqual([200, '']);
    const { names } = await bench.call(QueryService.method.labels, {
      startMs: BigInt(DAY),
      endMs: BigInt(DAY + 1),
      name: '__profile_type__',
      selectors: ['{service_name="blocked"}'],
    });
    expect(names).toEqual(['block:contentions:count:cpu:nanoseconds']);
  });

  test.each(['[]', 'x', '{"a":1}', '{"a":{"display-name":5}}'])('refuses %s', async (config) => {
    const answer = await post(config);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('sample_type_config'),
    });
  });
});

describe('a stream of nodes', () => {
  const transports = [
    ['Connect', () => createConnectTransport({ baseUrl: url, httpVersion: '1.1' })],
    ['gRPC', () => createGrpcTransport({ baseUrl: url })],
  ] as const;

  test.each(transports)('comes over %s', async (_, transport) => {
    const client = createClient(QueryService, transport());
    const self: bigint[] = [];
    let nodeCount = 0;
    for await (const chunk of client.mergeStream({ selection: SELECTION })) {
      nodeCount ||= chunk.nodeCount;
      self.push(...chunk.self);
    }
    expect(self).toHaveLength(nodeCount);
    expect(self.reduce((sum, value) => sum + value, 0n)).toBe(17n);
  });
});
