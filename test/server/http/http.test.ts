import { connect as connectSocket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { LIMITS } from '../../../src/base/limits.ts';
import { send, startFixture, type Fixture } from '../fixture.ts';

let it: Fixture;
beforeAll(async () => {
  it = await startFixture({ bodyBytesMax: 4096 });
});
afterAll(() => it.server.stop(1_000));
afterEach(() => {
  it.engine.pushed.length = 0;
  it.engine.outcome = () => ({ outcome: 'stored', entries: 1 });
});

/** Sends raw bytes and resolves with what came back when the server closes. */
function raw(port: number, text: string): Promise<string> {
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

describe('POST /ingest', () => {
  test('takes pprof and answers 200 with an empty body', async () => {
    const payload = gzipSync('profile');
    const query = new URLSearchParams({
      name: 'shop.api{region=eu,otel.scope.name=com.grafana.pyroscope/nodejs}',
      from: '1700000000',
      until: '1700000010000',
      format: 'pprof',
      spyName: 'nodespy',
      sampleRate: '17',
    });
    const answer = await send(`${it.url}/ingest?${query.toString()}`, payload);
    expect([answer.status, answer.text, answer.headers['content-length']]).toEqual([200, '', '0']);
    const [item] = it.engine.pushed;
    expect(item).toMatchObject({
      tenant: 'anonymous',
      format: 'pprof',
      surface: 'ingest',
      fromMs: 1_700_000_000_000,
      untilMs: 1_700_000_010_000,
      sampleRateHz: 17,
      profileId: '',
    });
    expect(new Map(item?.labels)).toEqual(
      new Map([
        ['region', 'eu'],
        ['otel.scope.name', 'com.grafana.pyroscope/nodejs'],
        ['service_name', 'shop.api'],
        ['pyroscope_spy', 'nodespy'],
      ]),
    );
    expect(Buffer.from(item?.payload ?? [])).toEqual(payload);
  });

  test.each([
    ['', 'folded'],
    ['&format=groups', 'folded'],
    ['&format=whatever', 'folded'],
    ['&format=lines', 'lines'],
    ['&format=pprof', 'pprof'],
  ])('format from %j is %s', async (query, format) => {
    const answer = await send(`${it.url}/pyroscope/ingest?name=a.cpu${query}`, 'a;b 3');
    expect(answer.status).toBe(200);
    expect(it.engine.pushed[0]?.format).toBe(format);
  });

  test.each([
    ['shop.api.cpu', '', 'shop.api', 'shop.api.cpu'],
    ['shop', '', 'shop', 'shop'],
    ['shop.api.cpu', '&format=pprof', 'shop.api.cpu', 'shop.api.cpu'],
    ['a.cpu{service_name=b}', '', 'b', 'a.cpu'],
  ])('the service of %s%s is %s', async (name, query, service, appName) => {
    await send(`${it.url}/ingest?name=${encodeURIComponent(name)}${query}`, 'a;b 3');
    expect(new Map(it.engine.pushed[0]?.labels).get('service_name')).toBe(service);
    expect(it.engine.pushed[0]?.appName).toBe(appName);
  });

  test('an unreadable sample rate becomes 100', async () => {
    await send(`${it.url}/ingest?name=a&sampleRate=fast`, 'a 1');
    expect(it.engine.pushed[0]?.sampleRateHz).toBe(100);
  });

  test('takes the part `profile` of a form, whatever the format says', async () => {
    const form = [
      '--B0undary',
      'Content-Disposition: form-data; name="sample_type_config"',
      '',
      '{}',
      '--B0undary',
      'Content-Disposition: form-data; name="profile"; filename="profile.pprof"',
      'Content-Type: application/octet-stream',
      '',
      'bytes\r\nof it',
      '--B0undary--',
      '',
    ].join('\r\n');
    const type = { 'content-type': 'multipart/form-data; boundary=B0undary' };
    expect((await send(`${it.url}/ingest?name=a`, form, type)).status).toBe(200);
    expect(it.engine.pushed[0]?.format).toBe('pprof');
    expect(Buffer.from(it.engine.pushed[0]?.payload ?? []).toString()).toBe('bytes\r\nof it');
    for (let cut = 0; cut < form.length - 4; cut += 7) {
      const answer = await send(`${it.url}/ingest?name=a`, form.slice(0, cut), type);
      expect([cut, answer.status]).toEqual([cut, 422]);
    }
  });

  const formOf = (...parts: readonly (readonly [header: string, body: string])[]) =>
    [...parts.flatMap(([header, body]) => ['--B', header, '', body]), '--B--', ''].join('\r\n');
  const FORM = { 'content-type': 'multipart/form-data; boundary=B' };

  test('a label may hold any UTF-8, the replacement character too', async () => {
    await send(`${it.url}/ingest?name=a%7Bb=%EF%BF%BD%F0%9F%98%80%7D`, 'a 1');
    expect(it.engine.pushed[0]?.labels).toContainEqual(['b', '\uFFFD😀']);
  });

  test.each(['jfr', 'trie', 'groups', 'pprof', 'no-such-format'])(
    'a form with a part `profile` is pprof, although the format says %s',
    async (format) => {
      const form = formOf(['Content-Disposition: form-data; name="profile"', 'bytes']);
      expect((await send(`${it.url}/ingest?name=a&format=${format}`, form, FORM)).status).toBe(200);
      expect(it.engine.pushed[0]).toMatchObject({ format: 'pprof', appName: 'a' });
    },
  );

  test.each([
    ['without quotes', 'Content-Disposition: form-data; name=profile'],
    ['before a file name', 'content-disposition: form-data;name=profile; filename="x.pprof"'],
    ['behind a file name', 'Content-Disposition: form-data; filename="a;name=b"; Name="profile"'],
    ['behind a quote', 'Content-Disposition: form-data; filename="a\\"; name=b"; name="profile"'],
    [
      'with another type',
      'Content-Type: a/b; name="c"\r\nContent-Disposition: form-data; name=profile',
    ],
  ])('a part may be named %s', async (_case, header) => {
    const answer = await send(`${it.url}/ingest?name=a`, formOf([header, 'bytes']), FORM);
    expect([answer.text, answer.status]).toEqual(['', 200]);
    expect(Buffer.from(it.engine.pushed[0]?.payload ?? []).toString()).toBe('bytes');
  });

  test('a form that is none of ours says what it lacks', async () => {
    const named = (name: string) =>
      [`Content-Disposition: form-data; name="${name}"`, 'b'] as const;
    for (const [parts, status, why] of [
      [[named('jfr')], 422, 'format jfr is not read yet; send pprof as part profile'],
      [[named('other')], 422, 'the form has no part named profile'],
      [[['Content-Disposition: form-data', 'b'] as const], 422, 'no part named profile'],
      [[['Content-Type: a/b; name="profile"', 'b'] as const], 422, 'no part named profile'],
      [[named('profile'), named('profile')], 400, 'the form has two parts named'],
      [[named('profile'), named('prev_profile')], 422, 'pairs of cumulative profiles'],
    ] as const) {
      const answer = await send(`${it.url}/ingest?name=a`, formOf(...parts), FORM);
      expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(why)]);
    }
    expect(it.engine.pushed).toEqual([]);
  });

  test.each([
    ['no name', '', 400, 'invalid_argument'],
    ['a name twice', '?name=a&name=b', 400, 'invalid_argument'],
    ['a bad time', '?name=a&from=yesterday', 400, 'invalid_time'],
    ['from after until', '?name=a&from=1700000010&until=1700000000', 400, 'invalid_time_range'],
    ['a label that is no UTF-8', '?name=a%7Bb=%FF%7D', 400, 'name: expected UTF-8'],
    ['too many parameters', `?name=a&${'x=1&'.repeat(101)}`, 400, 'too_many_parameters'],
    ['JFR', '?name=a&format=jfr', 422, 'unsupported_format'],
    ['speedscope', '?name=a&format=speedscope', 422, 'unsupported_format'],
    ['trie', '?name=a&format=trie', 422, 'unsupported_format'],
  ])('%s', async (_case, query, status, reason) => {
    const answer = await send(`${it.url}/ingest${query}`, 'a 1');
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(JSON.parse(answer.text)).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining(reason),
    });
  });

  test.each([
    ['malformed_profile', 422],
    ['malformed_gzip', 422],
    ['malformed_protobuf', 422],
    ['empty_profile', 422],
    ['samples_limit', 413],
    ['missing_labels', 400],
    ['series_limit', 429],
    ['write_unknown', 503],
  ] as const)('a profile refused for %s is %i', async (reason, status) => {
    it.engine.outcome = () => ({ outcome: 'refused', error: { reason, detail: 'x' } });
    expect((await send(`${it.url}/ingest?name=a`, 'a 1')).status).toBe(status);
  });

  test('a body over the limit is 413, with a length and without', async () => {
    const big = Buffer.alloc(5_000);
    expect((await send(`${it.url}/ingest?name=a`, big)).status).toBe(413);
    const chunked = { 'transfer-encoding': 'chunked' };
    const answer = await send(`${it.url}/ingest?name=a`, big, chunked);
    expect([answer.status, answer.headers.connection]).toEqual([413, 'close']);
  });

  test('a client sees 413 although it is still sending', async () => {
    const big = Buffer.alloc(3_000_000);
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
      const answer = await send(`${it.url}/ingest?name=a`, big, headers);
      expect([answer.status, JSON.parse(answer.text).code]).toEqual([413, 'invalid_argument']);
    }
  });

  test('a client that leaves in the middle harms nobody', async () => {
    const socket = connectSocket(it.port, '127.0.0.1');
    socket.write('POST /ingest?name=a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc');
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    expect((await send(`${it.url}/ready`, undefined, {}, 'GET')).status).toBe(200);
    while (!(await it.metrics.text()).includes('tephra_in_flight_bytes 0')) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(it.engine.pushed).toHaveLength(0);
  });
});

