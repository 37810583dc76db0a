/** A roll joins segments of which a process has read the first ones only. */
import { expect, test } from '@jest/globals';
import { HOUR_MS } from '../../src/base/time.ts';
import { Bench, DAY, TYPE } from './fixture.ts';

test('rows that are known in part are read again when their segments were joined', async () => {
  // Without memory of roots: it holds for the one owner of a shard, and here two engines are.
  const bench = await new Bench({ absorbFragments: 1, rootCacheBytes: 0 }).open();
  await bench.push('leaf0', DAY);
  await bench.at(DAY + 120_000);
  const early = bench.engine;
  expect((await bench.merge()).ticks).toBe(1n);
  // More rows than the early one knows: as after a swap whose landing it could not see.
  await bench.open();
  for (let i = 1; i < 7; i++) {
    await bench.push(`leaf${i}`, DAY + i);
    await bench.at(DAY + 120_000 + i);
  }
  expect(await bench.keys(`minutes/20260314/s/`)).toHaveLength(7);
  await bench.at(DAY + HOUR_MS + 180_000);
  const { notes } = await early.flameGraph({
    tenant: 'anonymous',
    profileType: TYPE,
    selector: '{}',
    startMs: DAY,
    endMs: DAY + HOUR_MS,
  });
  expect([notes.lost, notes.total]).toEqual([[], 70_000_000n]);
});
