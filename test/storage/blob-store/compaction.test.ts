/** The space of what was removed from a volume: given back by writing its tables anew. */
import { stat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { systemFileSystem } from '../../../src/base/file-system.ts';
import { dayName } from '../../../src/base/time.ts';
import type {
  LevelBlobStore,
  LevelBlobStoreOptions,
} from '../../../src/storage/blob-store/level/blob-store.ts';
import { openLevel, type LevelHandle } from '../../../src/storage/blob-store/level/handle.ts';
import { pattern, same } from '../../contract/blob-store.ts';
import { openStore, temporaryDirectory } from './open-level.ts';

const MIB = 1024 * 1024;
const DAY = `minutes/${dayName(Date.now())}`;
const BLOBS = 5;
const KEPT = 1;

const keyOf = (i: number): string => `${DAY}/b/00/${((i * 7919) % 997).toString(16)}`;

async function tables(path: string, volume: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(join(path, 'volumes', volume))) {
    if (name.endsWith('.ldb')) bytes += (await stat(join(path, 'volumes', volume, name))).size;
  }
  return bytes;
}

/**
 * A volume of five blobs of 1 MiB of which one remains; `removedBefore`: by another process. What is
 * put lies in tables at once only when a volume is opened again.
 */
async function openFilled(
  path: string,
  options: Partial<LevelBlobStoreOptions> = {},
  removedBefore = false,
): Promise<LevelBlobStore> {
  const first = await openStore(path);
  for (let i = 0; i < BLOBS; i++) await first.put(keyOf(i), pattern(MIB, i));
  if (removedBefore) await removeMost(first);
  await first.close();
  const store = await openStore(path, options);
  if (!removedBefore) await removeMost(store);
  return store;
}

async function removeMost(store: LevelBlobStore): Promise<void> {
  for (let i = KEPT; i < BLOBS; i++) await store.remove([keyOf(i)]);
}

async function expectKept(store: LevelBlobStore): Promise<void> {
  expect(await store.list(`${DAY}/`)).toHaveLength(KEPT);
  for (let i = 0; i < KEPT; i++) {
    expect(same(await store.get(keyOf(i)), pattern(MIB, i))).toBe(true);
  }
}

/** A count of what is written anew, and a store whose LevelDB tells of it. */
function watched(): { ranges: string[]; open: typeof openLevel } {
  const ranges: string[] = [];
  const open: typeof openLevel = async (path, options) => {
    const level = await openLevel(path, options);
    const compactRange = level.compactRange.bind(level);
    const watching: Partial<LevelHandle> = {
      compactRange: async (start, end) => {
        ranges.push(`${start} ${end}`);
        await compactRange(start, end);
      },
    };
    return Object.assign(level, watching);
  };
  return { ranges, open };
}

describe('a volume of which much was removed', () => {
  test.each([false, true])(
    'is written anew and serves the same; by another process: %s',
    async (before) => {
      const path = await temporaryDirectory();
      const store = await openFilled(path, {}, before);
      await expectKept(store);
      await store.tidy();
      expect(store.stats().compactions).toBe(1);
      expect(await tables(path, DAY)).toBeLessThan(KEPT * MIB * 1.1);
      await expectKept(store);
      // Nothing was removed since: nothing to do.
      await store.tidy();
      expect(store.stats().compactions).toBe(1);
    },
  );

  test('is looked at again when more was removed', async () => {
    const path = await temporaryDirectory();
    const store = await openFilled(path);
    await store.tidy();
    await store.put(keyOf(100), pattern(3 * MIB));
    await store.remove([keyOf(100)]);
    await store.tidy();
    expect(store.stats().compactions).toBe(2);
  });

  test('is left alone where it is a small part, or a raw volume', async () => {
    const store = await openStore(await temporaryDirectory());
    for (let i = 0; i < 9; i++) await store.put(keyOf(i), pattern(MIB, i));
    await store.put('raw/old/x', pattern(3 * MIB));
    await store.remove(['raw/old/x']);
    await store.remove([keyOf(0)]);
    await store.tidy();
    expect(store.stats().compactions).toBe(0);
  });

  test('waits for space on the disk', async () => {
    let freeBytes = 64 * MIB;
    const fs = { ...systemFileSystem, freeBytes: () => Promise.resolve(freeBytes) };
    const store = await openFilled(await temporaryDirectory(), { fs });
    await store.tidy();
    expect(store.stats().compactions).toBe(0);
    freeBytes = 1024 * MIB;
    await store.tidy();
    expect(store.stats().compactions).toBe(1);
  });

  test('waits while the write buffer of a hot volume is about to fill', async () => {
    const store = await openFilled(await temporaryDirectory());
    // Of yesterday, hot too: 3 of 4 MiB, all of it since the last check.
    const other = `minutes/${dayName(Date.now() - 86_400_000)}`;
    await store.put(`${other}/x`, pattern(3 * MIB));
    await store.tidy();
    expect(store.stats().compactions).toBe(0);
    await store.tidy();
    expect(store.stats().compactions).toBe(1);
  });

  test('that cannot be written anew is not tried again, and goes on serving', async () => {
    const { ranges, open } = watched();
    const store = await openFilled(await temporaryDirectory(), {
      openHandle: async (...args) =>
        Object.assign(await open(...args), {
          compactRange: (start: string, end: string) => {
            ranges.push(`${start} ${end}`);
            return Promise.reject(new Error('IO error: no'));
          },
        }),
    });
    await store.tidy();
    await store.tidy();
    expect(ranges).toHaveLength(1);
    await expectKept(store);
    await store.put(keyOf(BLOBS), pattern(5));
  });

  test('ends between two ranges when the store is closed', async () => {
    const { ranges, open } = watched();
    const store = await openFilled(await temporaryDirectory(), { openHandle: open });
    const tidying = store.tidy();
    await store.close();
    await tidying;
    expect(ranges.length).toBeLessThanOrEqual(1);
  });
});
