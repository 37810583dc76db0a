import { describe, expect, test } from '@jest/globals';
import { sleep, systemTimers } from '../../src/base/clock.ts';
import { TephraError } from '../../src/base/errors.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/base/time.ts';
import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';
import { decodeRoot } from '../../src/storage/root/decode.ts';
import type { PartitionRoot } from '../../src/storage/root/encode.ts';
import { Bench, DAY } from './fixture.ts';

async function roots(bench: Bench): Promise<PartitionRoot[]> {
  const found: PartitionRoot[] = [];
  for (const name of await bench.store.listRoots('minutes/')) {
    const root = await bench.store.readRoot(name);
    if (root !== null) found.push(decodeRoot(root.bytes));
  }
  return found;
}

describe('absorb and roll', () => {
  test('an hour that closed is absorbed, rolled into one block, and its old blocks removed after the grace', async () => {
    const bench = await new Bench({ absorbFragments: 2 }).open();
    for (let i = 0; i < 20; i++) {
      expect(await bench.push(`leaf${i}`, DAY + i * MINUTE_MS)).toBe('stored');
      await bench.at(DAY + i * MINUTE_MS + MINUTE_MS);
    }
    expect((await bench.merge()).ticks).toBe(20n);
    const [before] = await roots(bench);
    expect(before?.blocks.length).toBeGreaterThan(1);
    expect(before?.blocks.length).toBeLessThan(10);
    expect(before?.blocks.every(({ rolled }) => !rolled)).toBe(true);

    await bench.at(DAY + HOUR_MS + 3 * MINUTE_MS);
    const [rolled] = await roots(bench);
    expect(rolled?.blocks.map(({ hours, rolled: is }) => [hours, is])).toEqual([[[0], true]]);
    expect(rolled?.rolledBy[0]).toBe(1);
    expect(rolled?.segments).toHaveLength(1);
    const withTrash = (await bench.keys('minutes/')).length;
    expect(withTrash).toBeGreaterThan(2);
    expect((await bench.merge()).ticks).toBe(20n);

    await bench.at(DAY + HOUR_MS + 19 * MINUTE_MS);
    // A block, a segment and its outline.
    expect(await bench.keys('minutes/')).toHaveLength(3);
    expect((await roots(bench))[0]?.trash).toEqual([]);
    expect((await bench.merge()).ticks).toBe(20n);
  });

  test('late data of a rolled hour gets a block of its own and counts once', async () => {
    const bench = await new Bench().open();
    await bench.push('early', DAY);
    await bench.at(DAY + HOUR_MS + 3 * MINUTE_MS);
    await bench.push('late', DAY + 1_000);
    expect((await bench.merge()).ticks).toBe(2n);
    await bench.at(DAY + HOUR_MS + 4 * MINUTE_MS);
    await bench.at(DAY + HOUR_MS + 30 * MINUTE_MS);
    const [root] = await roots(bench);
    expect(root?.rolledBy[0]).toBe(2);
    expect(root?.blocks.filter(({ rolled }) => rolled)).toHaveLength(2);
    const { ticks, names } = await bench.merge();
    expect(ticks).toBe(2n);
    expect(names).toEqual(expect.arrayContaining(['early', 'late']));
  });

  test('blobs that no root names are swept after a restart', async () => {
    const bench = await new Bench().open();
    await bench.push('a', DAY);
    await bench.at(DAY + HOUR_MS + 3 * MINUTE_MS);
    const [block] = await bench.keys('minutes/20260314/b/');
    const orphan = `${block?.slice(0, -16)}00000000deadbeef`;
    await bench.store.put(orphan, Uint8Array.of(1));
    await bench.engine.stop();
    await bench.open();
    await bench.at(DAY + 2 * HOUR_MS);
    const left = await bench.keys('minutes/20260314/b/');
    expect(left).toHaveLength(1);
    expect(left).not.toContain(orphan);
    expect((await bench.merge()).ticks).toBe(1n);
  });

  test('dictionaries beyond the budget are forgotten and loaded again', async () => {
    const bench = await new Bench({ dictionaryBytes: 1 }).open();
    for (let i = 0; i < 6; i++) {
      await bench.push(`leaf${i}`, DAY + i * MINUTE_MS, 1n, `service${i % 3}`);
      await bench.at(DAY + HOUR_MS + 3 * MINUTE_MS + i * 11 * MINUTE_MS);
      expect((await bench.merge()).ticks).toBe(BigInt(i + 1));
    }
    expect(bench.counters['dictionaries_evicted']).toBeGreaterThan(3);
  });
});

