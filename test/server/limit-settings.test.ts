import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
} from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApp, type App } from '../../src/app.ts';
import { systemTimers, type Timers } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/config/load.ts';
import { appDeps } from '../support/app-deps.ts';
import { JSON_TYPE, openGrpc, send } from './fixture.ts';

const PUSH = '/push.v1.PusherService/Push';

let folder: string;
let app: App;
let url: string;
/** What timers were asked to wait for, in ms. */
const waited = new Set<number>();
/** Each waits for seconds: all of them at once. */
let slowHeaders: Promise<string>;
let idle: Promise<string>;
let kept: Promise<string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tephra-limit-settings-'));
  const timers: Timers = {
    ...systemTimers,
    after(delayMs, callback) {
      waited.add(delayMs);
      return systemTimers.after(delayMs, callback);
    },
  };
  const config = loadConfig({
    flags: {
      listen: '127.0.0.1:0',
      dataDir: folder,
      workers: '0',
      maxHeader: '2KiB',
      maxStreams: '5',
      maxStreamsPerAddress: '3',
      maxStreamsPerConnection: '2',
      prefaceTimeout: '54321ms',
      headersTimeout: '3s',
      requestTimeout: '20s',
      queryTimeout: '12345ms',
      idleTimeout: '6s',
      keepAliveTimeout: '2s',
    },
    environment: {},
  });
  app = await startApp(config, { ...appDeps(), timers });
  url = `http://127.0.0.1:${app.address.port}`;
  slowHeaders = answerTo('GET /ready HTTP/1.1\r\nHost: x\r\nX: ');
  idle = answerTo('POST /ingest?name=x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n');
  kept = answerTo('GET /ready HTTP/1.1\r\nHost: x\r\n\r\n');
});
afterAll(async () => {
  await app.stop();
  rmSync(folder, { recursive: true });
});

/** All that the server says to this text, until it closes the connection. */
async function answerTo(text: string): Promise<string> {
  const socket = connectSocket(app.address.port, '127.0.0.1');
  socket.on('error', () => {});
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

test('headers larger than maxHeader are refused, over HTTP/1.1 and HTTP/2', async () => {
  const header = { 'x-large': 'x'.repeat(3_000) };
  expect((await send(`${url}/ready`, undefined, header, 'GET')).status).toBe(431);
  const session = connectHttp2(url);
  const stream = session.request({ ':path': '/ready', ...header });
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  expect(headers[':status']).toBe(431);
  session.destroy();
});

test('an address and a connection have as many open streams as the settings say', async () => {
  const sessions: ClientHttp2Session[] = [];
  const open = async (): Promise<ClientHttp2Session> => {
    const session = connectHttp2(url);
    session.on('error', () => {});
    sessions.push(session);
    const [settings] = (await once(session, 'remoteSettings')) as [
      { maxConcurrentStreams: number },
    ];
    expect(settings.maxConcurrentStreams).toBe(2);
    return session;
  };
  const streamOf = (session: ClientHttp2Session): ClientHttp2Stream => {
    const stream = openGrpc(session, PUSH);
    stream.write(Buffer.from([0]));
    return stream;
  };
  const first = await open();
  for (const session of [first, first, await open()]) streamOf(session);
  const fourth = streamOf(await open());
  await new Promise((resolve) => fourth.once('close', resolve));
  expect(fourth.rstCode).toBe(constants.NGHTTP2_REFUSED_STREAM);
  for (const session of sessions) session.destroy();
});

test('slow headers end at headersTimeout', async () => {
  expect(await slowHeaders).toContain(' 408 ');
});

test('a connection over which nothing moves ends at idleTimeout, before its body is late', async () => {
  // A late body is answered 408.
  expect(await idle).toBe('');
});

test('a connection is told that it is kept for keepAliveTimeout, and ends then', async () => {
  expect(await kept).toMatch(/^Keep-Alive: timeout=2\r$/m);
});

test('times of connections, requests and queries are those of the settings', async () => {
  await send(`${url}/ingest?name=shop.cpu`, 'main;work 3\n');
  await send(`${url}/querier.v1.QuerierService/ProfileTypes`, '{}', JSON_TYPE);
  expect(waited).toContain(54_321);
  expect(waited).toContain(20_000);
  expect(waited).toContain(12_345);
});
