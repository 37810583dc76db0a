/** A query over many days goes through them once, and the next one finds in memory what never changes. */
import { expect, test } from '@jest/globals';
import { DAY_MS, HOUR_MS } from '../../src/base/time.ts';
import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';
import { Bench, DAY, TYPE } from '../jobs/fixture.ts';

const DAYS = 6;

/** Five services over some days, absorbed, in an engine that is new; `seen` tells what it asks the store. */
async function filled() {
  const bench = await new Bench().open();
  for (let day = 0; day < DAYS; day++) {
    for (let i = 0; i < 5; i++) {
      await bench.push(`leaf${i}`, DAY - day * DAY_MS, 1n, `service${i}`);
    }
  }
  for (const hour of [2, 3]) await bench.at(DAY + hour * HOUR_MS);
  const seen: [operation: string, key: string][] = [];
  bench.store = new MemoryBlobStore({
    state: bench.store.snapshot(),
    faults: (operation, key) => {
      seen.push([operation, key]);
      return 'ok';
    },
  });
  await bench.open();
  seen.length = 0;
  return { bench, seen };
}

const RANGE = { startMs: DAY - DAYS * DAY_MS, endMs: DAY + DAY_MS - 1 };

async function profiles(bench: Bench): Promise<number> {
  const [one] = await bench.engine.selectSeries({
    tenant: 'anonymous',
    profileType: TYPE,
    selector: '{}',
    ...RANGE,
    stepMs: DAY_MS,
    groupBy: [],
    aggregation: 'sum',
  });
  return (one?.points ?? []).reduce((sum, { value }) => sum + value, 0) / 10_000_000;
}

test('columns are read day by day, for all shards of a day before the next day', async () => {
  const { bench, seen } = await filled();
  expect((await bench.merge(RANGE.startMs, RANGE.endMs)).ticks).toBe(30n);
  const days = seen
    .filter(([operation, key]) => operation === 'get' && key.includes('/b/'))
    .map(([, key]) => key.slice(0, 'minutes/20260314'.length));
  expect(new Set(days).size).toBe(DAYS);
  // One partition is read ahead: at most the next day is begun before a day is through.
  const order = [...new Set(days)].sort();
  let furthest = 0;
  for (const day of days) {
    furthest = Math.max(furthest, order.indexOf(day));
    expect(furthest - order.indexOf(day)).toBeLessThanOrEqual(1);
  }
});

test('a timeline that was asked before asks the store for nothing, and has what came since', async () => {
  const { bench, seen } = await filled();
  expect(await profiles(bench)).toBe(30);
  expect(seen.length).toBeGreaterThan(0);
  seen.length = 0;
  expect(await profiles(bench)).toBe(30);
  expect(seen).toEqual([]);
  await bench.push('late', DAY - 2 * DAY_MS + 5_000, 4n, 'service1');
  expect(await profiles(bench)).toBe(34);
  await bench.at(DAY + 4 * HOUR_MS);
  expect(await profiles(bench)).toBe(34);
});

test('both sides of a diff read a section once', async () => {
  const { bench, seen } = await filled();
  const side = { tenant: 'anonymous', profileType: TYPE, selector: '{}', ...RANGE };
  await bench.merge(RANGE.startMs, RANGE.endMs);
  await bench.open();
  seen.length = 0;
  await bench.engine.diff({ left: side, right: side });
  const sections = seen.filter(([operation, key]) => operation === 'get' && key.includes('/b/'));
  await bench.open();
  seen.length = 0;
  await bench.merge(RANGE.startMs, RANGE.endMs);
  const ofOne = seen.filter(([operation, key]) => operation === 'get' && key.includes('/b/'));
  expect(sections.length).toBe(ofOne.length);
});
