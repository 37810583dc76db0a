import { once } from 'node:events';
import { connect, constants, type ClientHttp2Session } from 'node:http2';
import { expect, test } from '@jest/globals';
import { LIMITS } from '../../src/base/limits.ts';
import { send, startFixture } from './fixture.ts';

async function reset(session: ClientHttp2Session, count: number): Promise<void> {
  for (let i = 0; i < count && !session.destroyed; i++) {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/push.v1.PusherService/Push',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => {});
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
