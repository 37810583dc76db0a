import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { TephraError } from '../../../src/base/errors.ts';
import { ProfileSchema } from '../../../src/gen/google/v1/profile_pb.ts';
import { PusherService, PushRequestSchema } from '../../../src/gen/push/v1/push_pb.ts';
import {
  DiffResponseSchema,
  QuerierService,
  SelectMergeStacktracesRequestSchema,
  SelectMergeStacktracesResponseSchema,
} from '../../../src/gen/querier/v1/querier_pb.ts';
import { NO_NOTES } from '../../../src/query/request.ts';
import { JSON_TYPE, PROTO, send, startFixture, type Fixture } from '../fixture.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const MERGE = { profileTypeID: CPU, labelSelector: '{a="b"}', start: 1000n, end: 2000n };
const PUSH = '/push.v1.PusherService/Push';
const QUERIER = '/querier.v1.QuerierService';

const pushRequest = (rawProfile = Uint8Array.of(1, 2, 3)) =>
  create(PushRequestSchema, {
    series: [
      {
        labels: [
          { name: 'service_name', value: 'shop' },
          { name: '__name__', value: 'process_cpu' },
        ],
        samples: [{ rawProfile, ID: 'id-1' }],
      },
    ],
  });
const pushBytes = (raw?: Uint8Array<ArrayBuffer>) => toBinary(PushRequestSchema, pushRequest(raw));

let it: Fixture;
beforeAll(async () => {
  it = await startFixture({ bodyBytesMax: 4096 });
});
afterAll(() => it.server.stop(1_000));
afterEach(() => {
  it.engine.calls.length = 0;
  it.engine.pushed.length = 0;
  it.engine.fail = undefined;
  it.engine.notes = NO_NOTES;
  it.engine.outcome = () => ({ outcome: 'stored', entries: 1 });
});

describe.each([
  ['binary', true, '1.1'],
  ['JSON', false, '1.1'],
  ['binary', true, '2'],
  ['JSON', false, '2'],
] as const)('the official client (%s %s, HTTP/%s)', (_name, useBinaryFormat, httpVersion) => {
  const transport = () =>
    createConnectTransport({
      baseUrl: it.url,
      httpVersion,
      useBinaryFormat,
      compressMinBytes: 0,
    });

  test('pushes and merges', async () => {
    await createClient(PusherService, transport()).push(pushRequest());
    expect(it.engine.pushed).toMatchObject([
      {
        tenant: 'anonymous',
        labels: [
          ['service_name', 'shop'],
          ['__name__', 'process_cpu'],
        ],
        profileId: 'id-1',
        format: 'pprof',
        surface: 'push',
      },
    ]);
    expect([...(it.engine.pushed[0]?.payload ?? [])]).toEqual([1, 2, 3]);

    const querier = createClient(QuerierService, transport());
    const headers: Headers[] = [];
    const answer = await querier.selectMergeStacktraces(MERGE, {
      onHeader: (header) => headers.push(header),
    });
    expect(answer.flamegraph).toEqual(it.engine.flame.flamegraph);
    expect(headers[0]?.get('tephra-exact')).toBe('true');
    expect(it.engine.calls.at(-1)).toEqual({
      method: 'flameGraph',
      args: [
        {
          tenant: 'anonymous',
          selector: '{a="b"}',
          startMs: 1000,
          endMs: 2000,
          profileType: CPU,
          maxNodes: undefined,
          signal: expect.anything(),
        },
      ],
    });
    expect((await querier.selectMergeProfile(MERGE)).stringTable).toEqual(
      it.engine.profile.stringTable,
    );
    expect((await querier.diff({ left: MERGE, right: MERGE })).flamegraph?.total).toBe(7n);
    // Credits are given back although the connection stays open.
    expect(await it.metrics.text()).toContain('tephra_in_flight_bytes 0');
  });

  test('asks for types, labels and series', async () => {
    const querier = createClient(QuerierService, transport());
    const range = { start: 1n, end: 2n };
    expect((await querier.profileTypes({})).profileTypes[1]).toMatchObject({
      ID: 'memory:space:bytes::',
      name: 'memory',
      sampleType: 'space',
      sampleUnit: 'bytes',
      periodType: '',
      periodUnit: '',
    });
    // Without a range: the last day, and what may lie in the future.
    const [asked] = it.engine.calls[0]?.args ?? [];
    const { startMs = 0, endMs = 0 } = (asked ?? {}) as { startMs?: number; endMs?: number };
    expect([endMs - startMs, Math.abs(Date.now() - endMs) < 3_600_000]).toEqual([87_000_000, true]);
    expect((await querier.labelNames(range)).names).toEqual(['__name__', 'service_name']);
    expect((await querier.labelValues({ ...range, name: 'service_name' })).names).toEqual(['shop']);
    const plain = await querier.series({ ...range, labelNames: ['service_name'] });
    expect(plain.labelsSet[0]?.labels).toMatchObject([{ name: 'service_name', value: 'shop' }]);
    const accept = { headers: { accept: '*/*; allow-utf8-labelnames=true' } };
    expect((await querier.labelNames(range, accept)).names).toContain('otel.scope.name');
    expect((await querier.series(range, accept)).labelsSet[0]?.labels).toHaveLength(2);

    const { series } = await querier.selectSeries({
      ...MERGE,
      step: 0.001,
      groupBy: ['pod'],
      limit: 3n,
    });
    expect(series[0]).toMatchObject({
      labels: [{ name: 'pod', value: 'a' }],
      points: [{ timestamp: 75_000n, value: 1.5 }],
    });
    expect(it.engine.calls.at(-1)?.args[0]).toMatchObject({
      stepMs: 1,
      groupBy: ['pod'],
      aggregation: 'sum',
      limit: 3,
    });
  });

  test('gets the code of a refusal', async () => {
    it.engine.fail = new TephraError('query_limit', 'narrow it');
    const error = await createClient(QuerierService, transport())
      .diff({ left: MERGE, right: MERGE })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({
      code: Code.ResourceExhausted,
      rawMessage: 'query_limit: narrow it',
    });
  });
});

