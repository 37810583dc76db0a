/** Clients of gRPC streams that end nothing by themselves: they drop the connection, or stay. */
import { once } from 'node:events';
import { connect } from 'node:http2';
import { connect as dial } from 'node:net';
import { expect, test } from '@jest/globals';
import { openBytes } from '../support/stream-agent.ts';
import { openGrpc, startFixture, type Fixture } from './fixture.ts';

/** Far longer than these tests may take: nothing in them may need it. */
const GRACE_MS = 120_000;

/** A stream of samples that is welcomed; its client never ends its side. */
async function openStream({ url }: Fixture): Promise<{
  readonly trailers: Promise<unknown>;
  readonly drop: () => void;
}> {
  const socket = dial(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  const session = connect(url, { createConnection: () => socket });
  session.on('error', () => {});
  const stream = openGrpc(session, '/tephra.v1.IngestService/Stream');
  const welcome = once(stream, 'data');
  const bytes = openBytes({ instance: new Uint8Array(16).fill(1) });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.byteLength, 1);
  stream.write(Buffer.concat([prefix, bytes]));
  await welcome;
  stream.resume();
  return {
    trailers: once(stream, 'trailers'),
    drop: () => {
      socket.destroy();
      session.destroy();
    },
  };
}

test('a client that drops its connection is gone for the server too', async () => {
  const it = await startFixture();
  const { trailers, drop } = await openStream(it);
  trailers.catch(() => {});
  drop();
  while (!it.engine.calls.some(({ method }) => method === 'closeStream')) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await it.server.stop(GRACE_MS);
}, 60_000);

test.each(['drops its connection', 'does not end its side'])(
  'a server that stops does not wait for a client that %s',
  async (how) => {
    const it = await startFixture();
    const { trailers, drop } = await openStream(it);
    const stopped = it.server.stop(GRACE_MS);
    // Why the call ends is told in any case.
    const [headers] = (await trailers) as [Record<string, string>];
    expect(headers['grpc-status']).toBe('14');
    if (how === 'drops its connection') drop();
    await stopped;
    drop();
  },
  60_000,
);
