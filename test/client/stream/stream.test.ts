import { afterEach, describe, expect, test } from '@jest/globals';
import { systemTimers, type Timers } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { SampleStream, type StreamOptions } from '../../../src/client/stream/stream.ts';
import type { Family } from '../../../src/client/stream/tables.ts';
import { FakeServer, type Mood } from './fake-server.ts';

const CPU = { name: 'process_cpu', type: 'cpu', unit: 'nanoseconds' };
const FAMILY: Family = {
  labels: { region: 'eu' },
  types: [{ ...CPU, type: 'samples', unit: 'count' }, CPU],
};
/** Waits between two attempts are cut short; pings and deadlines are not. */
const hasty: Timers = {
  ...systemTimers,
  after: (delayMs, callback) =>
    systemTimers.after(delayMs < 10_000 ? delayMs / 50 : delayMs, callback),
};

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function start(change: (server: FakeServer) => void = () => {}): Promise<FakeServer> {
  const server = new FakeServer();
  change(server);
  ends.push(() => server.stop());
  return server.start();
}

/** A stream, and what was written to it. */
class Sender {
  readonly stream: SampleStream;
  readonly written = new Map<string, bigint>();
  readonly random;
  batches = 0;

  constructor(server: FakeServer, options: Partial<StreamOptions> = {}, seed = 1) {
    this.random = seededRandom(seed);
    this.stream = new SampleStream(
      { url: server.url, tls: {}, headers: {} },
      { labels: { service_name: 'shop' }, ...options },
      { timers: hasty, random: this.random },
    );
    ends.push(() => void this.stream.close(0));
  }

  /** Writes a batch of so many random stacks. */
  write(entries = 5): void {
    const { tables } = this.stream;
    const stacks: number[] = [];
    const counts: number[] = [];
    for (let i = 0; i < entries; i++) {
      let stack = 0;
      let name = '';
      for (let depth = 1 + (this.random.u32() % 6); depth > 0; depth--) {
        const line = this.random.u32() % 7;
        name += `;f${line}@${line % 2 === 0 ? '' : 'a.js'}:${line}`;
        stack = tables.stack(stack, tables.frame(`f${line}`, line % 2 === 0 ? '' : 'a.js', line));
      }
      const count = this.random.u32() % 1_000;
      stacks.push(stack);
      counts.push(count);
      this.#note(`process_cpu:samples:count::/0 ${name}`, BigInt(count));
      this.#note(`process_cpu:cpu:nanoseconds::/0 ${name}`, BigInt(count) * 10_000_000n);
    }
    const scales = { typeColumn: [0, 0], typeScale: [1, 10_000_000] };
    const part = { family: tables.family(FAMILY), startMs: 1_000, durationMs: 10, ...scales };
    this.stream.write([{ ...part, stacks, columns: [counts] }]);
    this.batches++;
  }

  #note(key: string, value: bigint): void {
    this.written.set(key, (this.written.get(key) ?? 0n) + value);
  }
}

const sorted = (sums: ReadonlyMap<string, bigint>): [string, bigint][] =>
  [...sums].filter(([, value]) => value > 0n).sort(([a], [b]) => (a < b ? -1 : 1));

