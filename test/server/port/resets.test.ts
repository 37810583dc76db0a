import { once } from 'node:events';
import { connect, constants, type ClientHttp2Session } from 'node:http2';
import { expect, test } from '@jest/globals';
import { systemClock } from '../../../src/base/clock.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import { openGrpc, send, startFixture } from '../fixture.ts';

const PUSH = '/push.v1.PusherService/Push';

async function reset(session: ClientHttp2Session, count: number): Promise<void> {
  for (let i = 0; i < count && !session.destroyed; i++) {
    const stream = openGrpc(session, PUSH);
    stream.write(Buffer.from([0]));
    // So that the server has seen it before it is gone.
    if (i % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 5));
    stream.close(constants.NGHTTP2_CANCEL);
  }
}

test('a connection that only resets its streams is ended, one that does so at times is not', async () => {
  const it = await startFixture();
  const hostile = connect(it.url);
  hostile.on('error', () => {});
  const closed = once(hostile, 'close');
  const usual = connect(it.url);
  usual.on('error', () => {});
  await reset(usual, 20);
  await reset(hostile, 20 * LIMITS.streamResetsMax);
  await closed;
  expect(usual.destroyed).toBe(false);
  usual.destroy();
  expect((await send(`${it.url}/ready`, undefined, {}, 'GET')).status).toBe(200);
  await it.server.stop(0);
});

test('a connection whose calls bring no message is ended, one whose calls do is not', async () => {
  const it = await startFixture();
  const call = (session: ClientHttp2Session, ...bytes: Uint8Array[]): Promise<unknown> => {
    const stream = openGrpc(session, PUSH);
    for (const chunk of bytes) stream.write(chunk);
    stream.end();
    stream.resume();
    return new Promise((resolve) => stream.once('close', resolve));
  };
  const hostile = connect(it.url);
  hostile.on('error', () => {});
  const usual = connect(it.url);
  usual.on('error', () => {});
  for (let i = 0; i < 2 * LIMITS.streamResetsMax; i++) await call(usual, new Uint8Array(5));
  expect(usual.destroyed).toBe(false);
  const closed = once(hostile, 'close');
  for (let i = 0; i < 20 * LIMITS.streamResetsMax && !hostile.destroyed; i++) await call(hostile);
  await closed;
  usual.destroy();
  await it.server.stop(0);
});

test('an address that comes back with another connection for its resets has to wait', async () => {
  let nowMs = 1_000;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const it = await startFixture({ clock });
  let connections = 0;
  while (await resetOnce(it.url)) connections++;
  // Each was ended when it had used its own share up.
  expect(connections).toBeGreaterThan(1);
  expect(connections).toBeLessThanOrEqual(
    LIMITS.streamResetsPerAddressMax / LIMITS.streamResetsMax,
  );
  // What an address gets back with time is enough for a connection.
  nowMs += (1_000 * LIMITS.streamResetsMax) / LIMITS.streamResetsPerAddressPerSecond;
  expect((await send(`${it.url}/ready`, undefined, {}, 'GET')).status).toBe(200);
  expect(await resetOnce(it.url)).toBe(true);
  await it.server.stop(0);
});

/** Opens a connection and resets streams until it is ended; false if it was not read. */
async function resetOnce(url: string): Promise<boolean> {
  const session = connect(url);
  session.on('error', () => {});
  const closed = once(session, 'close').then(() => false);
  const isLetIn = await Promise.race([once(session, 'remoteSettings').then(() => true), closed]);
  if (!isLetIn) return false;
  await reset(session, 20 * LIMITS.streamResetsMax);
  await closed;
  return true;
}
