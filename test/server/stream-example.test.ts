import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { Client, credentials } from '@grpc/grpc-js';
import { systemClock, systemTimers, type Clock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { createMetrics } from '../../src/base/metrics.ts';
import { systemRandom } from '../../src/base/random.ts';
import { startServer } from '../../src/server/server.ts';
import { createEngine } from '../../src/shards/create-engine.ts';
import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';
import { readFlameGraph } from '../model/answers.ts';

const PAGE = new URL('../../docs/protocol/stream.md', import.meta.url);

/** What the page shows: messages of the agent and of the server in turn. */
function example(): Buffer[] {
  const page = readFileSync(PAGE, 'utf8');
  return [...page.matchAll(/```hex\n([^`]*)```/g)].map(([, hex = '']) =>
    Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'),
  );
}

test('the example of the protocol page is what happens', async () => {
  const clock: Clock = { ...systemClock, nowMs: () => Date.UTC(2026, 2, 14, 0, 0, 30) };
  const engine = await createEngine({
    store: new MemoryBlobStore(),
    workers: 0,
    incarnation: 1,
    clock,
    timers: systemTimers,
    random: systemRandom,
  });
  const server = await startServer({
    engine,
    listen: { host: '127.0.0.1', port: 0 },
    clock,
    timers: systemTimers,
    logger: silentLogger,
    metrics: createMetrics(),
  });
  const client = new Client(`127.0.0.1:${server.address.port}`, credentials.createInsecure());
  const asIs = (bytes: Buffer): Buffer => bytes;
  const call = client.makeBidiStreamRequest('/tephra.v1.IngestService/Stream', asIs, asIs);
  const messages = example();
  expect(messages).toHaveLength(6);
  for (let i = 0; i < messages.length; i += 2) {
    const answer = new Promise<Buffer>((resolve) => call.once('data', resolve));
    call.write(messages[i] as Buffer);
    expect((await answer).toString('hex')).toBe(messages[i + 1]?.toString('hex'));
  }
  const { bytes } = await engine.flameGraph({
    tenant: 'anonymous',
    profileType: 'process_cpu:samples:count:cpu:nanoseconds',
    selector: '{service_name="shop"}',
    startMs: clock.nowMs() - 60_000,
    endMs: clock.nowMs(),
    maxNodes: 0,
  });
  const found = [...readFlameGraph(bytes)].map(([stack, value]) => [stack, Number(value)]);
  expect(new Map(found as [string, number][])).toEqual(
    new Map([
      ['["main"]', 1],
      ['["main","a"]', 3],
      ['["main","a","b"]', 304],
    ]),
  );
  const ended = new Promise((resolve) => call.once('end', resolve));
  call.end();
  await ended;
  client.close();
  await server.stop(1_000);
  await engine.stop();
});