describe('a stream', () => {
  test('sends rows once, then only references', async () => {
    const server = await start();
    const sender = new Sender(server);
    for (let i = 0; i < 50; i++) sender.write(100);
    expect(await sender.stream.flush(10_000)).toBe(true);
    const { sentBytes } = sender.stream.stats;
    sender.write(100);
    expect(await sender.stream.close(10_000)).toBe(true);
    expect(sorted(server.sums)).toEqual(sorted(sender.written));
    const { stats } = sender.stream;
    expect(stats).toMatchObject({ settledEntries: 5_100, droppedEntries: 0, bufferedBytes: 0 });
    expect([...server.seen]).toEqual(['region=eu']);
    expect(server.opens).toHaveLength(1);
    // Four bytes an entry at most, where a stack is known.
    expect(stats.sentBytes - sentBytes).toBeLessThan(900);
  });

  test.each([1, 2, 3, 4, 5, 6])(
    'counts everything once, whatever happens (seed %i)',
    async (seed) => {
      const random = seededRandom(seed * 7_919);
      const moods: Mood[] = ['break-before', 'break-after', 'forget-epoch', 'late'];
      const server = await start((fake) => {
        fake.window = { batches: 1 + (seed % 4), bytes: 2_000n };
        fake.rowsMax = seed % 2 === 0 ? 120 : 262_144;
        fake.mood = () => (random.u32() % 3 > 0 ? 'store' : (moods[random.u32() % 4] as Mood));
      });
      const sender = new Sender(server, {}, seed);
      for (let round = 0; round < 40; round++) {
        sender.write(1 + (random.u32() % 12));
        if (round % 13 === 6) {
          server.stop();
          await new Promise((resolve) => setTimeout(resolve, 10));
          await server.start();
        }
        if (round % 5 === 0) await sender.stream.flush(20);
      }
      server.mood = () => 'store';
      expect(await sender.stream.close(8_000)).toBe(true);
      expect(sorted(server.sums)).toEqual(sorted(sender.written));
      expect(sender.stream.stats).toMatchObject({ droppedEntries: 0, givenUpEntries: 0 });
      expect(sender.stream.stats.connections).toBeGreaterThan(2);
    },
  );

  test('drops the oldest while the server is away, and counts them', async () => {
    const server = await start();
    server.stop();
    const lines: string[] = [];
    const log = { info: () => {}, warn: (message: string) => void lines.push(message) };
    const sender = new Sender(server, { bufferBytes: 4_000, log });
    const before: ReadonlyMap<string, bigint>[] = [];
    for (let i = 0; i < 100; i++) {
      before.push(new Map(sender.written));
      sender.write(10);
    }
    const { droppedEntries, bufferedBytes, bufferedBatches } = sender.stream.stats;
    expect(bufferedBytes).toBeLessThanOrEqual(4_000);
    expect(droppedEntries).toBe(1_000 - bufferedBatches * 10);
    await server.start();
    expect(await sender.stream.close(8_000)).toBe(true);
    const { settledEntries } = sender.stream.stats;
    expect(settledEntries).toBe(bufferedBatches * 10);
    // The last are those that came through.
    const dropped = before[100 - bufferedBatches] ?? new Map<string, bigint>();
    const youngest = [...sender.written].map(
      ([key, sum]) => [key, sum - (dropped.get(key) ?? 0n)] as const,
    );
    expect(sorted(server.sums)).toEqual(sorted(new Map(youngest)));
    expect(lines).toEqual([
      'not connected; samples wait',
      'connected again; samples were dropped meanwhile',
    ]);
  });

  test('gives up what was sent only where it alone fills the buffer', async () => {
    const server = await start((fake) => {
      fake.mood = () => 'silent';
      fake.window = { batches: 100, bytes: 1_000_000n };
    });
    const sender = new Sender(server, { bufferBytes: 1_000 });
    sender.write(200);
    while (server.settled < 1) await new Promise((resolve) => setTimeout(resolve, 2));
    server.stop();
    await server.start();
    server.mood = () => 'store';
    sender.write(1);
    expect(await sender.stream.close(8_000)).toBe(true);
    expect(sender.stream.stats).toMatchObject({ givenUpEntries: 200, settledEntries: 1 });
    expect(server.opens.at(-1)).toMatchObject({ firstSequence: 2n, lastSequence: 1n });
    expect(sorted(server.sums)).toEqual(sorted(sender.written));
  });

  test('a refused batch is counted, told and not sent again', async () => {
    const server = await start();
    const settled: (string | undefined)[] = [];
    const onSettled = ({ refused }: { refused: string | undefined }): void =>
      void settled.push(refused);
    const sender = new Sender(server, { onSettled });
    server.mood = () => (server.batches === 2 ? 'refuse' : 'store');
    for (let i = 0; i < 3; i++) sender.write(4);
    expect(await sender.stream.close(10_000)).toBe(true);
    expect(sender.stream.stats).toMatchObject({ settledEntries: 8, refusedEntries: 4 });
    expect(settled).toEqual([undefined, 'malformed_batch', undefined]);
    expect(server.batches).toBe(3);
  });

  test('labels and spans of samples arrive', async () => {
    const server = await start();
    const { stream } = new Sender(server);
    const { tables } = stream;
    const stack = tables.stack(0, tables.frame('main'));
    const labels = [[tables.text('endpoint'), tables.text('/cart')]] as const;
    const spans = [
      { spanId: '00000000000000a1', traceId: '', entries: 2 },
      { spanId: '', traceId: '000000000000000000000000000000b2', entries: 1 },
    ];
    const family = tables.family({ labels: {}, types: [CPU] });
    const part = { family, startMs: 1, durationMs: 0, stacks: [stack, stack, stack] };
    stream.write([{ ...part, columns: [[1, 2, 3]], labels, spans, profileId: 'p' }]);
    expect(await stream.close(10_000)).toBe(true);
    expect([...server.seen]).toEqual(['endpoint=/cart', '00000000000000a1 2', ' 1']);
    expect([...server.sums.values()]).toEqual([6n]);
  });

  test('large writes become several batches, and full tables are renewed', async () => {
    const server = await start();
    const { stream } = new Sender(server);
    let total = 0n;
    for (let round = 0; round < 2; round++) {
      const { tables } = stream;
      const stacks = Array.from({ length: 20_000 }, (_, i) => {
        // Long names fill the tables sooner than many rows do.
        const name = i < 50 ? `${i} ${round} ${'x'.repeat(100_000)}` : 'f';
        return tables.stack(0, tables.frame(name, '', 1 + (i % 500)));
      });
      const family = tables.family({ labels: {}, types: [CPU] });
      const part = { family, startMs: 1, durationMs: 0, stacks, columns: [stacks.map(() => 3)] };
      stream.write([part]);
      total += 60_000n;
      expect(await stream.flush(20_000)).toBe(true);
    }
    expect(stream.stats.epoch).toBe(2);
    expect(stream.tables.stackParent.length).toBeLessThan(600);
    expect(await stream.close(10_000)).toBe(true);
    expect([...server.sums.values()].reduce((sum, value) => sum + value, 0n)).toBe(total);
    expect(server.batches).toBeGreaterThan(11);
  });

  test('says what is wrong with a part before it is sent', async () => {
    const server = await start();
    const { stream } = new Sender(server);
    const { tables } = stream;
    const stacks = [tables.stack(0, tables.frame('main'))];
    const part = { family: tables.family(FAMILY), startMs: 1, durationMs: 0, stacks };
    expect(() => stream.write([{ ...part, columns: [[1, 2]] }])).toThrow(/columns/);
    expect(() => stream.write([{ ...part, columns: [[-1]] }])).toThrow(/whole numbers/);
    const spans = [{ spanId: '', traceId: '', entries: 2 }];
    expect(() => stream.write([{ ...part, columns: [[1]], spans }])).toThrow(/spans/);
    await stream.close(1_000);
    expect(() => stream.write([])).toThrow(/closed/);
  });
});
