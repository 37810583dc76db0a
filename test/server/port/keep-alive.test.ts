/** Connections of HTTP/1.1 and HTTP/2 serve call after call, also behind a refusal, and end when they are idle. */
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { JSON_TYPE, startFixture, type Fixture } from '../fixture.ts';

const TYPES = '/querier.v1.QuerierService/ProfileTypes';
const PUSH = '/push.v1.PusherService/Push';
const KEPT_MS = 300;

let it: Fixture;
beforeAll(async () => {
  it = await startFixture();
});
afterAll(() => it.server.stop(0));

/** Calls of all kinds, answered and refused, with the status that each has. */
const CALLS: readonly (readonly [
  method: string,
  path: string,
  body: string | undefined,
  headers: Record<string, string>,
  status: number,
])[] = [
  ['POST', '/ingest?name=shop.cpu', 'main;work 3', {}, 200],
  ['POST', TYPES, '{}', JSON_TYPE, 200],
  ['POST', TYPES, '{', JSON_TYPE, 400],
  ['POST', PUSH, 'no message', { 'content-type': 'application/proto' }, 400],
  ['POST', '/ingest', 'main;work 3', {}, 400],
  ['GET', PUSH, undefined, {}, 405],
  ['POST', TYPES, '{}', { 'content-type': 'text/plain' }, 415],
  ['GET', '/nothing', undefined, {}, 404],
  ['HEAD', '/pprof?query=a:b:c:d:e', undefined, {}, 200],
  ['POST', TYPES, '{}', JSON_TYPE, 200],
];

test('one HTTP/1.1 connection serves all calls', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number | undefined>();
  for (const [method, path, body, headers, status] of CALLS) {
    const request = httpRequest(it.url + path, { method, agent, headers });
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    ports.add(response.socket.localPort);
    response.resume();
    await once(response, 'end');
    expect([method, path, response.statusCode]).toEqual([method, path, status]);
  }
  expect(ports.size).toBe(1);
  agent.destroy();
});

test('one HTTP/2 connection serves all calls', async () => {
  const session = connectHttp2(it.url);
  for (const [method, path, body, headers, status] of CALLS) {
    const stream = session.request({ ':method': method, ':path': path, ...headers });
    stream.end(body);
    const [found] = (await once(stream, 'response')) as [Record<string, unknown>];
    stream.resume();
    await once(stream, 'close');
    expect([method, path, found[':status']]).toEqual([method, path, status]);
  }
  session.destroy();
});

test('an HTTP/1.1 connection ends when it has been idle, or at once where its client asks for that', async () => {
  const other = await startFixture({ times: { keepAliveTimeoutMs: KEPT_MS } });
  for (const [headers, isToldKept] of [
    ['', true],
    ['Connection: close\r\n', false],
  ] as const) {
    const socket = connectSocket(other.server.address.port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
    socket.write(`GET /ready HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
    await once(socket, 'close');
    expect(answer).toContain('HTTP/1.1 200');
    expect(/^connection: keep-alive/im.test(answer)).toBe(isToldKept);
  }
  await other.server.stop(0);
});
