import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { TephraClient } from '../../src/client/client.ts';
import { createTransports, type ConnectOptions } from '../../src/client/transport.ts';
import { startFixture, type Fixture } from '../server/fixture.ts';

/** A server behind a proxy that says for a while that it is away, as proxies do. */
let it: Fixture;
let proxy: Server;
let away = 0;
let calls = 0;
beforeAll(async () => {
  it = await startFixture();
  const target = new URL(it.url);
  proxy = createServer((incoming, outgoing) => {
    calls++;
    if (away > 0) {
      away--;
      incoming.resume();
      outgoing.writeHead(503).end('away');
      return;
    }
    const { method, url, headers } = incoming;
    const through = request({
      host: target.hostname,
      port: target.port,
      method,
      path: url,
      headers,
    });
    through.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(outgoing);
    });
    through.on('error', () => outgoing.destroy());
    incoming.pipe(through);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
});
afterAll(async () => {
  proxy.closeAllConnections();
  proxy.close();
  await it.server.stop(100);
});
beforeEach(() => {
  away = 0;
  calls = 0;
});

const open = (options: Partial<ConnectOptions> = {}): TephraClient => {
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  return new TephraClient(createTransports({ url, ...options }));
};
const labels = { __name__: 'process_cpu', service_name: 'again' };
const payload = Buffer.from('profile');
const file = { service: 'again', format: 'pprof', payload } as const;

describe('a call that fails for now', () => {
  test('is tried again as often as was allowed, if it is a question', async () => {
    const client = open({ retries: 2 });
    away = 2;
    expect((await client.labelNames()).names).toBeDefined();
    expect(calls).toBe(3);
    away = 3;
    await expect(client.querier.labelNames()).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
    expect([calls, away]).toEqual([6, 0]);
    client.close();
  });

  test('is not tried again by default', async () => {
    const client = open();
    away = 1;
    await expect(client.labelNames()).rejects.toMatchObject({ code: 'unavailable' });
    expect(calls).toBe(1);
    client.close();
  });

  test('is tried again if it is a push that counts once', async () => {
    const client = open({ retries: 1 });
    for (const [profile, tries] of [
      [{ labels, payload }, 1],
      [{ labels, payload, id: '00000000-0000-0000-0000-000000000000' }, 1],
      [{ labels, payload, id: 'one' }, 2],
      [{ labels, payload, start: 'now' }, 2],
    ] as const) {
      calls = 0;
      away = 1;
      const pushed = client.push([profile]).then(
        ([result]) => result?.outcome,
        ({ code }: { code: string }) => code,
      );
      expect([await pushed, calls]).toEqual([tries === 1 ? 'unavailable' : 'stored', tries]);
    }
    away = 1;
    await client.ingest({ ...file, start: 'now-1m' });
    away = 1;
    await expect(client.ingest(file)).rejects.toMatchObject({
      code: 'unknown',
      retryable: true,
      message: 'the server answered 503 Service Unavailable: is it a Tephra?',
    });
    client.close();
  });

  test('ends when its caller gives up, and within its deadline', async () => {
    const client = open({ retries: 1_000 });
    away = Infinity;
    const controller = new AbortController();
    const asked = client.labelNames({}, { signal: controller.signal });
    setTimeout(() => controller.abort(), 30);
    await expect(asked).rejects.toMatchObject({ code: 'canceled' });
    await expect(client.labelNames({}, { timeoutMs: 100 })).rejects.toMatchObject({
      code: expect.stringMatching(/^unavailable|deadline_exceeded$/),
    });
    client.close();
  });

  test('is not tried again if it was refused', async () => {
    const client = open({ retries: 5 });
    await expect(client.tree({ profileType: 'no', from: 0 })).rejects.toMatchObject({
      code: 'invalid_argument',
    });
    expect(calls).toBe(1);
    client.close();
  });
});

describe('a client that was closed', () => {
  const closed = { code: 'failed_precondition', reason: 'closed', retryable: false };

  test.each(['connect', 'connect-http2', 'grpc'] as const)(
    'calls nobody any more, over %s',
    async (protocol) => {
      const client = open({ protocol, retries: 2 });
      client.close();
      client.close();
      const selection = { profileType: 'a:b:c:d:e', selector: '{}' };
      await expect(client.push([])).rejects.toMatchObject(closed);
      await expect(client.ingest(file)).rejects.toMatchObject(closed);
      await expect(client.nodes(selection)).rejects.toMatchObject(closed);
      await expect(client.stats()).rejects.toMatchObject(closed);
      await expect(client.querier.flameGraph(selection)).rejects.toMatchObject(closed);
      expect(() => client.stream({ labels: {} })).toThrow(
        expect.objectContaining({ reason: 'closed' }),
      );
      expect(calls).toBe(0);
    },
  );

  test('does not try a call again that waits for that', async () => {
    const client = open({ retries: 5 });
    away = 1_000;
    const failed = client.labelNames().catch((error: unknown) => error);
    const sofar = (): number => calls;
    while (sofar() < 3) await new Promise((resolve) => setImmediate(resolve));
    client.close();
    // By then it waits for the fourth try, or the third is on its way still.
    expect(await failed).toMatchObject({
      reason: expect.stringMatching(/^(closed|unreachable|)$/),
    });
    expect(calls).toBeLessThan(5);
  });
});
