import { describe, expect, test } from '@jest/globals';
import { TephraError } from '../../src/base/errors.ts';
import { HOUR_MS } from '../../src/base/time.ts';
import { MarkerLookup } from '../../src/ingest/markers.ts';
import { MemoryBlobStore, type Fault } from '../../src/storage/blob-store/memory.ts';
import { fragmentKey, markerKey, rawVolume } from '../../src/storage/keys.ts';

const NOW = Date.UTC(2026, 2, 14);
const HOUR = NOW - 2 * HOUR_MS;

function identity(i: number): string {
  return i.toString(16).padStart(32, '0');
}

/** A store with the markers of even identities in two volumes; how often it was asked. */
async function filled(fault: () => Fault = () => 'ok') {
  const asked: string[] = [];
  const store = new MemoryBlobStore({
    faults: (operation, key) => {
      if (operation !== 'hasMarkers') return 'ok';
      asked.push(key);
      return fault();
    },
  });
  for (const [i, arrivalMs] of [NOW - 7 * HOUR_MS, NOW].entries()) {
    const key = fragmentKey({ arrivalHourMs: arrivalMs, shard: 0, incarnation: 1, seq: i + 1 });
    const markers = [0, 4, 8].map((n) =>
      markerKey(rawVolume(arrivalMs), HOUR, identity(n + 2 * i)),
    );
    await store.put(key, new Uint8Array(1), markers);
  }
  return { store, asked };
}

describe('MarkerLookup', () => {
  test('tells each identity apart by itself and by its hour, in any volume', async () => {
    const { store } = await filled();
    const lookup = new MarkerLookup(store);
    const ids = Array.from({ length: 12 }, (_, i) => i);
    const found = await Promise.all(ids.map((i) => lookup.isStored(HOUR, identity(i))));
    expect(found).toEqual(ids.map((i) => i % 2 === 0));
    const elsewhere = ids.map((i) => lookup.isStored(HOUR + HOUR_MS, identity(i)));
    expect(await Promise.all(elsewhere)).toEqual(ids.map(() => false));
  });

  test('asks at once where nobody asks, and once a volume for all who wait', async () => {
    const { store, asked } = await filled();
    const lookup = new MarkerLookup(store);
    await Promise.all(Array.from({ length: 50 }, (_, i) => lookup.isStored(HOUR, identity(i))));
    // The first one alone, the other 49 together, each in two volumes.
    expect(asked).toHaveLength(4);
    expect(await lookup.isStored(HOUR, identity(4))).toBe(true);
    expect(asked).toHaveLength(6);
  });

  test('a question that fails is told to those who asked it, and the next one is asked', async () => {
    let fails = 1;
    const { store } = await filled(() => (fails-- > 0 ? 'corrupt' : 'ok'));
    const lookup = new MarkerLookup(store);
    const first = lookup.isStored(HOUR, identity(0));
    const others = [1, 2].map((i) => lookup.isStored(HOUR, identity(i)));
    await expect(first).rejects.toThrow(TephraError);
    expect(await Promise.all(others)).toEqual([false, true]);
    expect(await lookup.isStored(HOUR, identity(0))).toBe(true);
  });
});
