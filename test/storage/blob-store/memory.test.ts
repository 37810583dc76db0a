import { describe, expect, it } from '@jest/globals';
import { MemoryBlobStore, type Fault } from '../../../src/storage/blob-store/memory.ts';

const one = Uint8Array.of(1);

describe('faults of the store in memory', () => {
  it('fail a put before or after it was stored, and a read by damage', async () => {
    let fault: Fault = 'fail_before';
    const store = new MemoryBlobStore({ faults: () => fault });
    await expect(store.put('raw/a/1', one)).rejects.toThrow(/write_unknown/);
    fault = 'fail_after';
    await expect(store.put('raw/a/2', one)).rejects.toThrow(/write_unknown/);
    await expect(store.get('raw/a/2')).rejects.toThrow(/overloaded/);
    fault = 'corrupt';
    await expect(store.get('raw/a/2')).rejects.toThrow(/corrupt_block/);
    fault = 'ok';
    expect((await store.list('')).map((row) => row.key)).toEqual(['raw/a/2']);
  });

  it('leave the outcome of a compare-and-set unknown', async () => {
    let fault: Fault = 'fail_before';
    const store = new MemoryBlobStore({ faults: (op) => (op === 'casRoot' ? fault : 'ok') });
    expect(await store.casRoot('raw/a/r', null, one)).toEqual({ outcome: 'unknown' });
    expect(await store.readRoot('raw/a/r')).toBeNull();
    fault = 'fail_after';
    expect(await store.casRoot('raw/a/r', null, one)).toEqual({ outcome: 'unknown' });
    expect((await store.readRoot('raw/a/r'))?.bytes).toEqual(one);
  });

  it('delay an operation until it is let go', async () => {
    let release = (): void => {};
    const delay = new Promise<void>((resolve) => {
      release = resolve;
    });
    const faults = (_: string, key: string): Fault => (key === 'raw/a/1' ? { delay } : 'ok');
    const store = new MemoryBlobStore({ faults });
    const late = store.put('raw/a/1', one);
    await store.put('raw/a/2', one);
    expect((await store.list('raw/')).map((row) => row.key)).toEqual(['raw/a/2']);
    release();
    await late;
    expect((await store.list('raw/')).length).toBe(2);
  });

  it('let a scheduler choose the order in which operations take effect', async () => {
    const turns: { key: string; go: () => void }[] = [];
    const scheduler = (_: string, key: string): Promise<void> =>
      new Promise((resolve) => {
        turns.push({ key, go: resolve });
      });
    const store = new MemoryBlobStore({ scheduler });
    const done: string[] = [];
    const puts = ['raw/a/1', 'raw/a/2', 'raw/a/3'].map(async (key) => {
      await store.put(key, one);
      done.push(key);
    });
    await new Promise(setImmediate);
    expect(turns.map(({ key }) => key)).toEqual(['raw/a/1', 'raw/a/2', 'raw/a/3']);
    for (const i of [2, 0, 1]) {
      turns[i]?.go();
      await new Promise(setImmediate);
    }
    await Promise.all(puts);
    expect(done).toEqual(['raw/a/3', 'raw/a/1', 'raw/a/2']);
  });

  it('refuse a key that is put again with other bytes: that is a bug of the caller', async () => {
    const store = new MemoryBlobStore();
    await store.put('raw/a/1', one);
    await expect(store.put('raw/a/1', Uint8Array.of(2))).rejects.toThrow(/with other bytes/);
  });
});

describe('a crash of the store in memory', () => {
  it('keeps what was durable, and of what was under way as much as chance wants', async () => {
    const hang = new Promise<void>(() => {});
    const store = new MemoryBlobStore({
      scheduler: (_, key) => (key.includes('late') ? hang : Promise.resolve()),
    });
    await store.put('raw/a/1', one, ['raw/a/u/1']);
    const settled: string[] = [];
    for (const key of ['raw/a/late1', 'raw/a/late2']) {
      void store.put(key, one).finally(() => settled.push(key));
    }
    void store.casRoot('raw/a/r-late', null, one).finally(() => settled.push('cas'));
    await new Promise(setImmediate);
    const before = store.snapshot();
    const state = store.crash((_, key) => key !== 'raw/a/late1');
    void store.get('raw/a/1').finally(() => settled.push('get'));
    const after = new MemoryBlobStore({ state });
    expect((await after.list('')).map((row) => row.key)).toEqual(['raw/a/1', 'raw/a/late2']);
    expect(await after.hasMarkers(['raw/a/u/1'])).toEqual([true]);
    expect((await after.readRoot('raw/a/r-late'))?.bytes).toEqual(one);
    after.restore(before);
    expect((await after.list('')).map((row) => row.key)).toEqual(['raw/a/1']);
    expect(await after.readRoot('raw/a/r-late')).toBeNull();
    await new Promise(setImmediate);
    expect(settled).toEqual([]);
  });

  it('does not change a snapshot by what comes after it, and never gives a token twice', async () => {
    const store = new MemoryBlobStore();
    const first = await store.casRoot('raw/a/r', null, one);
    const before = store.snapshot();
    await store.put('raw/a/1', one);
    await store.dropVolume('raw/a');
    store.restore(before);
    expect((await store.readRoot('raw/a/r'))?.token).toBe('token' in first ? first.token : '');
    expect(await store.get('raw/a/1')).toBeNull();
    await store.dropVolume('raw/a');
    const second = await store.casRoot('raw/a/r', null, one);
    expect(second).not.toEqual(first);
  });
});