describe('other routes', () => {
  test.each(['/ready', '/readyz', '/healthz', '/livez'])('%s is 200', async (path) => {
    expect((await send(it.url + path, undefined, {}, 'GET')).status).toBe(200);
    expect((await send(it.url + path, undefined, {}, 'HEAD')).status).toBe(200);
  });

  test('probes, metrics and what asks no engine never wait for queries', async () => {
    const busy = await startFixture({ queriesPerAddressMax: 8 });
    let open = (): void => {};
    busy.engine.gate = new Promise((resolve) => {
      open = resolve;
    });
    const get = (path: string): ReturnType<typeof send> => send(busy.url + path, '', {}, 'GET');
    const query = '/pprof?query=process_cpu:cpu:nanoseconds:cpu:nanoseconds%7B%7D';
    const queries = Array.from({ length: 8 }, () => get(query));
    while (busy.engine.calls.length < LIMITS.queriesPerAddressAtOnce) await nextTurn();
    const paths = ['/livez', '/healthz', '/ready', '/readyz', '/metrics'];
    const probes = await Promise.all([...paths, '/api/v1/status/buildinfo'].map(get));
    expect(probes.map(({ status }) => status)).toEqual(probes.map(() => 200));
    expect((await get(query)).status).toBe(429);
    open();
    expect((await Promise.all(queries)).map(({ status }) => status)).toEqual(
      queries.map(() => 200),
    );
    expect((await get('/metrics')).text).toContain('\ntephra_answer_bytes 0\n');
    await busy.server.stop(100);
  });

  test.each([
    ['gzip', true],
    ['br, GZIP ; q=0.5', true],
    ['gzip;q=0', false],
    ['gzip;q=0.000, *', false],
    ['identity;q=0', false],
    ['x-gzip', false],
  ])('a client that accepts "%s" gets gzip: %p', async (accept, isGzip) => {
    const answer = await send(`${it.url}/metrics`, '', { 'accept-encoding': accept }, 'GET');
    expect(answer.headers['content-encoding'] === 'gzip').toBe(isGzip);
    const body = isGzip ? gunzipSync(answer.body).toString() : answer.text;
    expect(body).toContain('# TYPE');
  });

  test('/metrics is Prometheus text', async () => {
    const answer = await send(`${it.url}/metrics`, undefined, {}, 'GET');
    expect(answer.headers['content-type']).toContain('text/plain');
    expect(answer.text).toContain('# TYPE tephra_requests_total counter');
    expect(answer.text).toContain('tephra_connections_total{protocol="h1"}');
  });

  test.each([
    ['/', 'GET', 404, undefined],
    ['/../etc/passwd', 'GET', 404, undefined],
    ['/%00', 'GET', 404, undefined],
    ['//evil.example/ingest', 'POST', 404, undefined],
    ['/ingest', 'GET', 405, 'POST'],
    ['/ready', 'DELETE', 405, 'GET, HEAD'],
  ])('%s by %s is %i', async (path, method, status, allow) => {
    const answer = await send(it.url + path, undefined, {}, method);
    expect([answer.status, answer.headers.allow]).toEqual([status, allow]);
    expect(answer.headers['content-type']).toBe('application/json');
  });

  test.each([
    ['GET http://a.example/ready', '', 200, 'ready'],
    ['GET HTTP://a.example:1/ready?x=1', '', 200, 'ready'],
    ['POST http://a.example/ingest?name=a', 'a 1', 200, ''],
    ['POST http://a.example/querier.v1.QuerierService/ProfileTypes', '{}', 200, 'profileTypes'],
    ['GET http://a.example', '', 404, 'nothing is served at'],
    ['GET https://a.example?x=/ready', '', 404, 'nothing is served at'],
    ['OPTIONS *', '', 404, 'paths begin with /'],
  ])('%s is served as its path', async (line, body, status, told) => {
    const answer = await raw(
      it.port,
      `${line} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect(answer).toContain(`HTTP/1.1 ${status}`);
    expect(answer).toContain(told);
  });

  test('too many headers are 431', async () => {
    const many = Array.from({ length: 120 }, (_, i) => `X-${i}: 1\r\n`).join('');
    const text = `GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${many}\r\n`;
    expect(await raw(it.port, text)).toContain('HTTP/1.1 431');
  });

  test('Upgrade: h2c is served as HTTP/1.1', async () => {
    const text =
      'GET /ready HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\n' +
      'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n';
    expect(await raw(it.port, text)).toContain('HTTP/1.1 200');
  });

  test('an RPC without a usable host is 400', async () => {
    const text =
      'POST /push.v1.PusherService/Push HTTP/1.0\r\nContent-Type: application/json\r\n' +
      'Content-Length: 2\r\n\r\n{}';
    expect(await raw(it.port, text)).toContain('HTTP/1.1 400');
  });
});

describe('the sniffer', () => {
  test.each([
    ['nothing', ''],
    ['half a preface', 'PRI * HTTP/2.0\r\n'],
  ])('closes a socket that sends %s', async (_case, text) => {
    // Of its own: on a busy machine others may take as long to send anything.
    const hasty = await startFixture({ times: { prefaceTimeoutMs: 150 } });
    const started = performance.now();
    expect(await raw(hasty.port, text)).toBe('');
    expect(performance.now() - started).toBeGreaterThan(100);
    await hasty.server.stop(0);
  });

  test('takes a request byte by byte', async () => {
    const text = 'PUT /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const answer = await new Promise<string>((resolve) => {
      let got = '';
      const socket = connectSocket({ port: it.port, host: '127.0.0.1', noDelay: true });
      socket.on('data', (chunk) => {
        got += chunk.toString();
      });
      socket.on('close', () => resolve(got));
      let at = 0;
      const next = (): void => {
        if (at < text.length) socket.write(text[at++] as string, () => setImmediate(next));
      };
      next();
    });
    expect(answer).toContain('HTTP/1.1 404');
  });

  test('random bytes are 400 by the HTTP parser', async () => {
    expect(await raw(it.port, '\x16\x03\x01\x02\x00\x01')).toContain('HTTP/1.1 400');
  });
});

/** Resolves when a call has come to the engine. */
async function reached({ engine }: Fixture): Promise<void> {
  while (engine.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('stopping', () => {
  test('finishes what was accepted, refuses new sockets, then closes', async () => {
    const other = await startFixture();
    let open = (): void => {};
    other.engine.gate = new Promise((resolve) => {
      open = resolve;
    });
    const accepted = send(`${other.url}/ingest?name=a`, 'a 1', { connection: 'keep-alive' });
    const idle = connectSocket(other.port, '127.0.0.1');
    idle.on('error', () => {});
    await reached(other);
    const stopped = other.server.stop(5_000);
    // Reset, where it came in the moment in which the port was closed.
    await expect(send(`${other.url}/ready`, undefined, {}, 'GET')).rejects.toMatchObject({
      code: expect.stringMatching(/^ECONN(?:REFUSED|RESET)$/),
    });
    open();
    expect((await accepted).status).toBe(200);
    await stopped;
  });

  test('cuts what does not end in the grace time', async () => {
    const other = await startFixture();
    other.engine.gate = new Promise(() => {});
    const hanging = send(`${other.url}/ingest?name=a`, 'a 1').catch(() => 'cut');
    await reached(other);
    await other.server.stop(100);
    expect(await hanging).toBe('cut');
  });

  test('a second server on the address is told why it cannot', async () => {
    const listen = { host: '127.0.0.1', port: it.port };
    await expect(startFixture({ listen })).rejects.toMatchObject({ reason: 'address_in_use' });
  });
});

test('GET /api/v1/status/buildinfo tells the version as Grafana reads it', async () => {
  const server = await startFixture({ version: '1.2.3' });
  const answer = await send(`${server.url}/api/v1/status/buildinfo`, undefined, {}, 'GET');
  await server.server.stop(1_000);
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json']);
  expect(JSON.parse(answer.text)).toMatchObject({ status: 'success', data: { version: '1.2.3' } });
});
