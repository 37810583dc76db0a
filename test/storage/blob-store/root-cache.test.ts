import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type FaultPlan, MemoryBlobStore } from '../../../src/storage/blob-store/memory.ts';
import { RootCachingStore } from '../../../src/storage/blob-store/root-cache.ts';
import { tokenOf } from '../../contract/blob-store.ts';

const NAME = 'minutes/20260314/r/16/3';
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** A store that counts how often a root is read from it. */
function counted(faults: FaultPlan = () => 'ok', budget = 10_000) {
  let reads = 0;
  const inner = new MemoryBlobStore({
    faults: (operation, key) => {
      if (operation === 'readRoot') reads++;
      return faults(operation, key);
    },
  });
  return { inner, store: new RootCachingStore(inner, budget), reads: () => reads };
}

describe('a store that remembers roots', () => {
  it('reads a root once, one that is not there too, and reads that come together', async () => {
    const { store, reads } = counted();
    expect(await store.readRoot(NAME)).toBeNull();
    await store.casRoot(NAME, null, bytes(1));
    const [a, b] = await Promise.all([store.readRoot(NAME), store.readRoot(NAME)]);
    expect([a?.bytes, b?.bytes]).toEqual([bytes(1), bytes(1)]);
    await store.readRoot(NAME);
    expect(reads()).toBe(2);
  });

  it('does not keep what a read brings that began before a swap ended', async () => {
    let go = (): void => {};
    const until = new Promise<void>((resolve) => (go = resolve));
    let slow = true;
    const { store, inner } = counted((operation) => {
      if (operation !== 'readRoot' || !slow) return 'ok';
      slow = false;
      return { delay: until };
    });
    const early = store.readRoot(NAME);
    const swap = store.casRoot(NAME, null, bytes(1));
    await swap;
    // After the swap nobody may get what the early read brings.
    const late = store.readRoot(NAME);
    expect((await late)?.bytes).toEqual(bytes(1));
    go();
    await early;
    expect((await store.readRoot(NAME))?.bytes).toEqual(bytes(1));
    expect(await store.readRoot(NAME)).toEqual(await inner.readRoot(NAME));
  });

  it('forgets a root whose swap failed or was lost, and reads that failed', async () => {
    let fault: 'ok' | 'fail_after' | 'corrupt' = 'ok';
    const { store } = counted((operation) =>
      (operation === 'casRoot' && fault === 'fail_after') ||
      (operation === 'readRoot' && fault === 'corrupt')
        ? fault
        : 'ok',
    );
    const token = tokenOf(await store.casRoot(NAME, null, bytes(1)));
    await store.readRoot(NAME);
    fault = 'fail_after';
    expect(await store.casRoot(NAME, token, bytes(2))).toEqual({ outcome: 'unknown' });
    fault = 'corrupt';
    await expect(store.readRoot(NAME)).rejects.toMatchObject({ reason: 'corrupt_block' });
    fault = 'ok';
    expect((await store.readRoot(NAME))?.bytes).toEqual(bytes(2));
    expect(await store.casRoot(NAME, token, bytes(3))).toEqual({ outcome: 'conflict' });
  });

  it('reads again what names a blob that is not there, and what is in a volume that was dropped', async () => {
    const { store, inner } = counted();
    const token = tokenOf(await store.casRoot(NAME, null, bytes(1)));
    await store.readRoot(NAME);
    // By another owner, which is not to be; what it removed tells.
    await inner.casRoot(NAME, token, bytes(2));
    expect((await store.readRoot(NAME))?.bytes).toEqual(bytes(1));
    expect(await store.get('minutes/20260314/b/03/a')).toBeNull();
    expect((await store.readRoot(NAME))?.bytes).toEqual(bytes(2));
    await store.dropVolume('minutes/20260314');
    expect(await store.readRoot(NAME)).toBeNull();
  });

  it('keeps within its budget', async () => {
    const { store, reads } = counted(() => 'ok', 1_000);
    const names = Array.from({ length: 20 }, (_, i) => `minutes/202603${10 + i}/r/16/0`);
    for (const name of names) await store.casRoot(name, null, new Uint8Array(100));
    for (let turn = 0; turn < 2; turn++) for (const name of names) await store.readRoot(name);
    expect(reads()).toBe(40);
    for (const name of names.slice(-3)) await store.readRoot(name);
    expect(reads()).toBe(40);
  });

  it('tells what was the root at some time since the call, in any order of effects', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
        async (s, isSwap) => {
          const inner = new MemoryBlobStore({
            scheduler: (operation, key) => s.schedule(Promise.resolve(), `${operation} ${key}`),
          });
          const store = new RootCachingStore(inner, 1_000);
          let version = 0;
          const done: Promise<void>[] = [];
          const swaps = async (): Promise<void> => {
            let token: string | null = null;
            for (const swap of isSwap) {
              if (!swap) continue;
              token = tokenOf(await store.casRoot(NAME, token, bytes(version + 1)));
              version++;
            }
          };
          done.push(swaps());
          for (const swap of isSwap) {
            if (swap) continue;
            const read = async (): Promise<void> => {
              // As a query does: what was swapped before is known when it begins.
              await s.schedule(Promise.resolve(), 'a query begins');
              const since = version;
              const root = await store.readRoot(NAME);
              expect(root?.bytes[0] ?? 0).toBeGreaterThanOrEqual(since);
            };
            done.push(read());
          }
          await s.waitFor(Promise.all(done));
        },
      ),
      { numRuns: 200 },
    );
  });
});