describe('connect without a client library', () => {
  test('answers binary exactly with the bytes of the engine', async () => {
    const body = toBinary(
      SelectMergeStacktracesRequestSchema,
      create(SelectMergeStacktracesRequestSchema, MERGE),
    );
    const answer = await send(`${it.url}${QUERIER}/SelectMergeStacktraces`, body, PROTO);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/proto');
    expect(answer.body).toEqual(
      Buffer.from(toBinary(SelectMergeStacktracesResponseSchema, it.engine.flame)),
    );
    const profile = await send(`${it.url}${QUERIER}/SelectMergeProfile`, body, PROTO);
    expect(profile.body).toEqual(Buffer.from(toBinary(ProfileSchema, it.engine.profile)));
    expect(fromBinary(DiffResponseSchema, new Uint8Array())).toBeDefined();
  });

  test('reads and writes JSON as protobuf says, with proto names and unknown keys', async () => {
    const request = {
      profile_typeID: `${CPU}:delta`,
      labelSelector: '{}',
      start: 1000,
      end: '2000',
      'max-nodes': 3,
      maxNodes: '7',
      format: 'PROFILE_FORMAT_FROM_THE_FUTURE',
    };
    const url = `${it.url}${QUERIER}/SelectMergeStacktraces`;
    const answer = await send(url, JSON.stringify(request), {
      'content-type': 'application/json; charset=utf-8',
    });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({
      flamegraph: {
        names: ['total', 'main'],
        levels: [{ values: ['0', '11', '0', '0'] }, { values: ['0', '11', '11', '1'] }],
        total: '11',
        maxSelf: '11',
      },
    });
    expect(it.engine.calls.at(-1)?.args[0]).toMatchObject({ profileType: CPU, maxNodes: 7 });
  });

  test('takes gzip bodies in one or several members', async () => {
    const bytes = pushBytes();
    const half = Math.floor(bytes.length / 2);
    const members = Buffer.concat([
      gzipSync(bytes.subarray(0, half)),
      gzipSync(bytes.subarray(half)),
    ]);
    for (const body of [gzipSync(bytes), members]) {
      const answer = await send(`${it.url}${PUSH}`, body, { ...PROTO, 'content-encoding': 'gzip' });
      expect(answer.status).toBe(200);
    }
    expect(it.engine.pushed).toHaveLength(2);
  });

  test('says which part of a batch was refused, and that the rest is stored', async () => {
    it.engine.outcome = (_item, index) =>
      index === 1
        ? { outcome: 'refused', error: { reason: 'malformed_profile', detail: 'bad index' } }
        : { outcome: index === 2 ? 'duplicate' : 'stored', entries: 1 };
    const [series] = pushRequest().series;
    const batch = create(PushRequestSchema, { series: [series, series, series] as never });
    const answer = await send(`${it.url}${PUSH}`, toBinary(PushRequestSchema, batch), PROTO);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toEqual({
      code: 'invalid_argument',
      message:
        'malformed_profile: 1 of 3 profiles were refused (1 x malformed_profile), ' +
        'the others are stored; number 2: bad index',
    });
    const exposition = await it.metrics.text();
    expect(exposition).toContain('{surface="push",outcome="malformed_profile"} 1');
    expect(exposition).toContain('{surface="push",outcome="duplicate"} 1');
  });

  test('asks to send again when any refusal may pass', async () => {
    it.engine.outcome = (_item, index) => ({
      outcome: 'refused',
      error: { reason: index === 0 ? 'malformed_profile' : 'write_unknown', detail: 'x' },
    });
    const [series] = pushRequest().series;
    const batch = create(PushRequestSchema, { series: [series, series] as never });
    const answer = await send(`${it.url}${PUSH}`, toBinary(PushRequestSchema, batch), PROTO);
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '2']);
    expect(JSON.parse(answer.text)).toEqual({
      code: 'unavailable',
      message:
        'write_unknown: 2 of 2 profiles were refused (1 x malformed_profile, 1 x write_unknown); ' +
        'number 2: x',
    });
  });

  test('reports what an answer could not do exactly', async () => {
    it.engine.notes = { ...NO_NOTES, wholeMinutes: 2 };
    const { headers } = await send(
      `${it.url}${QUERIER}/SelectMergeProfile`,
      JSON.stringify({ profileTypeID: CPU, labelSelector: '{}', start: 1, end: 2 }),
      JSON_TYPE,
    );
    expect(headers['tephra-exact']).toBe('false');
    expect(JSON.parse(String(headers['tephra-notes']))).toMatchObject({ wholeMinutes: 2 });
  });

  test('keeps a bug out of the answer', async () => {
    it.engine.fail = new RangeError('secret path /etc');
    const answer = await send(`${it.url}${QUERIER}/ProfileTypes`, '{}', JSON_TYPE);
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('secret');
  });

  test('honours the deadline of the client', async () => {
    let open = (): void => {};
    it.engine.gate = new Promise((resolve) => {
      open = resolve;
    });
    const answer = await send(`${it.url}${QUERIER}/ProfileTypes`, '{}', {
      ...JSON_TYPE,
      'connect-timeout-ms': '30',
    });
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([504, 'deadline_exceeded']);
    open();
    it.engine.gate = Promise.resolve();
  });

  const merge = (fields: object) =>
    JSON.stringify({ profileTypeID: CPU, labelSelector: '{}', start: 1, end: 2, ...fields });
  const M = `${QUERIER}/SelectMergeStacktraces`;
  const S = `${QUERIER}/SelectSeries`;
  test.each([
    ['an empty JSON body', PUSH, '', JSON_TYPE, 400, 'invalid_argument'],
    ['malformed JSON', PUSH, '{', JSON_TYPE, 400, 'invalid_argument'],
    [
      'undecodable protobuf on push',
      PUSH,
      Uint8Array.of(0x0a, 0x7f),
      PROTO,
      400,
      'invalid_argument: malformed_protobuf',
    ],
    [
      'undecodable protobuf on a query',
      M,
      Uint8Array.of(0xff, 0xff),
      PROTO,
      400,
      'invalid_argument: malformed_protobuf',
    ],
    ['field number 0', PUSH, Uint8Array.of(0x02, 0x00), PROTO, 400, 'invalid_argument'],
    [
      'a damaged gzip body',
      PUSH,
      Uint8Array.of(0x1f, 0x8b, 1),
      { ...PROTO, 'content-encoding': 'gzip' },
      400,
      'invalid_argument: malformed_gzip',
    ],
    [
      'an unknown encoding',
      PUSH,
      pushBytes(),
      { ...PROTO, 'content-encoding': 'zstd' },
      501,
      'unimplemented',
    ],
    ['no profiles', PUSH, '{}', JSON_TYPE, 400, 'invalid_argument: empty_request'],
    [
      'a series without samples',
      PUSH,
      '{"series":[{}]}',
      JSON_TYPE,
      400,
      'invalid_argument: empty_request',
    ],
    [
      'a push over the limit',
      PUSH,
      pushBytes(new Uint8Array(5000)),
      PROTO,
      413,
      'invalid_argument: body_size_limit',
    ],
    [
      'a push that inflates over the limit',
      PUSH,
      gzipSync(pushBytes(new Uint8Array(100_000))),
      { ...PROTO, 'content-encoding': 'gzip' },
      413,
      'invalid_argument: body_size_limit',
    ],
    [
      'a query over the limit',
      M,
      new Uint8Array(5000),
      PROTO,
      429,
      'resource_exhausted: query_limit',
    ],
    ['GetProfileStats', `${QUERIER}/GetProfileStats`, '{}', JSON_TYPE, 200, ''],
    ['a method that does not exist', `${QUERIER}/Nope`, '{}', JSON_TYPE, 501, 'unimplemented'],
    ['a service that does not exist', '/no.v1.Service/Nope', '{}', JSON_TYPE, 404, 'not_found'],
    [
      'ProfileTypes of 1970',
      `${QUERIER}/ProfileTypes`,
      '{"start":-5,"end":"4000"}',
      JSON_TYPE,
      200,
      '',
    ],
    [
      'no time range',
      M,
      merge({ start: 0 }),
      JSON_TYPE,
      400,
      'invalid_argument: missing_time_range',
    ],
    [
      'no time range for labels',
      `${QUERIER}/LabelNames`,
      '{}',
      JSON_TYPE,
      400,
      'invalid_argument: missing_time_range',
    ],
    [
      'start after end',
      M,
      merge({ start: 3 }),
      JSON_TYPE,
      400,
      'invalid_argument: invalid_time_range',
    ],
    [
      'an empty selector',
      M,
      merge({ labelSelector: '' }),
      JSON_TYPE,
      400,
      'invalid_argument: parse_error',
    ],
    [
      'four parts of a type',
      M,
      merge({ profileTypeID: 'a:b:c:d' }),
      JSON_TYPE,
      400,
      'invalid_argument: invalid_profile_type',
    ],
    [
      'an empty label name',
      `${QUERIER}/LabelValues`,
      '{"start":1,"end":2}',
      JSON_TYPE,
      400,
      'invalid_argument',
    ],
    ['no step', S, merge({}), JSON_TYPE, 400, 'invalid_argument: invalid_step'],
    [
      'a step below 1 ms',
      S,
      merge({ step: 0.0009 }),
      JSON_TYPE,
      400,
      'invalid_argument: invalid_step',
    ],
    [
      'a step that is no number',
      S,
      merge({ step: 'NaN' }),
      JSON_TYPE,
      400,
      'invalid_argument: invalid_step',
    ],
    [
      'negative max_nodes',
      M,
      merge({ maxNodes: -1 }),
      JSON_TYPE,
      400,
      'invalid_argument: invalid_max_nodes',
    ],
    [
      'too large max_nodes',
      M,
      merge({ maxNodes: 1_048_577 }),
      JSON_TYPE,
      400,
      'invalid_argument: invalid_max_nodes',
    ],
    ['max_nodes 0', M, merge({ maxNodes: 0 }), JSON_TYPE, 200, ''],
    ['format tree', M, merge({ format: 2 }), JSON_TYPE, 200, ''],
    ['an unknown format', M, merge({ format: 9 }), JSON_TYPE, 501, 'unimplemented'],
    [
      'call_site',
      M,
      merge({ stackTraceSelector: { call_site: [{ name: 'm' }] } }),
      JSON_TYPE,
      200,
      '',
    ],
    [
      'call_site on series',
      S,
      merge({ step: 1, stackTraceSelector: { call_site: [{ name: 'm' }] } }),
      JSON_TYPE,
      200,
      '',
    ],
    ['an empty call_site', M, merge({ stackTraceSelector: {} }), JSON_TYPE, 200, ''],
    [
      'go_pgo',
      `${QUERIER}/SelectMergeProfile`,
      merge({ stackTraceSelector: { goPgo: {} } }),
      JSON_TYPE,
      200,
      '',
    ],
    [
      'go_pgo of a flame graph',
      M,
      merge({ stackTraceSelector: { goPgo: {} } }),
      JSON_TYPE,
      400,
      'invalid_argument',
    ],
    ['a short span id', M, merge({ spanSelector: ['00'] }), JSON_TYPE, 400, 'invalid_argument'],
    ['a short trace id', M, merge({ traceIdSelector: ['00'] }), JSON_TYPE, 400, 'invalid_argument'],
    ['profile ids', M, merge({ profileIdSelector: ['00'] }), JSON_TYPE, 200, ''],
    ['half a diff', `${QUERIER}/Diff`, '{"left":{}}', JSON_TYPE, 400, 'invalid_argument'],
    ['a content type that is not served', PUSH, 'x', { 'content-type': 'text/plain' }, 415, ''],
    [
      'an extreme range',
      M,
      merge({ start: '-9223372036854775808', end: '9223372036854775807' }),
      JSON_TYPE,
      200,
      '',
    ],
  ] as const)('%s', async (_case, path, body, headers, status, told) => {
    const answer = await send(`${it.url}${path}`, body, headers);
    expect(answer.status).toBe(status);
    if (told === '') return;
    expect(answer.headers['content-type']).toBe('application/json');
    const { code, message } = JSON.parse(answer.text) as { code: string; message: string };
    expect(`${code}: ${message}`).toContain(told);
  });

  test('a diff of two types is refused', async () => {
    const left = { profileTypeID: CPU, labelSelector: '{}', start: 1, end: 2 };
    const right = { ...left, profileTypeID: 'memory:space:bytes::' };
    const answer = await send(
      `${it.url}${QUERIER}/Diff`,
      JSON.stringify({ left, right }),
      JSON_TYPE,
    );
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('incompatible')]);
  });

  test.each([PUSH, `${QUERIER}/ProfileTypes`, '/grpc.health.v1.Health/Watch'])(
    'other HTTP methods at %s are 405, with what is taken',
    async (path) => {
      for (const method of ['GET', 'PUT', 'HEAD']) {
        const answer = await send(it.url + path, undefined, {}, method);
        expect([answer.status, answer.headers.allow]).toEqual([405, 'POST']);
        expect(answer.headers['content-type']).toBe('application/json');
        if (method === 'HEAD') continue;
        const { code, message } = JSON.parse(answer.text);
        expect([code, message]).toEqual([
          'invalid_argument',
          `invalid_argument: ${path.slice(1)} takes POST`,
        ]);
      }
    },
  );

  test.each([
    [PUSH, 'text/plain', 'application/proto, application/json, application/grpc-web'],
    [PUSH, '', 'application/proto, application/json, application/grpc-web'],
    ['/grpc.health.v1.Health/Watch', 'application/json', 'application/connect+proto'],
  ])('at %s the type "%s" is 415, with those that are taken', async (path, type, taken) => {
    const answer = await send(it.url + path, 'x', type === '' ? {} : { 'content-type': type });
    expect([answer.status, answer.headers['accept-post']]).toEqual([
      415,
      expect.stringContaining(taken),
    ]);
    const { code, message } = JSON.parse(answer.text);
    expect(code).toBe('unimplemented');
    expect(message).toMatch(/^unsupported_media_type: expected application.*, found "/);
    expect(message).toContain(taken);
  });

  test.each([
    ['connect-timeout-ms', JSON_TYPE, 'abc'],
    ['connect-timeout-ms', JSON_TYPE, '1.5'],
    ['grpc-timeout', { 'content-type': 'application/grpc-web' }, '5 s'],
  ])('a %s that is none is refused with what was found', async (name, type, found) => {
    const body = name === 'grpc-timeout' ? Buffer.alloc(5) : '{}';
    const answer = await send(`${it.url}${QUERIER}/ProfileTypes`, body, { ...type, [name]: found });
    const told = answer.text + decodeURIComponent(String(answer.headers['grpc-message']));
    expect(told).toContain(`invalid_argument: ${name}: expected`);
    expect(told).toContain(found);
    expect(answer.headers['grpc-status'] ?? answer.status).toBe(
      name === 'grpc-timeout' ? '3' : 400,
    );
  });
});
