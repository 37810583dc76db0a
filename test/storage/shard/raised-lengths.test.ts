import { expect, test } from '@jest/globals';
import { systemRandom } from '../../../src/base/random.ts';
import { MemoryBlobStore } from '../../../src/storage/blob-store/memory.ts';
import { Dictionary } from '../../../src/storage/dictionary/dictionary.ts';
import { emptyRoot } from '../../../src/storage/root/encode.ts';
import { putSegment } from '../../../src/storage/shard/put-segment.ts';
import { ShardState } from '../../../src/storage/shard/shard-state.ts';
import { DAY } from '../fixtures.ts';

const NAME = { tenant: 'a', service: 's' };

test('a commit that is taken over while its rows are read does not make them follow themselves', async () => {
  let release = (): void => {};
  let begun = (): void => {};
  const reading = new Promise<void>((resolve) => (begun = resolve));
  const until = new Promise<void>((resolve) => (release = resolve));
  let reads = 0;
  const store = new MemoryBlobStore({
    // The third read of a segment, behind its footer and its directory, is that of a slice.
    faults: (operation, key) => {
      if (operation !== 'get' || !key.includes('/s/') || ++reads !== 3) return 'ok';
      begun();
      return { delay: until };
    },
  });
  const random = systemRandom;
  const state = new ShardState({ shard: 0, shardCount: 1, incarnation: 1, store, random });
  const dictionary = new Dictionary(random);
  const from = dictionary.lengths;
  const type = { name: 'cpu', type: 'cpu', unit: 'ns', periodType: 'cpu', periodUnit: 'ns' };
  dictionary.internSeries([['service_name', 's']], type);
  const to = dictionary.lengths;
  const slice = dictionary.encodeSlice(from, to);
  const series = [dictionary.seriesRow(0)];
  const segment = await putSegment(state, DAY, [{ ...NAME, from, to, slice, series }]);
  state.canonical.set(DAY, 'a', 's', dictionary, from);
  const live = state.canonical.peek(DAY, 'a', 's');
  const loading = state.canonical.load(DAY, 'a', 's', { ...emptyRoot(), segments: [segment] });
  await reading;
  // What the swap of the root made canonical, told a moment later than the root shows it.
  if (live !== undefined) live.lengths = to;
  release();
  expect((await loading).lengths).toEqual(to);
});
