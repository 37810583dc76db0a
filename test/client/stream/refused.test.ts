import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { systemTimers } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { SampleStream } from '../../../src/client/stream/stream.ts';

/** By gRPC status: whether the agent itself is wrong, so that asking again soon would only be noise. */
const STATUSES: readonly (readonly [name: string, code: number, isWrong: boolean])[] = [
  ['INVALID_ARGUMENT', 3, true],
  ['DEADLINE_EXCEEDED', 4, false],
  ['PERMISSION_DENIED', 7, true],
  ['RESOURCE_EXHAUSTED', 8, true],
  ['FAILED_PRECONDITION', 9, true],
  ['UNIMPLEMENTED', 12, true],
  ['INTERNAL', 13, false],
  ['UNAVAILABLE', 14, false],
  ['UNAUTHENTICATED', 16, true],
];

test.each(STATUSES)('after %s (%d) a stream waits a minute: %s', async (_, code, isWrong) => {
  const server = createServer((request, response) => {
    request.resume();
    response.stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': String(code) },
      { endStream: true },
    );
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const waits: number[] = [];
  const stream = await new Promise<SampleStream>((resolve) => {
    let hasEnded = false;
    const timers = {
      ...systemTimers,
      after: (ms: number, run: () => void): (() => void) => {
        // The one that is set when the call has ended is the wait for the next.
        if (hasEnded) {
          waits.push(ms);
          queueMicrotask(() => resolve(made));
        }
        return systemTimers.after(ms, run);
      },
    };
    const log = { info: () => {}, warn: () => (hasEnded = true) };
    const made: SampleStream = new SampleStream(
      { url: `http://127.0.0.1:${port}`, tls: {}, headers: {} },
      { labels: { service_name: 'refused' }, log },
      { timers, random: seededRandom(1) },
    );
  });
  expect(waits.map((ms) => ms >= 60_000)).toEqual([isWrong]);
  expect(stream.stats.connections).toBe(0);
  await stream.close(0);
  server.close();
});

test('without a server each wait is a random part of one twice as long, up to half a minute', async () => {
  const expected = [375, 750, 1_500, 3_000, 6_000, 11_250, 11_250];
  const waits: number[] = [];
  let done = (): void => {};
  const enough = new Promise<void>((resolve) => (done = resolve));
  const timers = {
    ...systemTimers,
    after: (ms: number, run: () => void): (() => void) => {
      // Others are those of a call: none is as long as one of these.
      if (!expected.includes(ms)) return systemTimers.after(ms, run);
      waits.push(ms);
      if (waits.length === expected.length) done();
      return systemTimers.after(0, run);
    },
  };
  // Nobody listens there any more.
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const stream = new SampleStream(
    { url: `http://127.0.0.1:${port}`, tls: {}, headers: {} },
    { labels: { service_name: 'away' } },
    { timers, random: { ...seededRandom(1), u32: () => (2 ** 32 * 3) / 8 } },
  );
  await enough;
  expect(waits).toEqual(expected);
  await stream.close(0);
});