describe('retention', () => {
  test('raw volumes go a day after their arrival, minutes after theirs, and nothing before', async () => {
    const bench = await new Bench().open();
    await bench.push('a', DAY + 1_000);
    await bench.push('b', DAY + 2_000);
    await bench.at(DAY + HOUR_MS + 3 * MINUTE_MS);
    // A range that cuts the minute is exact from the raw tier ...
    expect(await bench.merge(DAY, DAY + 1_500)).toMatchObject({ ticks: 1n, wholeMinutes: 0 });
    await bench.at(DAY + DAY_MS + 6 * HOUR_MS - 1);
    expect(await bench.store.listVolumes('raw')).toHaveLength(1);
    await bench.at(DAY + DAY_MS + 6 * HOUR_MS + 20 * MINUTE_MS);
    expect(await bench.store.listVolumes('raw')).toEqual([]);
    // ... and whole when that is gone, which the answer says. (A new engine has no fragment cached.)
    await bench.engine.stop();
    await bench.open();
    expect(await bench.merge(DAY, DAY + 1_500)).toMatchObject({ ticks: 2n, wholeMinutes: 1 });
    expect(await bench.merge(DAY + 1_500, DAY + 3_000)).toMatchObject({
      ticks: 0n,
      wholeMinutes: 1,
    });
    expect((await bench.merge()).ticks).toBe(2n);

    await bench.at(DAY + 33 * DAY_MS - 1);
    expect(await bench.store.listVolumes('minutes')).toHaveLength(1);
    await bench.at(DAY + 33 * DAY_MS + 20 * MINUTE_MS);
    expect(await bench.store.listVolumes('minutes')).toEqual([]);
    expect((await bench.merge()).ticks).toBe(0n);
    expect(bench.counters['volumes_dropped']).toBe(1);
    expect(await bench.push('old', DAY + 3_000)).toBe('not_in_ingestion_window');
  });

  test('a raw volume stays while something of it is not absorbed', async () => {
    const bench = await new Bench({ hourCloseDelayMs: 100 * DAY_MS }).open();
    await bench.push('a', DAY + 1_000);
    await bench.at(DAY + 3 * DAY_MS);
    expect(await bench.store.listVolumes('raw')).toHaveLength(1);
    await bench.engine.stop();
    await bench.open();
    expect((await bench.merge()).ticks).toBe(1n);
  });

  test('a raw volume stays while a push is on its way into it, however long the process slept', async () => {
    const bench = new Bench();
    let wake = (): void => {};
    const asleep = new Promise<void>((resolve) => {
      wake = resolve;
    });
    /** Stores at once and answers late. */
    class SleepyStore extends MemoryBlobStore {
      override async put(...args: Parameters<MemoryBlobStore['put']>): Promise<void> {
        await super.put(...args);
        if (args[0].startsWith('raw/')) await asleep;
      }
    }
    bench.store = new SleepyStore();
    await bench.open();
    const pushed = bench.push('a', DAY + 1_000);
    await sleep(systemTimers, 20);
    await bench.at(DAY + 3 * DAY_MS);
    wake();
    expect(await pushed).toBe('stored');
    await bench.engine.stop();
    await bench.open();
    expect((await bench.merge()).ticks).toBe(1n);
  });

  test('on a full disk the rest of the jobs goes on, and what is past its retention makes room', async () => {
    const bench = await new Bench().open();
    await bench.push('a', DAY + 1_000);
    await bench.at(DAY + 90 * MINUTE_MS);
    expect(await bench.store.listVolumes('raw')).toEqual(['raw/20260314-00']);
    // Two days later something waits for the minutes tier, which takes no byte.
    bench.nowMs = DAY + 3 * DAY_MS;
    await bench.push('b', DAY + 3 * DAY_MS - 1_000);
    const full = (): Promise<never> => Promise.reject(new TephraError('storage_full', 'no room'));
    const put = bench.store.put.bind(bench.store);
    bench.store.put = (key, ...rest) => (key.startsWith('minutes/') ? full() : put(key, ...rest));
    await expect(bench.at(DAY + 3 * DAY_MS + 90 * MINUTE_MS)).rejects.toThrow('no room');
    expect(await bench.store.listVolumes('raw')).toEqual(['raw/20260317-00']);
    bench.store.put = put;
    await bench.at(DAY + 3 * DAY_MS + 120 * MINUTE_MS);
    expect((await bench.merge()).ticks).toBe(2n);
    await bench.engine.stop();
  });
});
