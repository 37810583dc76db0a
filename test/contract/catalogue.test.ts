/**
 * Rows of the catalogue of bad inputs that need more than one request over a quiet server: ranges on
 * every method, limits, damage, and what hostile or dying connections do to others. By every way there
 * is, where the way matters.
 */
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { create, type DescMethod, type Message, toBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import * as grpc from '@grpc/grpc-js';
import { TephraError } from '../../src/base/errors.ts';
import { PusherService, PushRequestSchema } from '../../src/gen/push/v1/push_pb.ts';
import { QuerierService } from '../../src/gen/querier/v1/querier_pb.ts';
import { QueryService, type MergeResponse } from '../../src/gen/tephra/v1/query_pb.ts';
import { DAY, MINUTE, QueryBench, TYPE } from '../query/execute/bench.ts';
import { FakeEngine, JSON_TYPE, PROTO, send } from '../server/fixture.ts';
import { makeCertificate } from '../support/certificate.ts';
import { allWays, codeName, cpuProfile, startRealServer, type RealServer } from './port.ts';

const identity = makeCertificate();
const querier = QuerierService.method;
const tephra = QueryService.method;
const open: RealServer[] = [];
afterAll(async () => {
  for (const server of open) await server.stop();
});

type Options = NonNullable<Parameters<typeof startRealServer>[0]>;
type Limits = Parameters<typeof startRealServer>[1];

async function started(options: Options = {}, limits: Limits = {}): Promise<RealServer> {
  const server = await startRealServer(options, limits);
  open.push(server);
  return server;
}

const data = (fields: object = {}) => ({
  profileTypeID: TYPE,
  labelSelector: '{}',
  start: BigInt(Date.now() - 600_000),
  end: BigInt(Date.now() + 60_000),
  ...fields,
});

/** What each way answers to a call, by the name of the way. */
async function byAllWays(
  server: RealServer,
  method: DescMethod,
  request: object,
): Promise<Map<string, { code: string; message: string; reply: Message | undefined }>> {
  const found = new Map<string, { code: string; message: string; reply: Message | undefined }>();
  for (const way of allWays().filter(({ tls }) => !tls)) {
    const caller = way.open(server.port, identity.cert);
    const { code, message, replies } = await caller.call(method, request);
    caller.close();
    found.set(way.name, { code: codeName(code), message, reply: replies[0] });
  }
  return found;
}

async function expectRefused(
  server: RealServer,
  method: DescMethod,
  request: object,
  code: Code,
  reason: string,
): Promise<void> {
  const answers = await byAllWays(server, method, request);
  expect(answers.size).toBeGreaterThanOrEqual(10);
  for (const [way, answer] of answers) {
    expect([way, answer.code, answer.message]).toEqual([
      way,
      codeName(code),
      expect.stringContaining(reason),
    ]);
  }
}

describe('81 ranges on every method', () => {
  const selection = (start: bigint, end: bigint) => ({
    selection: { profileType: TYPE, selector: '{}', startMs: start, endMs: end },
  });
  const asked: [DescMethod, (start: bigint, end: bigint) => object][] = [
    [querier.labelNames, (start, end) => ({ start, end })],
    [querier.labelValues, (start, end) => ({ start, end, name: 'a' })],
    [querier.series, (start, end) => ({ start, end })],
    [querier.selectMergeStacktraces, (start, end) => data({ start, end })],
    [
      querier.selectMergeSpanProfile,
      (start, end) => data({ start, end, spanSelector: ['0'.repeat(16)] }),
    ],
    [querier.selectMergeProfile, (start, end) => data({ start, end })],
    [querier.selectSeries, (start, end) => data({ start, end, step: 15 })],
    [querier.selectHeatmap, (start, end) => data({ start, end, step: 15 })],
    [querier.diff, (start, end) => ({ left: data(), right: data({ start, end }) })],
    [querier.analyzeQuery, (start, end) => ({ start, end, query: '{}' })],
    [tephra.merge, selection],
    [tephra.mergeStream, selection],
    [
      tephra.diff,
      (s, e) => ({ left: selection(1n, 2n).selection, right: selection(s, e).selection }),
    ],
    [tephra.series, (start, end) => ({ ...selection(start, end), stepMs: 1_000n })],
    [tephra.topFunctions, selection],
    [tephra.labels, (startMs, endMs) => ({ startMs, endMs })],
  ];
  let server: RealServer;
  beforeAll(async () => {
    server = await started();
  });
  test.each(
    asked.map(
      ([method, request]) => [`${method.parent.typeName}/${method.name}`, method, request] as const,
    ),
  )('%s', async (_, method, request) => {
    await expectRefused(
      server,
      method,
      request(9n, 8n),
      Code.InvalidArgument,
      'invalid_time_range',
    );
    await expectRefused(
      server,
      method,
      request(0n, 0n),
      Code.InvalidArgument,
      'missing_time_range',
    );
  });

  test('ProfileTypes answers all the same; 82 there is no limit on the length', async () => {
    for (const range of [{}, { start: 9n, end: 8n }, { start: 1000n, end: 4000n }]) {
      for (const [way, { code }] of await byAllWays(server, querier.profileTypes, range)) {
        expect([way, code]).toEqual([way, 'ok']);
      }
    }
    const ever = data({ start: 1n, end: 2n ** 63n - 1n });
    for (const [way, { code }] of await byAllWays(server, querier.selectMergeStacktraces, ever)) {
      expect([way, code]).toEqual([way, 'ok']);
    }
  });
});

test('88 a query that needs more memory than the limit is refused for good', async () => {
  const bench = await new QueryBench({ queryBytes: 1 }).open();
  await bench.push({ startMs: DAY, samples: [{ stack: ['main'], value: 1n }] });
  await bench.absorb();
  const server = await started({ engine: bench.engine });
  await expectRefused(
    server,
    querier.selectMergeStacktraces,
    data({ start: 1n }),
    Code.ResourceExhausted,
    'query_limit',
  );
  const { status, headers } = await send(
    `http://127.0.0.1:${server.port}/querier.v1.QuerierService/SelectMergeStacktraces`,
    toBinary(
      querier.selectMergeStacktraces.input,
      create(querier.selectMergeStacktraces.input, data({ start: 1n })),
    ),
    PROTO,
  );
  expect([status, headers['retry-after']]).toEqual([429, undefined]);
});

test('89 a query too many is refused, with the time to come back', async () => {
  const engine = new FakeEngine();
  engine.fail = new TephraError('too_many_queries', '256 queries wait already');
  const server = await started({ engine });
  await expectRefused(
    server,
    querier.selectMergeStacktraces,
    data(),
    Code.ResourceExhausted,
    'too_many_queries',
  );
  const url = `http://127.0.0.1:${server.port}/querier.v1.QuerierService/ProfileTypes`;
  const { status, headers } = await send(url, '{"start":"1","end":"2"}', JSON_TYPE);
  expect([status, headers['retry-after']]).toEqual([429, expect.stringMatching(/^\d+$/)]);
});

test('91 a damaged block: what is left is answered, and the record says so', async () => {
  const bench = await new QueryBench().open();
  await bench.push(
    { startMs: DAY, samples: [{ stack: ['main'], value: 5n }] },
    { startMs: DAY + MINUTE, samples: [{ stack: ['main', 'a'], value: 7n }] },
  );
  await bench.absorb();
  await bench.dropRaw();
  const damaged = await bench.damage(/^minutes\/.*\/b\//, (bytes) => {
    for (let i = 8; i < bytes.length / 2; i++) bytes[i] = (bytes[i] as number) ^ 0x55;
  });
  expect(damaged).toBeGreaterThan(0);
  const server = await started({ engine: bench.engine });
  const selection = {
    profileType: TYPE,
    selector: '{}',
    startMs: 1n,
    endMs: BigInt(DAY + 9 * MINUTE),
  };
  for (const [way, { code, reply }] of await byAllWays(server, tephra.merge, { selection })) {
    expect([way, code]).toEqual([way, 'ok']);
    const { exactness } = reply as MergeResponse;
    expect([way, exactness?.exact]).toEqual([way, false]);
    expect(exactness?.damagedSections).toBeGreaterThan(0n);
  }
});

