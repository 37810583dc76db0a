/** A swap of the root whose outcome is unknown, and a store that cannot tell it afterwards either. */
import { describe, expect, test } from '@jest/globals';
import { MemoryBlobStore, type StoreOperation } from '../../src/storage/blob-store/memory.ts';
import { readFlameGraph } from '../model/answers.ts';
import { Bench, DAY, TYPE } from './fixture.ts';

/** Swaps land and are unknown; the reads of the root that would tell fail. Once. */
function landsUnknown(bench: Bench): void {
  let state: 'swap' | 'read' | 'over' = 'swap';
  bench.store = new MemoryBlobStore({
    state: bench.store.snapshot(),
    faults: (operation: StoreOperation, key: string) => {
      if (!key.startsWith('minutes/')) return 'ok';
      if (state === 'swap' && operation === 'casRoot') {
        state = 'read';
        return 'fail_after';
      }
      if (state === 'read' && operation === 'readRoot') {
        state = 'over';
        return 'fail_before';
      }
      return 'ok';
    },
  });
}

describe('an absorb that does not learn whether its swap landed', () => {
  test('gives no row to the dictionary twice: the next start opens it', async () => {
    const bench = new Bench({ absorbFragments: 1 });
    landsUnknown(bench);
    await bench.open();
    await bench.push('first', DAY + 1_000);
    await expect(bench.at(DAY + 120_000)).rejects.toThrow('overloaded');
    await bench.push('second', DAY + 2_000);
    await bench.at(DAY + 180_000);
    await bench.open();
    const { ticks, names } = await bench.merge();
    expect([ticks, [...names].toSorted()]).toEqual([2n, ['first', 'main', 'second', 'total']]);
  });

  test('ends the epochs whose rows it mapped: what they push later keeps its stacks', async () => {
    const bench = new Bench({ absorbFragments: 1 });
    await bench.open();
    await bench.push('before', DAY + 1_000);
    // After a restart the rows of before are mapped, and those of the live writer with them.
    landsUnknown(bench);
    await bench.open();
    await bench.push('between', DAY + 2_000, 4n);
    await expect(bench.at(DAY + 120_000)).rejects.toThrow('overloaded');
    await bench.push('between', DAY + 3_000, 16n);
    await bench.open();
    const { bytes } = await bench.engine.flameGraph({
      tenant: 'anonymous',
      profileType: TYPE,
      selector: '{}',
      startMs: DAY,
      endMs: DAY + 120_000,
    });
    const ticks = [...readFlameGraph(bytes)].map(([stack, value]) => [stack, value / 10_000_000n]);
    expect(Object.fromEntries(ticks)).toEqual({
      '["main","before"]': 1n,
      '["main","between"]': 20n,
    });
  });
});
