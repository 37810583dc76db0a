import { expect, test } from '@jest/globals';
import { systemTimers } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { SampleStream } from '../../../src/client/stream/stream.ts';
import { TABLE_STACKS_MAX } from '../../../src/client/stream/tables.ts';

const BATCH = 10_000;

test('tables are bounded while nothing is acknowledged and every stack is another', async () => {
  // Nobody listens there.
  const target = { url: 'http://127.0.0.1:1', tls: {}, headers: {} };
  const deps = { timers: systemTimers, random: systemRandom };
  const options = { labels: { service_name: 'many' }, bufferBytes: 2 * 1024 * 1024 };
  const stream = new SampleStream(target, options, deps);
  let most = 0;
  for (let batch = 0; batch < 45; batch++) {
    const { tables } = stream;
    const family = tables.family({ labels: {}, types: [{ name: 'n', type: 't', unit: 'count' }] });
    const stacks = Array.from({ length: BATCH }, (_, i) =>
      tables.stack(0, tables.frame(`f${batch * BATCH + i}`)),
    );
    most = Math.max(most, tables.stackParent.length);
    stream.write([
      { family, startMs: 0, durationMs: 0, stacks, columns: [new Array<number>(BATCH).fill(1)] },
    ]);
  }
  expect(most).toBeGreaterThan(TABLE_STACKS_MAX);
  // What waits needs no more than the limit, and a half; at twice as much it is looked at again.
  expect(most).toBeLessThan(3 * TABLE_STACKS_MAX);
  expect(stream.stats.droppedEntries).toBeGreaterThan(0);
  await stream.close(0);
});
