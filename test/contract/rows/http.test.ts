/**
 * Rows 93 to 119 of the catalogue of bad inputs that one request shows, by every way and HTTP version on
 * which the input exists. What needs a socket of its own is in test/contract/status.test.ts, what needs
 * several requests in catalogue.test.ts (rows.ts says which).
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import { startRealServer, type RealServer } from '../port.ts';
import { GOOD, httpOf, PUSH_CALLS, PUSH_METHODS, pushMessage } from './push-bench.ts';
import { HTTP_VERSIONS, RAW_WAYS, RawClient, type RawWay } from './raw-ways.ts';

const LIMIT = 100_000;
const TYPES = 'querier.v1.QuerierService/ProfileTypes';

let server: RealServer;
let client: RawClient;
beforeAll(async () => {
  server = await startRealServer({ bodyBytesMax: LIMIT }, { flushLingerMs: 0 });
  client = new RawClient(server.port);
});
afterAll(async () => {
  client.close();
  await server.stop();
});

const emptyOf = ({ codec }: RawWay): Uint8Array => Buffer.from(codec === 'json' ? '{}' : '');
const JSON_WAYS = RAW_WAYS.filter(({ codec }) => codec === 'json');
const named = <T extends { name: string }>(all: readonly T[]) =>
  all.map((one) => [one.name, one] as const);

/** After each of these rows the server is as it was. */
async function expectServed(): Promise<void> {
  for (const way of RAW_WAYS) {
    expect([way.name, (await client.call(way, TYPES, emptyOf(way))).code]).toEqual([way.name, 0]);
  }
}

describe.each(HTTP_VERSIONS)('HTTP/%s', (version) => {
  const get = (path: string, headers: Record<string, string> = {}) =>
    client.http(version, 'GET', path, headers, undefined);

  test.each<[string, Record<string, string>, string, number]>([
    ['row 94: 20 KB of header', { x: 'a'.repeat(20_000) }, '/ready', 431],
    ['row 94: 20 KB of URL', {}, `/ready?${'a'.repeat(20_000)}`, version === '2' ? 431 : 414],
    ['row 96: a parent directory', {}, '/../../etc/passwd', 404],
    ['row 96: one that is encoded', {}, '/%2e%2e/%2e%2e/etc/passwd', 404],
    ['row 96: NUL', {}, '/%00', 404],
    ['row 96: a broken escape', {}, '/%ZZ', 404],
    ['row 97: an unknown path', {}, '/nope', 404],
    ['row 101: 200 parameters', {}, `/ready?${'a&'.repeat(200)}`, 400],
    ['row 101: a parameter named __proto__', {}, '/ready?a[__proto__]=1', 200],
    ['row 104: a range', { range: 'bytes=0-1', 'if-none-match': '"' }, '/ready', 200],
    ['row 104: a huge Accept', { accept: 'a/b,'.repeat(1_000) }, '/ready', 200],
    ['row 105: a header named __proto__', { ['__proto__']: 'x' }, '/ready', 200],
  ])('%s', async (_row, headers, path, status) => {
    expect((await get(path, headers)).status).toBe(status);
    await expectServed();
  });

  test('row 95: 2,500 headers', async () => {
    const many = Object.fromEntries(Array.from({ length: 2_500 }, (_, i) => [`a${i}`, 'b']));
    // The library below HTTP/2 ends the stream (ENHANCE_YOUR_CALM) before we see it.
    const status = await get('/ready', { ...(version === '2' ? {} : { host: 'x' }), ...many }).then(
      (answer) => answer.status,
      () => 'ended',
    );
    expect(status).toBe(version === '2' ? 'ended' : 431);
    await expectServed();
  });

  test('row 97: a method that is not allowed says which are', async () => {
    for (const [method, path] of [
      ['DELETE', `/${PUSH_METHODS.push}`],
      ['PATCH', '/ready'],
      ['GET', '/ingest?name=a'],
    ] as const) {
      const { status, headers } = await client.http(version, method, path, {}, undefined);
      expect([path, status, headers['allow']]).toEqual([path, 405, expect.any(String)]);
    }
  });

  test.each(['text/plain', 'application/grpc-web-text', 'application/xml', ''])(
    'row 98: content type %j',
    async (type) => {
      const headers = type === '' ? {} : { 'content-type': type };
      for (const name of [PUSH_METHODS.push, PUSH_METHODS.tephra, TYPES]) {
        const answer = await client.http(version, 'POST', `/${name}`, headers, Buffer.from('x'));
        expect([name, answer.status]).toEqual([name, 415]);
      }
    },
  );

  test('row 101: a scalar twice', async () => {
    const path = '/ingest?name=a&name=b';
    expect((await client.http(version, 'POST', path, {}, Buffer.from('a 1'))).status).toBe(400);
  });
});