/** A server whose profiles can be counted by the label `batch`. */
async function totalOf(server: RealServer, batch: string): Promise<bigint> {
  const answer = await server.engine.tree(
    {
      tenant: 'anonymous',
      profileType: TYPE,
      selector: `{batch="${batch}"}`,
      startMs: Date.now() - 600_000,
      endMs: Date.now() + 60_000,
    },
    { kind: 'top', limit: 1 },
  );
  return answer.notes.total;
}

const batchOf = (batch: string, profiles: number): Uint8Array =>
  toBinary(
    PushRequestSchema,
    create(PushRequestSchema, {
      series: Array.from({ length: profiles }, (_, i) => ({
        labels: Object.entries({
          __name__: 'process_cpu',
          service_name: `service-${i}`,
          batch,
        }).map(([name, value]) => ({ name, value })),
        samples: [{ rawProfile: cpuProfile(), ID: '' }],
      })),
    }),
  );
const PUSH = `/${PusherService.typeName}/Push`;
const PROFILE_TOTAL = 30_000_000n;

function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

describe('119 a client that leaves in the middle of its batch', () => {
  const SIZE = 24;
  const TRIES = 8;
  type Leave = (server: RealServer, bytes: Uint8Array, afterMs: number) => Promise<void>;
  const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const ways: [string, Leave][] = [
    [
      'gRPC',
      async ({ port }, bytes, afterMs) => {
        const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
        const same = (value: Buffer): Buffer => value;
        const call = client.makeUnaryRequest(PUSH, same, same, Buffer.from(bytes), () => {});
        await wait(afterMs);
        call.cancel();
        client.close();
      },
    ],
    [
      'Connect over HTTP/1.1',
      async ({ port }, bytes, afterMs) => {
        const request = httpRequest({
          port,
          host: '127.0.0.1',
          path: PUSH,
          method: 'POST',
          headers: PROTO,
        });
        request.on('error', () => {});
        request.end(bytes);
        await wait(afterMs);
        request.destroy();
      },
    ],
    [
      'Connect over HTTP/2',
      async ({ port }, bytes, afterMs) => {
        const session = connectHttp2(`http://127.0.0.1:${port}`);
        session.on('error', () => {});
        const stream = session.request({ ':method': 'POST', ':path': PUSH, ...PROTO });
        stream.on('error', () => {});
        stream.end(bytes);
        await wait(afterMs);
        session.destroy();
      },
    ],
    [
      'half of a body, then nothing',
      async ({ port }, bytes, afterMs) => {
        const headers = { ...PROTO, 'content-length': bytes.byteLength };
        const request = httpRequest({
          port,
          host: '127.0.0.1',
          path: PUSH,
          method: 'POST',
          headers,
        });
        request.on('error', () => {});
        request.write(bytes.subarray(0, bytes.byteLength / 2));
        await wait(afterMs);
        request.destroy();
      },
    ],
  ];
  test.each(ways)('%s: nothing or everything is stored', async (name, leave) => {
    const server = await started();
    const totals: bigint[] = [];
    for (let i = 0; i < TRIES; i++) await leave(server, batchOf(String(i), SIZE), i * i);
    // Whole, and behind those before: when it is stored, they are or never will be.
    const last = await send(`http://127.0.0.1:${server.port}${PUSH}`, batchOf('last', SIZE), PROTO);
    expect(last.status).toBe(200);
    for (let i = 0; i < TRIES; i++) totals.push(await totalOf(server, String(i)));
    const whole = BigInt(SIZE) * PROFILE_TOTAL;
    expect(totals.filter((total) => total !== 0n && total !== whole)).toEqual([]);
    if (name.startsWith('half')) expect(new Set(totals)).toEqual(new Set([0n]));
    expect(await totalOf(server, 'last')).toBe(whole);
  });
});

