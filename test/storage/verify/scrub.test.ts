import { expect, test } from '@jest/globals';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { MemoryBlobStore } from '../../../src/storage/blob-store/memory.ts';
import type { Finding } from '../../../src/storage/ledger/finding.ts';
import { startScrub } from '../../../src/storage/verify/scrub.ts';

/** Time that passes when somebody waits for it. */
function ownTime() {
  let nowMs = 0;
  const waits: number[] = [];
  return {
    waits,
    clock: { ...systemClock, monotonicMs: () => nowMs },
    timers: {
      after(delayMs: number, callback: () => void) {
        waits.push(delayMs);
        const immediate = setImmediate(() => {
          nowMs += delayMs;
          callback();
        });
        return () => clearImmediate(immediate);
      },
      yield: async (): Promise<void> => {},
    },
  };
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

test('the scrub reads everything at its rate, tells damage, and stops at once', async () => {
  const bad = 'minutes/20260314/b/00/bb';
  const store = new MemoryBlobStore({
    faults: (operation, key) => (operation === 'get' && key === bad ? 'corrupt' : 'ok'),
  });
  for (const key of [
    'minutes/20260314/x/00/aa',
    bad,
    'raw/20260314-06/x/cc',
    'raw/20260314-06/x/dd',
  ]) {
    await store.put(key, new Uint8Array(1_000));
  }
  const findings: Finding[] = [];
  const { clock, timers, waits } = ownTime();
  const scrub = startScrub({
    store,
    clock,
    timers,
    random: systemRandom,
    bytesPerSecond: 1_000,
    onFinding: (finding) => void findings.push(finding),
  });
  await turns(12);
  await scrub.stop();
  expect(findings[0]).toMatchObject({ kind: 'damaged', what: bad });
  expect(scrub.counts.rounds).toBeGreaterThan(0);
  expect(scrub.counts.bytes).toBe(scrub.counts.blobs * 1_000);
  // A second for each blob, a minute between rounds.
  expect(waits.slice(0, 5)).toEqual([60_000, 1_000, 1_000, 1_000, 60_000]);
});

test('a rate of zero reads nothing', async () => {
  const { clock, timers, waits } = ownTime();
  const store = new MemoryBlobStore();
  const options = { store, clock, timers, random: systemRandom, bytesPerSecond: 0 };
  const scrub = startScrub({ ...options, onFinding: () => {} });
  await turns(3);
  await scrub.stop();
  expect(waits).toEqual([]);
});
