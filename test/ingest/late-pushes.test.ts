/** Pushes of which only the store can tell whether they are new: what happens while it is asked. */
import { describe, expect, test } from '@jest/globals';
import { MemoryBlobStore, type StoreOperation } from '../../src/storage/blob-store/memory.ts';
import { Bench, DAY } from '../jobs/fixture.ts';

const MINUTE = 60_000;
/** Far behind the start of the engine. */
const LATE = DAY + 10 * MINUTE;

/** While `hold` is on, questions for markers wait; `fail` makes the next put fail before it lands. */
function held(bench: Bench) {
  let release = (): void => {};
  let until: Promise<void> | undefined;
  let failing = false;
  let questions = 0;
  bench.store = new MemoryBlobStore({
    state: bench.store.snapshot(),
    faults: (operation: StoreOperation, key: string) => {
      if (operation === 'hasMarkers') {
        questions++;
        if (until !== undefined) return { delay: until };
      }
      if (operation === 'put' && key.startsWith('raw/') && failing) {
        failing = false;
        return 'fail_before';
      }
      return 'ok';
    },
  });
  return {
    hold: () => {
      until = new Promise((resolve) => {
        release = resolve;
      });
    },
    release: () => {
      until = undefined;
      release();
    },
    fail: () => {
      failing = true;
    },
    questions: () => questions,
  };
}

async function opened(): Promise<{ bench: Bench; store: ReturnType<typeof held> }> {
  const bench = new Bench();
  bench.nowMs = DAY + 120 * MINUTE;
  const store = held(bench);
  await bench.open();
  // Opens the scope, so that what comes next is resolved before the store is asked.
  expect(await bench.push('known', LATE)).toBe('stored');
  // From here on pushes of now cannot have come before the start: nobody asks the store about them.
  bench.nowMs += 30 * MINUTE;
  return { bench, store };
}

describe('late pushes', () => {
  test('rows of a push that waits for the store go with one that does not', async () => {
    const { bench, store } = await opened();
    store.hold();
    const waiting = ['a', 'b', 'known'].map((leaf) => bench.push(leaf, LATE + MINUTE, 2n));
    expect(await bench.push('a', bench.nowMs)).toBe('stored');
    store.release();
    expect(await Promise.all(waiting)).toEqual(['stored', 'stored', 'stored']);
    const { ticks, names } = await bench.merge();
    expect(ticks).toBe(8n);
    expect([...names].toSorted()).toEqual(['a', 'b', 'known', 'main', 'total']);
    await bench.open();
    expect((await bench.merge()).names).toHaveLength(5);
    await bench.at(bench.nowMs + 60 * MINUTE);
    expect((await bench.merge()).ticks).toBe(8n);
  });

  test('an absorb between resolving and writing changes nothing', async () => {
    const { bench, store } = await opened();
    store.hold();
    const waiting = ['a', 'b'].map((leaf) => bench.push(leaf, LATE + MINUTE));
    await bench.at(bench.nowMs + 60 * MINUTE);
    store.release();
    expect(await Promise.all(waiting)).toEqual(['stored', 'stored']);
    expect(await bench.push('b', LATE + 2 * MINUTE)).toBe('stored');
    expect((await bench.merge()).ticks).toBe(4n);
    await bench.at(bench.nowMs + 60 * MINUTE);
    await bench.open();
    const { ticks, names } = await bench.merge();
    expect(ticks).toBe(4n);
    expect([...names].toSorted()).toEqual(['a', 'b', 'known', 'main', 'total']);
  });

  test('an epoch that ends meanwhile takes its ids along: the push is resolved again', async () => {
    const { bench, store } = await opened();
    store.hold();
    const waiting = ['a', 'b', 'c'].map((leaf) => bench.push(leaf, LATE + MINUTE));
    store.fail();
    // Fresh, and so written while the others wait; its put fails and ends the epoch.
    expect(await bench.push('lost', bench.nowMs)).toBe('write_unknown');
    expect(await bench.push('other', bench.nowMs)).toBe('stored');
    store.release();
    expect(await Promise.all(waiting)).toEqual(['stored', 'stored', 'stored']);
    const expected = ['a', 'b', 'c', 'known', 'main', 'other', 'total'];
    expect([...(await bench.merge()).names].toSorted()).toEqual(expected);
    // What is in memory knows all rows: only a restart tells what the fragments have.
    await bench.open();
    for (let i = 0; i < 2; i++) {
      const { ticks, names } = await bench.merge();
      expect(ticks).toBe(5n);
      expect([...names].toSorted()).toEqual(expected);
      await bench.at(bench.nowMs + 60 * MINUTE);
    }
  });

  test('one that was stored is a duplicate however many come, and asks together', async () => {
    const { bench, store } = await opened();
    expect(await bench.push('a', LATE)).toBe('stored');
    // What was before the restart is in the store only.
    await bench.open();
    expect(await bench.push('opens', LATE)).toBe('stored');
    const before = store.questions();
    const leaves = ['a', 'known', 'new', 'a', 'opens'];
    expect(await Promise.all(leaves.map((leaf) => bench.push(leaf, LATE)))).toEqual([
      'duplicate',
      'duplicate',
      'stored',
      'duplicate',
      'duplicate',
    ]);
    expect(store.questions() - before).toBe(2);
    expect((await bench.merge()).ticks).toBe(4n);
  });
});
