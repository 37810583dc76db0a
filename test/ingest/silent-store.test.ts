/** A store that does not tell whether a failed put landed: it rejects, or never answers. */
import { describe, expect, test } from '@jest/globals';
import { sleep, systemTimers } from '../../src/base/clock.ts';
import { MemoryBlobStore, type StoreOperation } from '../../src/storage/blob-store/memory.ts';
import { Bench, DAY } from '../jobs/fixture.ts';

const WAITS = { doubtWaitMs: 50, stopWaitMs: 200 };

/** After `fail` the next put of a fragment fails, and nothing tells of it until `tell` is called. */
function silent(bench: Bench, how: { landed: boolean; hangs: boolean }) {
  let state: 'sound' | 'put' | 'silent' = 'sound';
  let wake = (): void => {};
  const told = new Promise<void>((resolve) => {
    wake = resolve;
  });
  bench.store = new MemoryBlobStore({
    state: bench.store.snapshot(),
    faults: (operation: StoreOperation, key: string) => {
      if (!key.startsWith('raw/') || state === 'sound') return 'ok';
      if (operation === 'put' && state === 'put') {
        state = 'silent';
        return how.landed ? 'fail_after' : 'fail_before';
      }
      if (operation !== 'size') return 'ok';
      return how.hangs ? { delay: told } : 'fail_before';
    },
  });
  return {
    fail: () => {
      state = 'put';
    },
    tell: () => {
      state = 'sound';
      wake();
    },
  };
}

/** Pushes until it is accepted. */
async function pushUntilStored(bench: Bench, leaf: string, startMs: number): Promise<string> {
  for (;;) {
    const outcome = await bench.push(leaf, startMs);
    if (outcome !== 'write_unknown') return outcome;
    await sleep(systemTimers, 10);
  }
}

const CASES = [
  { landed: true, hangs: false },
  { landed: false, hangs: false },
  { landed: true, hangs: true },
  { landed: false, hangs: true },
];

describe.each(CASES)('a put in doubt, landed: $landed, the store hangs: $hangs', (how) => {
  test('pushes and resends are refused in time, and all goes on once the store tells', async () => {
    const bench = new Bench(WAITS);
    const store = silent(bench, how);
    await bench.open();
    expect(await bench.push('before', DAY)).toBe('stored');
    store.fail();
    expect(await bench.push('doubtful', DAY + 1_000)).toBe('write_unknown');
    const waiting = ['doubtful', 'first', 'second'].map((leaf) => bench.push(leaf, DAY + 1_000));
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => 'write_unknown'));
    // From here on nobody waits at all.
    for (const leaf of ['doubtful', 'third']) {
      expect(await bench.push(leaf, DAY + 1_000)).toBe('write_unknown');
    }
    expect(await bench.push('before', DAY)).toBe('duplicate');
    store.tell();
    expect(await pushUntilStored(bench, 'doubtful', DAY + 1_000)).toBe(
      how.landed ? 'duplicate' : 'stored',
    );
    for (const leaf of ['first', 'second', 'third']) {
      expect(await pushUntilStored(bench, leaf, DAY + 1_000)).toBe('stored');
    }
    expect((await bench.merge()).ticks).toBe(5n);
    await bench.at(DAY + 2 * 3_600_000);
    expect((await bench.merge()).ticks).toBe(5n);
    await bench.open();
    const { ticks, names } = await bench.merge();
    expect(ticks).toBe(5n);
    expect(names).not.toContain('(damaged)');
  });

  test('an absorb that needs the writer to stand still fails, and holds nobody back', async () => {
    const bench = await new Bench({ ...WAITS, absorbFragments: 1 }).open();
    expect(await bench.push('before', DAY)).toBe('stored');
    const store = silent(bench, how);
    // After a restart the rows of before are mapped: for that the writer stands still.
    await bench.open();
    store.fail();
    expect(await bench.push('doubtful', DAY + 1_000)).toBe('write_unknown');
    const absorb = bench.at(DAY + 120_000);
    const pushed = bench.push('first', DAY + 1_000);
    await expect(absorb).rejects.toMatchObject({ reason: 'write_unknown' });
    expect(await pushed).toBe('write_unknown');
    store.tell();
    expect(await pushUntilStored(bench, 'first', DAY + 1_000)).toBe('stored');
    await bench.at(DAY + 120_000);
    expect((await bench.merge()).ticks).toBe(how.landed ? 3n : 2n);
  });

  test('the engine stops in time, and the next start finds what landed', async () => {
    const bench = new Bench(WAITS);
    const store = silent(bench, how);
    await bench.open();
    expect(await bench.push('before', DAY)).toBe('stored');
    store.fail();
    expect(await bench.push('doubtful', DAY + 1_000)).toBe('write_unknown');
    const waiting = bench.push('doubtful', DAY + 1_000);
    await bench.engine.stop();
    expect(await waiting).toBe('write_unknown');
    store.tell();
    await bench.open();
    expect((await bench.merge()).ticks).toBe(how.landed ? 2n : 1n);
    expect(await bench.push('doubtful', DAY + 1_000)).toBe(how.landed ? 'duplicate' : 'stored');
    expect((await bench.merge()).ticks).toBe(2n);
  });
});

test('a job that hangs in the store does not keep the engine from stopping', async () => {
  const bench = new Bench({ ...WAITS, absorbFragments: 1 });
  bench.store = new MemoryBlobStore({
    faults: (operation) => (operation === 'casRoot' ? { delay: new Promise(() => {}) } : 'ok'),
  });
  await bench.open();
  expect(await bench.push('before', DAY)).toBe('stored');
  void bench.at(DAY + 120_000).catch(() => undefined);
  await bench.engine.stop();
});
