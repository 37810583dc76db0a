import { expect, it } from '@jest/globals';
import { ByteWriter } from '../../../src/base/bytes.ts';
import {
  headerKey,
  keyedCrc,
  PAGE_BYTES,
  pageKey,
} from '../../../src/storage/blob-store/level/pages.ts';
import { pattern, same } from '../../contract/blob-store.ts';
import { openStore, temporaryDirectory, withRawLevel } from './open-level.ts';

const KEY = 'raw/a/x';
const BLOB = pattern(PAGE_BYTES + 10);

it('a blob of format 1 is read, listed and removed', async () => {
  const path = await temporaryDirectory();
  const made = await openStore(path);
  await made.put('raw/a/y', BLOB);
  await made.close();
  const pages = [BLOB.subarray(0, PAGE_BYTES), BLOB.subarray(PAGE_BYTES)];
  await withRawLevel(path, 'raw/a', async (level) => {
    const header = new ByteWriter().u8(1).varint(BLOB.byteLength).varint(PAGE_BYTES).varint(2);
    for (const [i, page] of pages.entries()) {
      header.u32(keyedCrc(pageKey(KEY, i, 'p'), page));
      await level.put(pageKey(KEY, i, 'p'), page);
    }
    header.u32(keyedCrc(headerKey(KEY), header.view()));
    await level.put(headerKey(KEY), header.finish(), { sync: true });
  });

  const store = await openStore(path);
  expect(same(await store.get(KEY), BLOB)).toBe(true);
  expect(same(await store.get('raw/a/y'), BLOB)).toBe(true);
  expect(await store.list('raw/a/')).toMatchObject([{ key: KEY }, { key: 'raw/a/y' }]);
  await store.remove([KEY]);
  expect(await store.get(KEY)).toBeNull();
  await store.close();
  await withRawLevel(path, 'raw/a', async (level) => {
    const keys = pages.map((_, i) => pageKey(KEY, i, 'p'));
    expect(await level.getMany(keys)).toEqual([undefined, undefined]);
  });
});