describe('hostile connections', () => {
  let server: RealServer;
  beforeAll(async () => {
    server = await started({ times: { requestTimeoutMs: 2_000, headersTimeoutMs: 1_500 } });
  });

  /** A session; what goes wrong on it is the server's right. */
  function session(): ClientHttp2Session {
    const own = connectHttp2(`http://127.0.0.1:${server.port}`);
    own.on('error', () => {});
    return own;
  }

  async function expectGoodCalls(): Promise<void> {
    for (const [way, { code }] of await byAllWays(server, querier.profileTypes, {})) {
      expect([way, code]).toEqual([way, 'ok']);
    }
  }

  const KINDS = [
    ['gRPC', { 'content-type': 'application/grpc', te: 'trailers' }],
    ['gRPC-Web', { 'content-type': 'application/grpc-web+proto' }],
    ['Connect', PROTO],
  ] as const;

  test.each(KINDS)('107 one-byte DATA frames by %s are refused', async (kind, headers) => {
    const own = session();
    const stream = own.request({ ':method': 'POST', ':path': PUSH, ...headers });
    stream.on('error', () => {});
    const ended = new Promise<unknown>((resolve) => {
      stream.on('response', (found) => resolve(found[':status']));
      stream.on('close', () => resolve('closed'));
      own.on('close', () => resolve('closed'));
    });
    const over: unknown[] = [];
    void ended.then((how) => over.push(how));
    const bytes = kind === 'Connect' ? Buffer.alloc(20_000) : frame(new Uint8Array(20_000));
    for (let i = 0; i < bytes.length && over.length === 0 && !stream.destroyed; i++) {
      stream.write(bytes.subarray(i, i + 1));
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    if (!stream.destroyed) stream.end();
    expect([200, 400, 408, 'closed']).toContain(await ended);
    own.destroy();
    await expectGoodCalls();
  });

  test('108 of 10,000 streams 100 are open at once', async () => {
    const own = session();
    await new Promise((resolve) => own.once('remoteSettings', resolve));
    expect(own.remoteSettings.maxConcurrentStreams).toBe(100);
    own.destroy();
  });

  test('109 rapid resets end the connection or cost little, and others are served', async () => {
    const own = session();
    await new Promise((resolve) => own.once('connect', resolve));
    for (let i = 0; i < 5_000 && !own.destroyed && !own.closed; i++) {
      const stream = own.request({ ':method': 'POST', ':path': PUSH, ...KINDS[0][1] });
      stream.on('error', () => {});
      stream.close(8);
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await expectGoodCalls();
    own.destroy();
  });

  test.each([
    ['pings', (own: ClientHttp2Session): unknown => own.ping(() => {})],
    [
      'settings',
      (own: ClientHttp2Session): unknown => own.settings({ enablePush: false }, () => {}),
    ],
  ])('110 a flood of %s', async (_, one) => {
    const own = session();
    await new Promise((resolve) => own.once('connect', resolve));
    for (let i = 0; i < 5_000 && !own.destroyed && !own.closed; i++) {
      try {
        one(own);
      } catch {
        // So many at once as the client itself has room for.
      }
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await expectGoodCalls();
    own.destroy();
  });

  test('110 a flood of empty DATA frames', async () => {
    const own = session();
    const stream = own.request({ ':method': 'POST', ':path': PUSH, ...KINDS[0][1] });
    stream.on('error', () => {});
    for (let i = 0; i < 5_000 && !stream.destroyed; i++) {
      stream.write(Buffer.alloc(0));
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await expectGoodCalls();
    own.destroy();
  });

  /** The status that a raw stream gets: gRPC's, else that of HTTP. */
  function statusOf(headers: Readonly<Record<string, string>>, body: Uint8Array, isEnded: boolean) {
    const own = session();
    return new Promise<string>((resolve) => {
      const stream = own.request({ ':method': 'POST', ':path': PUSH, ...headers });
      let status = '';
      let text = '';
      const note = (found: Record<string, unknown>): void => {
        status = String(found['grpc-status'] ?? (status === '' ? found[':status'] : status));
      };
      stream.on('response', note);
      stream.on('trailers', note);
      stream.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      stream.on('error', () => {});
      const done = (): void => {
        own.destroy();
        resolve(/grpc-status: ?(\d+)/i.exec(text)?.[1] ?? status);
      };
      // Trailers come before the end.
      stream.on('end', done);
      stream.on('close', done);
      if (isEnded) stream.end(body);
      else stream.write(body);
    });
  }

  test('114 two messages on a call with one', async () => {
    const twice = Buffer.concat([frame(batchOf('twice', 1)), frame(batchOf('twice', 1))]);
    for (const [kind, headers] of KINDS.slice(0, 2)) {
      const status = await statusOf(headers, twice, true);
      expect([kind, status]).toEqual([kind, expect.stringMatching(/^(3|12|13)$/)]);
    }
    expect(await totalOf(server, 'twice')).toBe(0n);
    await expectGoodCalls();
  });

  test.each(
    KINDS.map(([kind, headers]) => [kind, headers, kind === 'Connect' ? '408' : '4'] as const),
  )('115 a body by %s that stops coming', async (kind, headers, expected) => {
    const half = Buffer.from(batchOf(`half-${kind}`, 1)).subarray(0, 50);
    const status = await statusOf(
      headers,
      kind === 'Connect' ? half : frame(half).subarray(0, 40),
      false,
    );
    expect(status).toBe(expected);
    expect(await totalOf(server, `half-${kind}`)).toBe(0n);
  });
});
