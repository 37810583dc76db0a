import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { seededRandom } from '../../src/base/random.ts';
import type { BlobStore, CasOutcome } from '../../src/storage/blob-store/contract.ts';

/** A store under test. */
export interface Subject {
  readonly store: BlobStore;
  /** Closes the store and opens it again over the same data. */
  readonly reopen: () => Promise<BlobStore>;
  readonly close: () => Promise<void>;
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** `size` repeatable bytes in which every page differs. */
export function pattern(size: number, seed = 1): Uint8Array {
  const block = seededRandom(seed).bytes(4093);
  return Uint8Array.from({ length: size }, (_, i) => (block[i % 4093] as number) ^ (i >> 12));
}

/** Whether a read gave exactly `expected`: `toEqual` takes a second a megabyte. */
export function same(got: Uint8Array | null, expected: Uint8Array): boolean {
  return got !== null && Buffer.compare(got, expected) === 0;
}

/** The token of a compare-and-set that must have won. */
export function tokenOf(outcome: CasOutcome): string {
  if (outcome.outcome !== 'ok') throw new TypeError(`compare-and-set: ${outcome.outcome}`);
  return outcome.token;
}

async function keysOf(store: BlobStore, prefix: string, after?: string): Promise<string[]> {
  return (await store.list(prefix, after)).map((row) => row.key);
}

/** What every BlobStore must do, whatever it is made of. */
export function describeBlobStore(subjectName: string, open: () => Promise<Subject>): void {
  describe(`the BlobStore contract, kept by ${subjectName}`, () => {
    let subject: Subject;
    let store: BlobStore;

    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject.close());

    it('has nothing at first', async () => {
      expect(await store.get('raw/a/x')).toBeNull();
      expect(await store.size('raw/a/x')).toBeNull();
      expect(await store.list('')).toEqual([]);
      expect(await store.hasMarkers(['raw/a/u/1'])).toEqual([false]);
      expect(await store.readRoot('raw/a/r')).toBeNull();
      expect(await store.listRoots('')).toEqual([]);
      expect(await store.listVolumes('raw')).toEqual([]);
      await store.remove(['raw/a/x']);
      await store.remove([]);
      await store.dropVolume('raw/a');
      expect(await store.listVolumes('raw')).toEqual([]);
    });

    const PAGE = 64 * 1024;
    const SIZES = [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 4 * 1024 * 1024 + 5, 5_300_000];
    for (const size of SIZES) {
      it(`gives back a blob of ${size} bytes, after a reopening too`, async () => {
        const blob = pattern(size);
        await store.put('minutes/20260314/b/x', blob);
        for (let opened = 0; opened < 2; opened++) {
          expect(same(await store.get('minutes/20260314/b/x'), blob)).toBe(true);
          expect(await store.size('minutes/20260314/b/x')).toBe(size);
          store = await subject.reopen();
        }
      });
    }

    it('gives back any range, clamped to the blob', async () => {
      const blob = pattern(5 * PAGE + 17);
      await store.put('raw/a/x', blob);
      const size = blob.byteLength;
      const ends = [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE + 5, size - 1, size, size + 9];
      for (const start of ends) {
        for (const end of ends) {
          const got = await store.get('raw/a/x', { start, end });
          expect(same(got, blob.slice(start, Math.max(start, end)))).toBe(true);
        }
      }
    });

    it('hands out bytes that neither the giver nor the taker can change', async () => {
      const blob = pattern(100);
      await store.put('raw/a/x', blob);
      blob.fill(0);
      const first = await store.get('raw/a/x');
      expect(first).toEqual(pattern(100));
      first?.fill(7);
      expect(await store.get('raw/a/x')).toEqual(pattern(100));
      expect(first?.constructor).toBe(Uint8Array);
    });

    it('takes the same blob again', async () => {
      await store.put('raw/a/x', pattern(70_000), ['raw/a/u/1']);
      await store.put('raw/a/x', pattern(70_000), ['raw/a/u/1']);
      expect(await store.list('raw/a/')).toEqual([{ key: 'raw/a/x', size: 70_000 }]);
    });

    it('lists in byte order, from a prefix, after a key, over volumes', async () => {
      const keys = [
        'minutes/20260314/b/00/a',
        'minutes/20260314/b/00/a/b',
        'minutes/20260314/b/00/a0',
        'minutes/20260314/b/01/a',
        'raw/20260314-06/f/x',
        'raw/20260314-06/f/x-1',
        'raw/20260314/f/A',
        'raw/20260314/f/_',
        'raw/20260314/f/a',
      ];
      for (const key of keys.toReversed()) await store.put(key, bytes(1, 2));
      expect(await keysOf(store, '')).toEqual(keys);
      expect(await keysOf(store, 'raw/')).toEqual(keys.slice(4));
      expect(await keysOf(store, 'ra')).toEqual(keys.slice(4));
      expect(await keysOf(store, 'raw/20260314')).toEqual(keys.slice(4));
      expect(await keysOf(store, 'raw/20260314/')).toEqual(keys.slice(6));
      expect(await keysOf(store, 'minutes/20260314/b/00/')).toEqual(keys.slice(0, 3));
      expect(await keysOf(store, 'minutes/20260314/b/00/a')).toEqual(keys.slice(0, 3));
      expect(await keysOf(store, 'minutes/20260314/b/00/a/')).toEqual(keys.slice(1, 2));
      expect(await keysOf(store, '', 'minutes/20260314/b/00/a0')).toEqual(keys.slice(3));
      expect(await keysOf(store, 'raw/', 'raw/20260314-06/f/x')).toEqual(keys.slice(5));
      expect(await keysOf(store, 'raw/', 'a')).toEqual(keys.slice(4));
      expect(await keysOf(store, 'raw/', 'z')).toEqual([]);
      expect(await keysOf(store, 'hours/')).toEqual([]);
    });

    it('keeps blobs apart whose keys begin alike, also when one is removed', async () => {
      const keys = ['raw/a/x', 'raw/a/x/0000', 'raw/a/x/0000/0000', 'raw/a/x0'];
      for (const [i, key] of keys.entries()) await store.put(key, pattern(66_000, i + 1));
      await store.remove(['raw/a/x', 'raw/b/none']);
      expect(await store.get('raw/a/x')).toBeNull();
      for (const [i, key] of keys.slice(1).entries()) {
        expect(same(await store.get(key), pattern(66_000, i + 2))).toBe(true);
      }
      await store.put('raw/a/x', pattern(66_000));
      expect(same(await store.get('raw/a/x'), pattern(66_000))).toBe(true);
    });

    it('remembers markers beside the blob and never lists them', async () => {
      await store.put('raw/a/x', bytes(1), ['raw/a/u/1', 'raw/a/u/2']);
      const asked = ['raw/a/u/2', 'raw/a/u/3', 'raw/b/u/1', 'raw/a/u/1', 'raw/a/x'];
      expect(await store.hasMarkers(asked)).toEqual([true, false, false, true, false]);
      expect(await store.hasMarkers([])).toEqual([]);
      expect((await store.list('')).length).toBe(1);
      expect(await (await subject.reopen()).hasMarkers(['raw/a/u/1'])).toEqual([true]);
    });

    it('replaces a root only for who shows its present token', async () => {
      const name = 'minutes/20260314/r/16/00';
      expect(await store.casRoot(name, 'guess', bytes(9))).toEqual({ outcome: 'conflict' });
      expect(await store.listVolumes('minutes')).toEqual([]);
      const one = tokenOf(await store.casRoot(name, null, bytes(1)));
      expect(await store.casRoot(name, null, bytes(9))).toEqual({ outcome: 'conflict' });
      const two = tokenOf(await store.casRoot(name, one, bytes(2)));
      expect(await store.casRoot(name, one, bytes(9))).toEqual({ outcome: 'conflict' });
      // The old value again is another token: what was read before does not win by it.
      const three = tokenOf(await store.casRoot(name, two, bytes(1)));
      expect(await store.casRoot(name, one, bytes(9))).toEqual({ outcome: 'conflict' });
      expect(await store.readRoot(name)).toEqual({ token: three, bytes: bytes(1) });
      const again = await subject.reopen();
      expect(await again.readRoot(name)).toEqual({ token: three, bytes: bytes(1) });
      await again.casRoot('minutes/20260314/r/16/01', null, pattern(64 * 1024));
      await again.casRoot('minutes/20260315/r/16/00', null, new Uint8Array(0));
      expect(await again.listRoots('minutes/20260314/r/')).toEqual([
        name,
        'minutes/20260314/r/16/01',
      ]);
      expect((await again.listRoots('minutes/')).length).toBe(3);
      expect(await again.list('minutes/')).toEqual([]);
    });

    it('lets exactly one of many win a root', async () => {
      const name = 'minutes/a/r/1';
      for (let round = 0; round < 5; round++) {
        const token = (await store.readRoot(name))?.token ?? null;
        const tries = Array.from({ length: 8 }, (_, i) =>
          store.casRoot(name, token, bytes(round, i)),
        );
        const outcomes = await Promise.all(tries);
        expect(outcomes.filter(({ outcome }) => outcome === 'ok').length).toBe(1);
        const winner = outcomes.findIndex(({ outcome }) => outcome === 'ok');
        expect((await store.readRoot(name))?.bytes).toEqual(bytes(round, winner));
      }
    });

    it('takes many puts at once, into volumes that are not there yet', async () => {
      const keys = Array.from({ length: 200 }, (_, i) => `raw/v${i % 4}/f/${1000 + i}`);
      await Promise.all(keys.map((key, i) => store.put(key, pattern(500 + i, i + 1))));
      expect(await store.listVolumes('raw')).toEqual(['raw/v0', 'raw/v1', 'raw/v2', 'raw/v3']);
      expect((await store.list('raw/')).length).toBe(200);
      const got = await Promise.all(keys.map((key) => store.get(key)));
      for (const [i, blob] of got.entries()) expect(same(blob, pattern(500 + i, i + 1))).toBe(true);
    });

    it('sees in a list every put that resolved before it', async () => {
      const lists: Promise<void>[] = [];
      for (let i = 0; i < 20; i++) {
        await store.put(`raw/a/${100 + i}`, bytes(i));
        lists.push(store.list('raw/a/').then((rows) => expect(rows.length).toBeGreaterThan(i)));
      }
      await Promise.all(lists);
    });

    it('forgets a volume with all in it, and starts it anew', async () => {
      await store.put('raw/a/x', pattern(70_000), ['raw/a/u/1']);
      const token = tokenOf(await store.casRoot('raw/a/r', null, bytes(1)));
      await store.put('raw/b/x', bytes(1));
      await Promise.all([store.dropVolume('raw/a'), store.dropVolume('raw/a')]);
      expect(await store.listVolumes('raw')).toEqual(['raw/b']);
      expect(await store.get('raw/a/x')).toBeNull();
      expect(await store.hasMarkers(['raw/a/u/1'])).toEqual([false]);
      expect(await store.readRoot('raw/a/r')).toBeNull();
      expect((await store.list('')).map((row) => row.key)).toEqual(['raw/b/x']);
      await store.casRoot('raw/a/r', null, bytes(2));
      expect(await store.casRoot('raw/a/r', token, bytes(3))).toEqual({ outcome: 'conflict' });
      const again = await subject.reopen();
      expect(await again.get('raw/a/x')).toBeNull();
      expect((await again.readRoot('raw/a/r'))?.bytes).toEqual(bytes(2));
    });

    it('drops a volume under traffic without breaking an operation', async () => {
      const traffic = Array.from({ length: 60 }, async (_, i) => {
        if (i % 20 === 10) await store.dropVolume('raw/a');
        else if (i % 2 === 0) await store.put(`raw/a/${i}`, pattern(2_000, i + 1));
        else await store.get(`raw/a/${i - 1}`);
      });
      await Promise.all(traffic);
      for (const { key, size } of await store.list('raw/a/')) {
        expect((await store.get(key))?.byteLength).toBe(size);
      }
    });

    it('answers a probe', async () => {
      await expect(store.probe()).resolves.toBeUndefined();
      await expect(store.probe()).resolves.toBeUndefined();
    });

    it('refuses keys that could name another place', async () => {
      const names = ['', 'raw', 'raw/a', 'raw/a/', '/raw/a/x', 'raw//x', 'raw/../x', 'raw/a/x y'];
      names.push('raw/a/ä', 'raw/new-1/x', 'raw/trash-1/x', `raw/a/${'x'.repeat(507)}`);
      for (const key of names) {
        await expect(store.put(key, bytes(1))).rejects.toThrow(/key/);
        await expect(store.get(key)).rejects.toThrow(/key/);
        await expect(store.casRoot(key, null, bytes(1))).rejects.toThrow(/key/);
      }
      await expect(store.put('raw/a/x', bytes(1), ['raw/b/u'])).rejects.toThrow(/another volume/);
      await expect(store.dropVolume('../raw')).rejects.toThrow(/not a volume/);
      expect(await store.list('')).toEqual([]);
      await store.put(`raw/a/${'x'.repeat(506)}`, bytes(1));
    });

    it('does what a map would, in any order of operations', async () => {
      const key = fc.constantFrom(
        'raw/a/1',
        'raw/a/2',
        'raw/a-b/1',
        'minutes/a/1',
        'minutes/a/1/2',
      );
      const step = fc.oneof(
        { weight: 4, arbitrary: fc.record({ do: fc.constant('put' as const), key }) },
        { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), key }) },
        { weight: 2, arbitrary: fc.record({ do: fc.constant('cas' as const), key }) },
        { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), key }) },
        { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const), key }) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
          const blobs = new Map<string, Uint8Array>();
          const roots = new Map<string, Uint8Array>();
          for (const volume of ['raw/a', 'raw/a-b', 'minutes/a']) await store.dropVolume(volume);
          for (const [i, one] of steps.entries()) {
            const volume = one.key.split('/').slice(0, 2).join('/');
            if (one.do === 'put') {
              const blob = pattern(one.key.length * 10, one.key.length);
              await store.put(one.key, blob);
              blobs.set(one.key, blob);
            } else if (one.do === 'remove') {
              await store.remove([one.key]);
              blobs.delete(one.key);
            } else if (one.do === 'cas') {
              const token = (await store.readRoot(one.key))?.token ?? null;
              tokenOf(await store.casRoot(one.key, token, bytes(i)));
              roots.set(one.key, bytes(i));
            } else if (one.do === 'drop') {
              await store.dropVolume(volume);
              for (const map of [blobs, roots]) {
                for (const name of map.keys()) if (name.startsWith(`${volume}/`)) map.delete(name);
              }
            } else {
              store = await subject.reopen();
            }
          }
          expect((await store.list('')).map((row) => row.key)).toEqual([...blobs.keys()].sort());
          expect(await store.listRoots('')).toEqual([...roots.keys()].sort());
          for (const [name, blob] of blobs) expect(await store.get(name)).toEqual(blob);
          for (const [name, root] of roots) {
            expect((await store.readRoot(name))?.bytes).toEqual(root);
          }
        }),
        { numRuns: 12 },
      );
    });
  });
}
