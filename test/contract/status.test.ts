import { connect as connectSocket } from 'node:net';
import { request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { create, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { PushRequestSchema } from '../../src/gen/push/v1/push_pb.ts';
import {
  SelectMergeStacktracesRequestSchema,
  SelectSeriesRequestSchema,
} from '../../src/gen/querier/v1/querier_pb.ts';
import { JSON_TYPE, PROTO, send } from '../server/fixture.ts';
import { cpuProfile, startRealServer, type RealServer } from './port.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const PUSH = '/push.v1.PusherService/Push';
const Q = '/querier.v1.QuerierService';
const STREAM = '/tephra.v1.IngestService/Stream';
const GRPC_WEB = { 'content-type': 'application/grpc-web+proto' };
const LIMIT = 100_000;

let it: RealServer;
let client: grpc.Client;
let url: string;
beforeAll(async () => {
  it = await startRealServer({
    bodyBytesMax: LIMIT,
    corsOrigins: ['https://grafana.example'],
    times: { headersTimeoutMs: 300, requestTimeoutMs: 600, prefaceTimeoutMs: 300 },
  });
  url = `http://127.0.0.1:${it.port}`;
  client = new grpc.Client(`127.0.0.1:${it.port}`, grpc.credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await it.stop();
});

const now = Date.now();
const data = (fields: object = {}) => ({
  profileTypeID: CPU,
  labelSelector: '{}',
  start: now - 600_000,
  end: now + 600_000,
  ...fields,
});
const json = (value: object): string => JSON.stringify(value);
const series = (service: string, rawProfile: Uint8Array) => ({
  labels: [
    { name: '__name__', value: 'process_cpu' },
    { name: 'service_name', value: service },
  ],
  samples: [{ rawProfile, ID: '' }],
});
const pushBytes = (...all: ReturnType<typeof series>[]) =>
  toBinary(PushRequestSchema, create(PushRequestSchema, { series: all }));

describe('the status matrix', () => {
  test.each<[string, string, string, string | Uint8Array, Record<string, string>, number]>([
    ['a success', 'POST', `${Q}/ProfileTypes`, '{}', JSON_TYPE, 200],
    ['a method other than POST', 'GET', `${Q}/ProfileTypes`, '', {}, 405],
    ['DELETE', 'DELETE', PUSH, '', {}, 405],
    ['a content type not served', 'POST', PUSH, 'x', { 'content-type': 'text/plain' }, 415],
    ['gRPC-Web text', 'POST', PUSH, 'x', { 'content-type': 'application/grpc-web-text' }, 415],
    ['JSON without a body', 'POST', `${Q}/ProfileTypes`, '', JSON_TYPE, 400],
    ['malformed JSON', 'POST', `${Q}/ProfileTypes`, '{"start":', JSON_TYPE, 400],
    ['undecodable protobuf', 'POST', `${Q}/ProfileTypes`, Uint8Array.of(0xff), PROTO, 400],
    ['a method that is not built', 'POST', `${Q}/Nope`, '{}', JSON_TYPE, 501],
    [
      'a stream over HTTP/1.1',
      'POST',
      STREAM,
      '',
      { 'content-type': 'application/connect+proto' },
      505,
    ],
    [
      'a service that is not served',
      'POST',
      '/settings.v1.SettingsService/Get',
      '{}',
      JSON_TYPE,
      501,
    ],
    ['an unknown path', 'GET', '/nope', '', {}, 404],
    ['an unknown service', 'POST', '/no.v1.Such/Thing', '{}', JSON_TYPE, 404],
    [
      'no range',
      'POST',
      `${Q}/SelectMergeStacktraces`,
      json(data({ start: 0, end: 0 })),
      JSON_TYPE,
      400,
    ],
    [
      'a range backwards',
      'POST',
      `${Q}/SelectSeries`,
      json(data({ start: 9, end: 8, step: 1 })),
      JSON_TYPE,
      400,
    ],
    [
      'an empty selector',
      'POST',
      `${Q}/SelectMergeProfile`,
      json(data({ labelSelector: '' })),
      JSON_TYPE,
      400,
    ],
    [
      'a malformed selector',
      'POST',
      `${Q}/SelectSeries`,
      json(data({ labelSelector: '{a=', step: 1 })),
      JSON_TYPE,
      400,
    ],
    [
      'a bad regex',
      'POST',
      `${Q}/SelectMergeStacktraces`,
      json(data({ labelSelector: '{a=~"("}' })),
      JSON_TYPE,
      400,
    ],
    [
      'a type without five parts',
      'POST',
      `${Q}/SelectMergeStacktraces`,
      json(data({ profileTypeID: 'a:b' })),
      JSON_TYPE,
      400,
    ],
    [
      'ProfileTypes of 1970',
      'POST',
      `${Q}/ProfileTypes`,
      '{"start":1000,"end":4000}',
      JSON_TYPE,
      200,
    ],
    ['ProfileTypes of nothing', 'POST', `${Q}/ProfileTypes`, new Uint8Array(), PROTO, 200],
    [
      'ProfileTypes of negative times',
      'POST',
      `${Q}/ProfileTypes`,
      '{"start":-5,"end":-1}',
      JSON_TYPE,
      200,
    ],
    [
      'LabelValues without a name',
      'POST',
      `${Q}/LabelValues`,
      json({ start: 1, end: 2 }),
      JSON_TYPE,
      400,
    ],
    ['a step missing', 'POST', `${Q}/SelectSeries`, json(data()), JSON_TYPE, 400],
    [
      'a step below 1 ms',
      'POST',
      `${Q}/SelectSeries`,
      json(data({ step: 0.0004 })),
      JSON_TYPE,
      400,
    ],
    [
      'max_nodes negative',
      'POST',
      `${Q}/SelectMergeStacktraces`,
      json(data({ maxNodes: -1 })),
      JSON_TYPE,
      400,
    ],
    [
      'max_nodes too large',
      'POST',
      `${Q}/SelectMergeStacktraces`,
      json(data({ maxNodes: 1_048_577 })),
      JSON_TYPE,
      400,
    ],
    [
      'max_nodes no number',
      'POST',
      `${Q}/SelectMergeStacktraces`,
      json(data({ maxNodes: 'abc' })),
      JSON_TYPE,
      400,
    ],
    ['a push of nothing', 'POST', PUSH, new Uint8Array(), PROTO, 400],
    ['a push over the limit', 'POST', PUSH, new Uint8Array(LIMIT + 1), PROTO, 413],
    ['a query over the limit', 'POST', `${Q}/ProfileTypes`, new Uint8Array(LIMIT + 1), PROTO, 429],
    ['an encoding not known', 'POST', PUSH, 'x', { ...PROTO, 'content-encoding': 'br' }, 501],
    ['/ingest', 'POST', '/ingest?name=a', 'main 1\n', {}, 200],
    ['/ingest without a name', 'POST', '/ingest', 'main 1\n', {}, 400],
    ['/ingest of a damaged profile', 'POST', '/ingest?name=a&format=pprof', 'x', {}, 422],
    ['/ingest over the limit', 'POST', '/ingest?name=a', new Uint8Array(LIMIT + 1), {}, 413],
    [
      '/ingest compressed',
      'POST',
      '/ingest?name=a',
      gzipSync('main 1\n'),
      { 'content-encoding': 'gzip' },
      200,
    ],
    [
      '/ingest in an unknown encoding',
      'POST',
      '/ingest?name=a',
      'x',
      { 'content-encoding': 'br' },
      415,
    ],
    [
      '/ingest with damaged gzip',
      'POST',
      '/ingest?name=a',
      'x',
      { 'content-encoding': 'gzip' },
      422,
    ],
    ['/ingest by GET', 'GET', '/ingest?name=a', '', {}, 405],
    ['the start page of nobody', 'GET', '/', '', {}, 404],
  ])('%s', async (_case, method, path, body, headers, status) => {
    const answer = await send(url + path, body === '' ? undefined : body, headers, method);
    expect([answer.text.slice(0, 200), answer.status]).toEqual([expect.anything(), status]);
    if (status >= 400 && ![405, 415].includes(status)) {
      expect(JSON.parse(answer.text)).toMatchObject({ code: expect.anything() });
    }
    if (status === 405) expect(answer.headers.allow).toBeDefined();
  });
});

describe('bad input: selectors', () => {
  const nested = '{'.repeat(10_000);
  const rows: [string, string, string][] = [
    ['71 an opening brace', '{', 'parse_error'],
    ['71 no value', '{a=}', 'parse_error'],
    ['71 a quote left open', '{a="b}', 'parse_error'],
    ['71 a trailing comma', '{a="b",}', 'ok'],
    ['72 a group left open', '{a=~"("}', 'invalid_regex'],
    ['73 a classic of backtracking', '{service_name=~"(a+)+$"}', 'ok'],
    ['73 another', '{service_name=~"(.*a){12}"}', 'ok'],
    ['74 look-ahead', '{a=~"(?=b)"}', 'invalid_regex'],
    ['74 a back-reference', '{a=~"(b)\\\\1"}', 'invalid_regex'],
    ['75 a pattern that grows', '{a=~"(x{0,1000}){0,1000}"}', 'regex'],
    ['75 a long pattern', `{a=~"${'b'.repeat(513)}"}`, 'regex_too_large'],
    ['77 too many matchers', `{${'a="b",'.repeat(101)}}`, 'selector_too_large'],
    ['77 too many bytes', `{a="${'b'.repeat(9_000)}"}`, 'selector_too_large'],
    ['79 an unknown label', '{nobody="has it"}', 'ok'],
    ['80 an invalid escape', '{a="\\q"}', 'parse_error'],
    ['80 nested braces', nested.slice(0, 8_000), 'parse_error'],
    ['80 more of them', nested, 'selector_too_large'],
    ['80 a character cut in half', `{a="${'b'.repeat(120)}\u{1f525}`, 'parse_error'],
  ];
  test.each(rows)('%s: JSON, binary, gRPC-Web and gRPC', async (_row, selector, reason) => {
    const message = toBinary(
      SelectMergeStacktracesRequestSchema,
      create(SelectMergeStacktracesRequestSchema, {
        ...data({ labelSelector: selector }),
        start: BigInt(now),
        end: BigInt(now + 1),
      }),
    );
    const path = `${url}${Q}/SelectMergeStacktraces`;
    const startedMs = performance.now();
    const answers = [
      await send(path, json(data({ labelSelector: selector })), JSON_TYPE),
      await send(path, message, PROTO),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(reason === 'ok' ? 200 : 400);
      if (reason !== 'ok') expect(answer.text).toContain(reason);
    }
    const web = await send(path, frame(message), GRPC_WEB);
    const status = reason === 'ok' ? '0' : '3';
    expect([web.status, grpcStatus(web)]).toEqual([200, status]);
    const native = await call(`${Q}/SelectMergeStacktraces`, message);
    expect([String(native.code), native.details]).toEqual([
      status,
      reason === 'ok' ? '' : expect.stringContaining(reason),
    ]);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});

describe('bad input: ranges', () => {
  test('79 an unknown type and 83 a range before all data are empty answers', async () => {
    const other = await send(
      `${url}${Q}/SelectMergeStacktraces`,
      json(data({ profileTypeID: 'no:such:type:of:profile' })),
      JSON_TYPE,
    );
    const past = json(data({ start: 1_000, end: 2_000 }));
    const early = await send(`${url}${Q}/SelectMergeStacktraces`, past, JSON_TYPE);
    expect([other.status, early.status]).toEqual([200, 200]);
  });

  test('84 too many points', async () => {
    const body = json(data({ start: 1, end: now, step: 1 }));
    const answer = await send(`${url}${Q}/SelectSeries`, body, JSON_TYPE);
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('too_many_points')]);
    const bytes = toBinary(
      SelectSeriesRequestSchema,
      create(SelectSeriesRequestSchema, {
        ...data({ step: Number.NaN }),
        start: 1n,
        end: 2n,
      }),
    );
    expect((await call(`${Q}/SelectSeries`, bytes)).code).toBe(grpc.status.INVALID_ARGUMENT);
  });

  test('86 sides of different types; 87 an empty side', async () => {
    const left = data();
    const types = json({ left, right: data({ profileTypeID: 'memory:space:bytes:a:b' }) });
    expect((await send(`${url}${Q}/Diff`, types, JSON_TYPE)).status).toBe(400);
    const empty = json({ left, right: data({ start: 1_000, end: 2_000 }) });
    expect((await send(`${url}${Q}/Diff`, empty, JSON_TYPE)).status).toBe(200);
  });
});

describe('bad input: HTTP', () => {
  const H = 'Host: x\r\nConnection: close\r\n';
  test.each([
    [
      '93 a length and chunks',
      `POST /ingest HTTP/1.1\r\n${H}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    [
      '93 two lengths',
      `POST /ingest HTTP/1.1\r\n${H}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
      400,
    ],
    ['93 a negative length', `POST /ingest HTTP/1.1\r\n${H}Content-Length: -1\r\n\r\n`, 400],
    ['93 a bare line feed', `GET /ready HTTP/1.1\nHost: x\n\n`, 400],
    ['93 NUL in a header', `GET /ready HTTP/1.1\r\n${H}X: a\0b\r\n\r\n`, 400],
    ['93 no host', 'GET /ready HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['94 20 KB of header', `GET /ready HTTP/1.1\r\n${H}X: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['94 40 KB of header', `GET /ready HTTP/1.1\r\n${H}X: ${'a'.repeat(40_000)}\r\n\r\n`, 431],
    ['94 20 KB of URL', `GET /ready?${'a'.repeat(20_000)} HTTP/1.1\r\n${H}\r\n`, 414],
    ['95 2,500 headers', `GET /ready HTTP/1.1\r\n${H}${'a: b\r\n'.repeat(2_500)}\r\n`, 431],
    ['96 a parent directory', `GET /../../etc/passwd HTTP/1.1\r\n${H}\r\n`, 404],
    ['96 one that is encoded', `GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n${H}\r\n`, 404],
    ['96 NUL in a path', `GET /%00 HTTP/1.1\r\n${H}\r\n`, 404],
    ['96 backslashes', `GET /\\\\x HTTP/1.1\r\n${H}\r\n`, 404],
    ['96 another host', `GET //evil.example/x HTTP/1.1\r\n${H}\r\n`, 404],
    ['96 a broken escape', `GET /%ZZ HTTP/1.1\r\n${H}\r\n`, 404],
    ['97 an unknown method', `PATCH /ready HTTP/1.1\r\n${H}\r\n`, 405],
    ['97 a method that HTTP does not have', `BREW /ready HTTP/1.1\r\n${H}\r\n`, 400],
    ['100 headers that do not end', `GET /ready HTTP/1.1\r\n${H}X: `, 408],
    [
      '100 a body that does not come',
      `POST /ingest?name=a HTTP/1.1\r\n${H}Content-Length: 9\r\n\r\nab`,
      408,
    ],
    ['101 a million parameters', `GET /ready?${'a&'.repeat(4_000)} HTTP/1.1\r\n${H}\r\n`, 400],
    ['101 a parameter named __proto__', `GET /ready?a[__proto__]=1 HTTP/1.1\r\n${H}\r\n`, 200],
    ['104 a range', `GET /ready HTTP/1.1\r\n${H}Range: bytes=0-1\r\nIf-None-Match: "\r\n\r\n`, 200],
    [
      '104 a huge Accept',
      `GET /ready HTTP/1.1\r\n${H}Accept: ${'a/b,'.repeat(1_000)}\r\n\r\n`,
      200,
    ],
    ['105 a header named __proto__', `GET /ready HTTP/1.1\r\n${H}__proto__: x\r\n\r\n`, 200],
  ])('%s', async (_row, text, status) => {
    expect(await raw(text)).toContain(`HTTP/1.1 ${status} `);
  });

  test('101 a repeated scalar', async () => {
    expect((await send(`${url}/ingest?name=a&name=b`, 'a 1')).status).toBe(400);
  });

  test.each([
    ['a list in a list', '['.repeat(100_000)],
    ['objects', '{"a":'.repeat(15_000)],
    ['a known field', `{"start":${'['.repeat(1_000)}${']'.repeat(1_000)}}`],
    ['1e308 for an integer', '{"start":1e308}'],
    ['a list for a message', '[]'],
  ])('102 JSON: %s', async (_row, body) => {
    expect((await send(`${url}${Q}/ProfileTypes`, body, JSON_TYPE)).status).toBe(400);
  });

  test('102 JSON: __proto__, unknown keys and unknown names are ignored', async () => {
    const body = '{"__proto__":{"a":1},"constructor":2,"start":"1","end":2,"x":[{"y":null}]}';
    expect((await send(`${url}${Q}/ProfileTypes`, body, JSON_TYPE)).status).toBe(200);
    expect(Object.hasOwn(Object.prototype, 'a')).toBe(false);
  });

  test('103 pages of other origins may read nothing, those allowed may', async () => {
    const ask = (origin: string, method = 'OPTIONS') =>
      send(
        `${url}${Q}/ProfileTypes`,
        method === 'POST' ? '{}' : undefined,
        {
          origin,
          'access-control-request-method': 'POST',
          ...(method === 'POST' ? JSON_TYPE : {}),
        },
        method,
      );
    const evil = await ask('https://evil.example');
    expect([evil.status, evil.headers['access-control-allow-origin']]).toEqual([405, undefined]);
    const good = await ask('https://grafana.example');
    expect([good.status, good.headers['access-control-allow-origin']]).toEqual([
      204,
      'https://grafana.example',
    ]);
    expect(good.headers['access-control-allow-headers']).toContain('Connect-Timeout-Ms');
    expect(good.headers['access-control-allow-credentials']).toBeUndefined();
    const answer = await ask('https://grafana.example', 'POST');
    expect(answer.headers['access-control-expose-headers']).toContain('Grpc-Status');
  });

  test('111 a silent socket is closed; 112 random bytes too', async () => {
    expect(await raw('')).toBe('');
    expect(await raw('\x00\x01\x02\x03\r\n\r\n')).toContain('HTTP/1.1 400');
  });
});

describe('bad input: gRPC and gRPC-Web', () => {
  test.each([
    ['no frame', new Uint8Array()],
    ['half a frame', Uint8Array.of(0, 0, 0)],
    ['a frame that is too short', Uint8Array.of(0, 0, 0, 0, 9, 1)],
    ['two messages', Buffer.concat([frame(new Uint8Array()), frame(new Uint8Array())])],
    ['unknown flags', Uint8Array.of(7, 0, 0, 0, 0)],
    ['damaged gzip', Buffer.concat([Uint8Array.of(1, 0, 0, 0, 1), Uint8Array.of(1)])],
    ['undecodable bytes', frame(Uint8Array.of(0xff, 0xff))],
  ])('gRPC-Web: %s', async (_row, body) => {
    const headers = { ...GRPC_WEB, 'grpc-encoding': 'gzip' };
    const answer = await send(`${url}${Q}/ProfileTypes`, body, headers);
    expect([answer.status, grpcStatus(answer)]).toEqual([200, '3']);
  });

  test('gRPC over HTTP/1.1 answers in trailers', async () => {
    const status = await new Promise<unknown>((resolve, reject) => {
      const headers = { 'content-type': 'application/grpc', te: 'trailers' };
      const request = httpRequest(
        `${url}${Q}/ProfileTypes`,
        { method: 'POST', headers },
        (answer) => {
          answer.resume();
          answer.on('end', () => resolve(answer.trailers['grpc-status']));
        },
      );
      request.on('error', reject);
      request.end(frame(new Uint8Array()));
    });
    expect(status).toBe('0');
  });

  test('106 a message over the limit is refused, also one that inflates to it', async () => {
    const big = pushBytes(series('big', new Uint8Array(LIMIT)));
    expect(await call(PUSH, big)).toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      details: expect.stringContaining('body_size_limit'),
    });
    const web = await send(`${url}${PUSH}`, frame(big), GRPC_WEB);
    expect(grpcStatus(web)).toBe('3');
  });

  test('113 an unknown method and a service that is not served', async () => {
    for (const path of [`${Q}/Nope`, '/settings.v1.SettingsService/Get']) {
      expect((await call(path, new Uint8Array())).code).toBe(grpc.status.UNIMPLEMENTED);
      const web = await send(url + path, frame(new Uint8Array()), GRPC_WEB);
      expect([web.status, web.headers['grpc-status']]).toEqual([200, '12']);
    }
  });

  test.each(['0n', '1n', 'abc', '99999999H'])('117 grpc-timeout %s', async (timeout) => {
    const metadata = new grpc.Metadata();
    metadata.set('grpc-timeout', timeout);
    const { code } = await call(`${Q}/ProfileTypes`, new Uint8Array(), metadata);
    expect([0, 3, 4, 13]).toContain(code);
  });

  test('118 too many headers', async () => {
    const metadata = new grpc.Metadata();
    for (let i = 0; i < 110; i++) metadata.set(`x-${i}`, 'a');
    const { code } = await call(`${Q}/ProfileTypes`, new Uint8Array(), metadata);
    expect(code).toBe(grpc.status.INVALID_ARGUMENT);
  });
});

test('of a batch, the damaged profile is refused and the rest is stored, on every protocol', async () => {
  const total = async (service: string): Promise<unknown> => {
    const body = json(data({ labelSelector: `{service_name="${service}"}` }));
    const answer = await send(`${url}${Q}/SelectMergeStacktraces`, body, JSON_TYPE);
    return (JSON.parse(answer.text) as { flamegraph?: { total?: string } }).flamegraph?.total;
  };
  const batch = (way: string) =>
    pushBytes(series(`${way}-good`, cpuProfile()), series(`${way}-bad`, Uint8Array.of(10, 200)));
  expect((await send(`${url}${PUSH}`, batch('connect'), PROTO)).status).toBe(400);
  expect(grpcStatus(await send(`${url}${PUSH}`, frame(batch('web')), GRPC_WEB))).toBe('3');
  expect((await call(PUSH, batch('grpc'))).code).toBe(grpc.status.INVALID_ARGUMENT);
  for (const way of ['connect', 'web', 'grpc']) {
    expect([way, await total(`${way}-good`)]).toEqual([way, '30000000']);
    expect([way, (await total(`${way}-bad`)) ?? '0']).toEqual([way, '0']);
  }
});

function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

/** The status in the trailer frame, or in the headers. */
function grpcStatus(answer: { headers: Record<string, unknown>; text: string }): unknown {
  return answer.headers['grpc-status'] ?? /grpc-status: ?(\d+)/i.exec(answer.text)?.[1];
}

function call(
  path: string,
  bytes: Uint8Array,
  metadata = new grpc.Metadata(),
): Promise<{ code: number; details: string }> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      (value: Buffer) => value,
      (value: Buffer) => value,
      Buffer.from(bytes),
      metadata,
      (error) => resolve({ code: error?.code ?? 0, details: error?.details ?? '' }),
    );
  });
}

/** What a socket that sends `text` gets until it is closed. */
function raw(text: string): Promise<string> {
  return new Promise((resolve) => {
    let got = '';
    const socket = connectSocket(it.port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(got));
  });
}
