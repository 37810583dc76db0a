import { connect as connectSocket } from 'node:net';
import { request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { toBinary } from '@bufbuild/protobuf';
import { ExportProfilesServiceRequestSchema } from '../../src/gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import { smallRequest } from '../profile/otlp/request.ts';
import { JSON_TYPE, PROTO, send } from '../server/fixture.ts';
import { startRealServer, type RealServer } from './port.ts';
import { frame } from './rows/raw-ways.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const PUSH = '/push.v1.PusherService/Push';
const Q = '/querier.v1.QuerierService';
const STREAM = '/tephra.v1.IngestService/Stream';
const GRPC_WEB = { 'content-type': 'application/grpc-web+proto' };
const LIMIT = 100_000;
const OTLP = '/v1development/profiles';
const OTLP_PROTO = { 'content-type': 'application/x-protobuf' };
const OTLP_EMPTY =
  '{"dictionary":{},"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"sampleType":{}}]}]}]}';
const otlpRequest = toBinary(ExportProfilesServiceRequestSchema, smallRequest(Date.now()));

let it: RealServer;
let url: string;
beforeAll(async () => {
  it = await startRealServer({
    bodyBytesMax: LIMIT,
    corsOrigins: ['https://grafana.example'],
  });
  url = `http://127.0.0.1:${it.port}`;
});
afterAll(async () => {
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
const RENDER = (query: string, from = 'now-1h'): string =>
  `/pyroscope/render?query=${encodeURIComponent(query)}&from=${from}&until=now`;
const RENDER_DIFF = (left: string, right: string): string =>
  `/pyroscope/render-diff?leftQuery=${left}&leftFrom=now-2h&leftUntil=now-1h` +
  `&rightQuery=${right}&rightFrom=now-1h&rightUntil=now`;
const json = (value: object): string => JSON.stringify(value);

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
    ['OTLP: an empty request', 'POST', OTLP, '', OTLP_PROTO, 200],
    ['OTLP: an empty request in JSON', 'POST', OTLP, '{}', JSON_TYPE, 200],
    ['OTLP: a profile', 'POST', OTLP, otlpRequest, OTLP_PROTO, 200],
    [
      'OTLP: the other type',
      'POST',
      OTLP,
      otlpRequest,
      { 'content-type': 'application/protobuf' },
      200,
    ],
    [
      'OTLP: gzip',
      'POST',
      OTLP,
      gzipSync(otlpRequest),
      { ...OTLP_PROTO, 'content-encoding': 'gzip' },
      200,
    ],
    [
      'OTLP: gzip that is none',
      'POST',
      OTLP,
      'x',
      { ...OTLP_PROTO, 'content-encoding': 'gzip' },
      400,
    ],
    ['OTLP: no protobuf', 'POST', OTLP, Uint8Array.of(0xff), OTLP_PROTO, 400],
    ['OTLP: no JSON', 'POST', OTLP, '{', JSON_TYPE, 400],
    ['OTLP: an old layout', 'POST', OTLP, '{"stringTable":[]}', JSON_TYPE, 400],
    ['OTLP: a profile without samples', 'POST', OTLP, OTLP_EMPTY, JSON_TYPE, 400],
    ['OTLP: not POST', 'GET', OTLP, '', {}, 405],
    ['OTLP: too large', 'POST', OTLP, new Uint8Array(LIMIT + 1), OTLP_PROTO, 413],
    ['OTLP: no content type', 'POST', OTLP, '', {}, 415],
    ['OTLP: another content type', 'POST', OTLP, '', PROTO, 415],
    [
      'OTLP: another encoding',
      'POST',
      OTLP,
      '',
      { ...OTLP_PROTO, 'content-encoding': 'zstd' },
      415,
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
      json(data({ step: 0.0009 })),
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
    ['render', 'GET', RENDER(CPU), '', {}, 200],
    ['render of an unknown type', 'GET', RENDER('a:b:c:d:e'), '', {}, 200],
    ['render of a bad query', 'GET', RENDER('a:b'), '', {}, 400],
    ['render of a bad selector', 'GET', RENDER(`${CPU}{a=`), '', {}, 400],
    ['render of bad times', 'GET', RENDER(CPU, 'yesterday'), '', {}, 400],
    ['render by POST', 'POST', RENDER(CPU), '', {}, 405],
    ['render-diff', 'GET', RENDER_DIFF(CPU, CPU), '', {}, 200],
    ['render-diff of two types', 'GET', RENDER_DIFF(CPU, 'a:b:c:d:e'), '', {}, 400],
    ['render-diff of a bad query', 'GET', RENDER_DIFF(CPU, 'a:b'), '', {}, 400],
    ['render-diff by PUT', 'PUT', RENDER_DIFF(CPU, CPU), '', {}, 405],
    ['label-values', 'GET', '/pyroscope/label-values?label=service_name', '', {}, 200],
    ['label-values without a label', 'GET', '/pyroscope/label-values', '', {}, 400],
    [
      'label-values of a bad query',
      'GET',
      '/pyroscope/label-values?label=a&query=%7B',
      '',
      {},
      400,
    ],
    ['label-values by POST', 'POST', '/pyroscope/label-values?label=a', '', {}, 405],
    ['the start page of nobody', 'GET', '/', '', {}, 404],
  ])('%s', async (_case, method, path, body, headers, status) => {
    const answer = await send(url + path, body === '' ? undefined : body, headers, method);
    expect([answer.text.slice(0, 200), answer.status]).toEqual([expect.anything(), status]);
    // Senders of OTLP in protobuf get their errors in it, too.
    if (status >= 400 && answer.headers['content-type'] !== 'application/x-protobuf') {
      expect(JSON.parse(answer.text)).toMatchObject({ code: expect.anything() });
    }
    if (status === 405) expect(answer.headers.allow).toBeDefined();
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
    ['96 backslashes', `GET /\\\\x HTTP/1.1\r\n${H}\r\n`, 404],
    ['96 another host', `GET //evil.example/x HTTP/1.1\r\n${H}\r\n`, 404],
    ['97 a method that HTTP does not have', `BREW /ready HTTP/1.1\r\n${H}\r\n`, 400],
  ])('%s', async (_row, text, status) => {
    expect(await raw(text)).toContain(`HTTP/1.1 ${status} `);
  });

  test('100 headers and bodies that do not come, 111 a silent socket', async () => {
    // Of its own: on a busy machine others may take as long to send anything.
    const hasty = await startRealServer({
      times: { headersTimeoutMs: 300, requestTimeoutMs: 600, prefaceTimeoutMs: 300 },
    });
    const body = `POST /ingest?name=a HTTP/1.1\r\n${H}Content-Length: 9\r\n\r\nab`;
    const answers = [`GET /ready HTTP/1.1\r\n${H}X: `, body, ''].map((text) =>
      raw(text, hasty.port),
    );
    const [headersLate, bodyLate, silent] = await Promise.all(answers);
    expect(headersLate).toContain('HTTP/1.1 408 ');
    expect(bodyLate).toContain('HTTP/1.1 408 ');
    expect(silent).toBe('');
    await hasty.stop();
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
    // What browsers ask leave for when they speak Connect or gRPC-Web.
    const allowed = good.headers['access-control-allow-headers'] ?? '';
    const asked =
      'Authorization, Connect-Protocol-Version, Connect-Timeout-Ms, Content-Encoding, Content-Type, ' +
      'Grpc-Timeout, X-Grpc-Web, X-User-Agent';
    expect(allowed.split(', ')).toEqual(expect.arrayContaining(asked.split(', ')));
    expect(new Set(allowed.split(', ')).size).toBe(allowed.split(', ').length);
    expect(good.headers['access-control-allow-credentials']).toBeUndefined();
    const answer = await ask('https://grafana.example', 'POST');
    expect(answer.headers['access-control-expose-headers']).toContain('Grpc-Status');
  });

  test('112 random bytes are refused', async () => {
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
});

/** The status in the trailer frame, or in the headers. */
function grpcStatus(answer: { headers: Record<string, unknown>; text: string }): unknown {
  return answer.headers['grpc-status'] ?? /grpc-status: ?(\d+)/i.exec(answer.text)?.[1];
}

/** What a socket that sends `text` gets until it is closed. */
function raw(text: string, port = it.port): Promise<string> {
  return new Promise((resolve) => {
    let got = '';
    const socket = connectSocket(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(got));
  });
}
