/** Many streams of one service share its dictionary: what they all have is stored once. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '../../../src/base/clock.ts';
import { TABLES, type TableLengths } from '../../../src/storage/dictionary/lengths.ts';
import { decodeFragment } from '../../../src/storage/fragment/decode.ts';
import { TestEncoder, type TestPart } from '../../support/stream-agent.ts';
import { CPU, samplePart, SAMPLES, StreamServer } from '../../support/stream-server.ts';

const PODS = 12;
/** Types of a part: its series. */
const TYPES = 2;
/** They stand still, so that no day or volume ends between two batches. */
const NOW_MS = Date.now();

let server: StreamServer;

beforeAll(async () => {
  server = await StreamServer.start({ clock: { ...systemClock, nowMs: () => NOW_MS } });
});

afterAll(() => server.stop());

/** Frames and stacks of a program; each pod meets them in an order of its own. */
function programPart(pod: number): TestPart {
  const samples = Array.from({ length: 60 }, (_, i) => {
    const at = (i + pod * 7) % 60;
    const stack = ['main', `f${at % 6}`, `g${at % 10}`, `h${at}`].slice(0, 2 + (at % 3)).join(';');
    return { stack, values: [1 + at] };
  });
  return samplePart({}, { startMs: NOW_MS - 1_000, samples });
}

/** A stream of each pod, all open at once; each sends two batches. */
async function streamAll(service: string, pods: readonly number[]): Promise<void> {
  const opened = await Promise.all(
    pods.map((pod) =>
      server.opened(service, {
        labels: [
          ['pod', `pod-${pod}`],
          ['service_name', service],
        ],
      }),
    ),
  );
  await Promise.all(
    opened.map(async ({ call }, i) => {
      const encoder = new TestEncoder(1);
      const part = programPart(pods[i] as number);
      call.stream.write(encoder.batch(1, [{ ...part, samples: part.samples.slice(0, 40) }]));
      await call.settled(1);
      call.stream.write(encoder.batch(2, [{ ...part, samples: part.samples.slice(40) }]));
      await call.settled(2);
      expect(call.acks.flatMap(({ refused }) => refused)).toEqual([]);
      call.stream.end();
    }),
  );
}

/** Rows of the service's dictionary: where the last of its sections ends. */
async function rowsOf(service: string): Promise<TableLengths> {
  const ends: TableLengths[] = [];
  const epochs = new Set<number>();
  for (const volume of await server.store.listVolumes('raw')) {
    for (const { key } of await server.store.list(`${volume}/f/`)) {
      const bytes = await server.store.get(key);
      if (bytes === null) throw new Error(key);
      for (const section of decodeFragment(bytes).sections) {
        if (section.service !== service) continue;
        ends.push(section.to);
        epochs.add(section.epoch);
      }
    }
  }
  // One dictionary, which only grows.
  expect(epochs.size).toBe(1);
  return Object.fromEntries(
    TABLES.map((table) => [table, Math.max(...ends.map((to) => to[table]))]),
  ) as unknown as TableLengths;
}

test('the rows of many streams of a service are those of one, but for their series', async () => {
  await streamAll('alone', [0]);
  await streamAll(
    'shared',
    Array.from({ length: PODS }, (_, pod) => pod),
  );
  const alone = await rowsOf('alone');
  expect(alone).toMatchObject({ functions: 1 + 6 + 10 + 20, series: TYPES });
  expect(alone.stacks).toBe(2 + 10 + 20);
  expect(await rowsOf('shared')).toEqual({ ...alone, series: PODS * TYPES });
});

test('the merge of all of them is the sum of each, and each can be asked for', async () => {
  for (const type of [SAMPLES, CPU]) {
    const alone = await server.merged('{service_name="alone"}', type);
    const times = Object.entries(alone).map(([name, value]) => [name, BigInt(PODS) * value]);
    expect(await server.merged('{service_name="shared"}', type)).toEqual(Object.fromEntries(times));
    for (const pod of [0, PODS - 1]) {
      const selector = `{service_name="shared",pod="pod-${pod}"}`;
      expect(await server.merged(selector, type)).toEqual(alone);
    }
  }
});