describe('rows 99 and 106: a message over the limit', () => {
  const big = (way: RawWay): Uint8Array =>
    way.codec === 'json'
      ? Buffer.from(JSON.stringify({ x: 'y'.repeat(LIMIT) }))
      : new Uint8Array(LIMIT + 1);
  test.each(named(PUSH_CALLS))('a push by %s', async (_, { service, way }) => {
    const answer = await client.call(way, PUSH_METHODS[service], big(way));
    expect([answer.code, answer.http, answer.message]).toEqual([
      Code.InvalidArgument,
      way.protocol === 'connect' ? 413 : 200,
      expect.stringMatching(/^body_size_limit: .*100000/),
    ]);
  });

  test.each(named(RAW_WAYS))('a query by %s', async (_, way) => {
    const answer = await client.call(way, TYPES, big(way));
    expect([answer.code, answer.http, answer.message]).toEqual([
      Code.ResourceExhausted,
      httpOf(way, Code.ResourceExhausted),
      expect.stringMatching(/^query_limit: .*100000/),
    ]);
    expect(answer.headers['retry-after']).toBeUndefined();
  });

  test.each(named(RAW_WAYS))('a thousand times too large, by %s', async (_, way) => {
    const body = new Uint8Array(3 * LIMIT);
    const { code } = await client.call(way, PUSH_METHODS.push, body).catch(() => ({ code: 0 }));
    expect([Code.InvalidArgument, Code.ResourceExhausted]).toContain(code);
    await expectServed();
  });

  test('in chunks, without a length', async () => {
    const headers = { 'content-type': 'application/proto', 'transfer-encoding': 'chunked' };
    const body = new Uint8Array(LIMIT + 1);
    const push = await client.http('1.1', 'POST', `/${PUSH_METHODS.push}`, headers, body);
    const ingest = await client.http('1.1', 'POST', '/ingest?name=a', headers, body);
    expect([push.status, ingest.status]).toEqual([413, 413]);
  });
});

describe('row 102: JSON', () => {
  test.each<[string, string, RegExp]>([
    ['99,000 levels of lists', '['.repeat(99_000), /^nesting_too_deep/],
    ['15,000 levels of objects', '{"a":'.repeat(15_000), /^nesting_too_deep/],
    ['a known field of 1,000 levels', `{"start":${'['.repeat(1_000)}`, /^nesting_too_deep/],
    ['1e308 for an integer', '{"start":1e308}', /^malformed_json: .*start/],
    ['a list for a message', '[]', /^malformed_json/],
    ['a key twice', '{"start":1,"start":2}', /^malformed_json: .*duplicate.*start/],
    ['nothing', '', /^malformed_json/],
    ['a text that is cut', '{"start":', /^malformed_json/],
  ])('%s is refused', async (_, text, says) => {
    for (const way of JSON_WAYS) {
      const answer = await client.call(way, TYPES, Buffer.from(text));
      expect([way.name, answer.code, answer.http, answer.message]).toEqual([
        way.name,
        Code.InvalidArgument,
        httpOf(way, Code.InvalidArgument),
        expect.stringMatching(says),
      ]);
      expect(answer.message.length).toBeLessThan(400);
    }
  });

  test('__proto__, unknown keys and unknown names are ignored', async () => {
    const text =
      '{"__proto__":{"a":1},"constructor":2,"start":"1","end":2,"x":[{"y":null}],"format":"NEW"}';
    for (const way of JSON_WAYS) {
      const name = 'querier.v1.QuerierService/SelectMergeStacktraces';
      const data = `${text.slice(0, -1)},"profileTypeID":"a:b:c:d:e","labelSelector":"{}"}`;
      const answer = await client.call(way, name, Buffer.from(data));
      expect([way.name, answer.code, answer.message.replace('OK', '')]).toEqual([way.name, 0, '']);
    }
    expect(Object.hasOwn(Object.prototype, 'a')).toBe(false);
  });
});

describe('RPCs', () => {
  test.each(named(RAW_WAYS))('row 113: an unknown method and service by %s', async (_, way) => {
    for (const name of ['querier.v1.QuerierService/Nope', 'settings.v1.SettingsService/Get']) {
      const { code } = await client.call(way, name, emptyOf(way));
      expect([name, code]).toEqual([name, Code.Unimplemented]);
    }
  });

  test.each(named(RAW_WAYS))('row 117: strange deadlines by %s', async (_, way) => {
    const header = way.protocol === 'connect' ? 'connect-timeout-ms' : 'grpc-timeout';
    for (const value of ['0n', '0', '1n', 'abc', '-1', '1e9']) {
      const extra = { headers: { [header]: value } };
      const { code } = await client.call(way, TYPES, emptyOf(way), extra);
      const expected = [0, Code.InvalidArgument, Code.DeadlineExceeded, Code.Internal];
      expect([value, expected.includes(code)]).toEqual([value, true]);
    }
    // Weeks ahead: no deadline, where a timer of 32 bits would be over at once.
    const endless = way.protocol === 'connect' ? '9999999999' : '99999999H';
    const extra = { headers: { [header]: endless } };
    expect((await client.call(way, TYPES, emptyOf(way), extra)).code).toBe(0);
    await expectServed();
  });

  test.each(named(RAW_WAYS))('row 118: 110 headers by %s', async (_, way) => {
    const headers = Object.fromEntries(Array.from({ length: 110 }, (_one, i) => [`x-${i}`, 'a']));
    const answer = await client.call(way, TYPES, emptyOf(way), { headers });
    expect([answer.code, answer.message]).toEqual([
      Code.InvalidArgument,
      expect.stringMatching(/^header_too_large: .*100/),
    ]);
  });

  test.each(named(RAW_WAYS.filter(({ protocol }) => protocol === 'grpc')))(
    'row 118: a binary header that is no base64 by %s',
    async (_, way) => {
      const extra = { headers: { 'x-bin': '***' } };
      const { code } = await client.call(way, TYPES, emptyOf(way), extra);
      expect([0, Code.InvalidArgument]).toContain(code);
    },
  );

  test('a push that is fine is stored after all of this', async () => {
    for (const call of PUSH_CALLS) {
      const message = pushMessage('last', call, [GOOD]);
      const { code } = await client.call(call.way, PUSH_METHODS[call.service], message);
      expect([call.name, code]).toEqual([call.name, 0]);
    }
  });
});
