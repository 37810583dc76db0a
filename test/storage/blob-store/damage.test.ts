import { mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { LIMITS } from '../../../src/base/limits.ts';
import { headerKey, PAGE_BYTES, pageKey } from '../../../src/storage/blob-store/level/pages.ts';
import type { LevelBlobStore } from '../../../src/storage/blob-store/level/blob-store.ts';
import { rootCopyKey, rootKey } from '../../../src/storage/blob-store/level/root-record.ts';
import { pattern, same } from '../../contract/blob-store.ts';
import { digestOf, openStore, temporaryDirectory, withRawLevel } from './open-level.ts';

const BLOB = pattern(3 * PAGE_BYTES + 10);

/** A store with two blobs and a root in `raw/a` and one blob in `raw/b`, closed again. */
async function closedStore(): Promise<string> {
  const path = await temporaryDirectory();
  const store = await openStore(path);
  await store.put('raw/a/x', BLOB);
  await store.put('raw/a/y', BLOB);
  await store.casRoot('raw/a/r', null, pattern(100));
  await store.put('raw/b/x', BLOB);
  await store.close();
  return path;
}

async function changeValue(
  path: string,
  key: string,
  change: (value: Uint8Array) => Uint8Array,
): Promise<void> {
  await withRawLevel(path, 'raw/a', async (level) => {
    const value = await level.get(key);
    await level.put(key, change(value), { sync: true });
  });
}

/** A damaged header is an error; a damaged root is answered by its copy, and told. */
async function expectTold(store: LevelBlobStore, key: string): Promise<void> {
  if (key.startsWith('h')) {
    await expect(store.get('raw/a/x')).rejects.toThrow(/corrupt_block/);
    return;
  }
  expect(await store.readRoot('raw/a/r')).not.toBeNull();
  expect(store.stats().degradedRoots).toEqual(['raw/a/r']);
}

describe('damage in a volume', () => {
  it('of one bit of a page is told for reads of that page alone', async () => {
    const path = await closedStore();
    await changeValue(path, pageKey('raw/a/x', 1), (page) => {
      page[77] = (page[77] as number) ^ 4;
      return page;
    });
    const store = await openStore(path);
    await expect(store.get('raw/a/x')).rejects.toThrow(/corrupt_block: raw\/a\/x: page 1/);
    const range = { start: PAGE_BYTES - 1, end: PAGE_BYTES + 1 };
    await expect(store.get('raw/a/x', range)).rejects.toThrow(/corrupt_block/);
    const tail = { start: 2 * PAGE_BYTES, end: BLOB.byteLength };
    expect(same(await store.get('raw/a/x', tail), BLOB.subarray(tail.start))).toBe(true);
    expect(same(await store.get('raw/a/y'), BLOB)).toBe(true);
    expect(await store.size('raw/a/x')).toBe(BLOB.byteLength);
  });

  it('such as right bytes in the place of others is told', async () => {
    const path = await closedStore();
    const other = pattern(PAGE_BYTES, 5);
    await changeValue(path, pageKey('raw/a/x', 0), () => other);
    await withRawLevel(path, 'raw/a', async (level) => {
      await level.put(headerKey('raw/a/z'), await level.get(headerKey('raw/a/y')));
    });
    const store = await openStore(path);
    await expect(store.get('raw/a/x')).rejects.toThrow(/corrupt_block/);
    await expect(store.get('raw/a/z')).rejects.toThrow(/corrupt_block: header of raw\/a\/z/);
  });

  it('such as a missing, shorter or longer page is told', async () => {
    const path = await closedStore();
    await withRawLevel(path, 'raw/a', (level) => level.del(pageKey('raw/a/x', 2)));
    await changeValue(path, pageKey('raw/a/y', 3), (page) => page.subarray(1));
    const store = await openStore(path);
    await expect(store.get('raw/a/x')).rejects.toThrow(
      /corrupt_block: raw\/a\/x: page 2 is missing/,
    );
    await expect(store.get('raw/a/y')).rejects.toThrow(/page 3: expected 10 bytes/);
  });

  it('of any byte or length of a header or a root is told, and hides no other', async () => {
    for (const key of [headerKey('raw/a/x'), rootKey('raw/a/r')]) {
      const path = await closedStore();
      let whole = new Uint8Array(0);
      await withRawLevel(path, 'raw/a', async (level) => {
        whole = (await level.get(key)).slice();
      });
      const size = whole.byteLength;
      for (const at of [0, 1, 5, size - 5, size - 1]) {
        const flip = (value: Uint8Array): Uint8Array => {
          value[at] = (value[at] as number) ^ 0x10;
          return value;
        };
        await changeValue(path, key, flip);
        const store = await openStore(path);
        await expectTold(store, key);
        expect((await store.list('raw/a/')).map((row) => row.key)).toEqual(['raw/a/x', 'raw/a/y']);
        await store.close();
        await changeValue(path, key, flip);
      }
      for (let cut = 0; cut < size; cut += 7) {
        await changeValue(path, key, () => whole.subarray(0, cut));
        const store = await openStore(path);
        await expectTold(store, key);
        await store.close();
      }
    }
  });

  it('of both copies of a root is told', async () => {
    const path = await closedStore();
    for (const key of [rootKey('raw/a/r'), rootCopyKey('raw/a/r')]) {
      await changeValue(path, key, (value) => value.fill(9, 0, 3));
    }
    const store = await openStore(path);
    await expect(store.readRoot('raw/a/r')).rejects.toThrow(/corrupt_block: root raw\/a\/r/);
    expect(await store.listRoots('raw/a/')).toEqual(['raw/a/r']);
  });

  it('of one copy of a root is healed by the next swap, whichever it is', async () => {
    for (const key of [rootKey('raw/a/r'), rootCopyKey('raw/a/r')]) {
      const path = await closedStore();
      await withRawLevel(path, 'raw/a', (level) => level.del(key));
      const store = await openStore(path);
      const root = await store.readRoot('raw/a/r');
      expect(store.stats().degradedRoots).toEqual(['raw/a/r']);
      await store.casRoot('raw/a/r', root?.token ?? null, pattern(3));
      expect(store.stats().degradedRoots).toEqual([]);
      await store.close();
    }
  });

  it('such as a cut or missing table is told before LevelDB maps it', async () => {
    for (const change of ['cut', 'gone'] as const) {
      const path = await closedStore();
      // Opening turns the log into a table.
      const before = await openStore(path);
      await before.get('raw/a/x');
      await before.close();
      const folder = join(path, 'volumes/raw/a');
      const table = (await readdir(folder)).find((name) => name.endsWith('.ldb')) ?? '';
      if (change === 'cut') await truncate(join(folder, table), 5_000);
      else await rm(join(folder, table));
      const store = await openStore(path);
      await expect(store.get('raw/a/x')).rejects.toThrow(
        change === 'cut'
          ? /volume_quarantined.*has 5000 bytes/
          : /volume_quarantined.*missing files/,
      );
      await store.close();
    }
  });

  it('of a lost header makes the blob absent, and it can be put or removed again', async () => {
    const path = await closedStore();
    await withRawLevel(path, 'raw/a', (level) => level.del(headerKey('raw/a/x')));
    const store = await openStore(path);
    expect(await store.get('raw/a/x')).toBeNull();
    expect((await store.list('raw/a/')).map((row) => row.key)).toEqual(['raw/a/y']);
    await store.remove(['raw/a/x']);
    await store.close();
    await withRawLevel(path, 'raw/a', async (level) => {
      expect(await level.getMany([pageKey('raw/a/x', 0)])).toEqual([undefined]);
    });
    const again = await openStore(path);
    await again.put('raw/a/x', BLOB);
    expect(same(await again.get('raw/a/x'), BLOB)).toBe(true);
  });

  it.each([
    ['a CURRENT of garbage', (dir: string) => writeFile(join(dir, 'CURRENT'), 'MANIFEST-99\n')],
    ['an empty CURRENT', (dir: string) => writeFile(join(dir, 'CURRENT'), '')],
    ['no CURRENT', (dir: string) => rm(join(dir, 'CURRENT'))],
    ['no marker', (dir: string) => rm(join(dir, 'volume.json'))],
    ['an empty marker', (dir: string) => writeFile(join(dir, 'volume.json'), '')],
  ])('such as %s sets that volume aside while the others serve', async (_name, harm) => {
    const path = await closedStore();
    const directory = join(path, 'volumes/raw/a');
    await harm(directory);
    const files = (await readdir(directory)).filter((name) => !name.startsWith('LOG'));
    const store = await openStore(path);
    await expect(store.get('raw/a/x')).rejects.toThrow(/volume_quarantined: raw\/a is set aside/);
    await expect(store.put('raw/a/n', BLOB)).rejects.toThrow(/volume_quarantined/);
    await expect(store.casRoot('raw/a/r', null, pattern(9))).rejects.toThrow(/volume_quarantined/);
    await expect(store.list('raw/')).rejects.toThrow(/volume_quarantined/);
    expect(await store.listVolumes('raw')).toEqual(['raw/a', 'raw/b']);
    expect(store.stats().quarantined).toMatchObject([{ name: 'raw/a' }]);
    expect(same(await store.get('raw/b/x'), BLOB)).toBe(true);
    await store.put('raw/b/n', BLOB);
    const left = (await readdir(directory)).filter((name) => !name.startsWith('LOG'));
    expect(left.filter((name) => name !== 'LOCK')).toEqual(files.filter((name) => name !== 'LOCK'));
    await store.dropVolume('raw/a');
    expect(await store.listVolumes('raw')).toEqual(['raw/b']);
    await store.put('raw/a/x', BLOB);
    expect(store.stats().quarantined).toEqual([]);
  });

  it('sets aside a volume that another store made', async () => {
    const path = await closedStore();
    const store = await openStore(path, { storeId: 'cd'.repeat(16) });
    await expect(store.get('raw/a/x')).rejects.toThrow(/volume_quarantined.*of another store/);
  });

  it('is not assumed of a newer format, which is refused untouched', async () => {
    const path = await closedStore();
    const marker = join(path, 'volumes/raw/a/volume.json');
    const text = await readFile(marker, 'utf8');
    await writeFile(marker, text.replace('"format":1', '"format":2'));
    const before = await digestOf(join(path, 'volumes/raw/a'));
    const store = await openStore(path);
    await expect(store.get('raw/a/x')).rejects.toThrow(/unknown_format_version.*found 2/);
    await expect(store.put('raw/a/n', BLOB)).rejects.toThrow(/unknown_format_version/);
    expect(same(await store.get('raw/b/x'), BLOB)).toBe(true);
    await store.close();
    expect(await digestOf(join(path, 'volumes/raw/a'))).toBe(before);
  });

  it('that a crash left while building or dropping is cleared, foreign files are not', async () => {
    const path = await closedStore();
    const folder = join(path, 'volumes/raw');
    await mkdir(join(folder, 'new-0123'));
    await mkdir(join(folder, 'trash-0123'));
    await writeFile(join(folder, 'trash-0123', 'x'), 'x');
    await writeFile(join(folder, 'README'), 'mine');
    const store = await openStore(path);
    expect((await readdir(folder)).sort()).toEqual(['README', 'a', 'b']);
    expect(await store.listVolumes('raw')).toEqual(['raw/a', 'raw/b']);
    await store.close();
    await symlink(join(folder, 'a'), join(folder, 'c'));
    await expect(openStore(path)).rejects.toThrow(/data_dir_unusable.*symbolic link/);
  });

  it('cannot come from a page of the largest blob that sorts in the wrong place', () => {
    const last = LIMITS.blobBytesMax / PAGE_BYTES - 1;
    expect(pageKey('raw/a/x', last) > pageKey('raw/a/x', last - 1)).toBe(true);
    expect(pageKey('raw/a/x', last).length).toBe(pageKey('raw/a/x', 0).length);
  });
});
