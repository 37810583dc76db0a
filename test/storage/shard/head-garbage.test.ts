import { expect, test } from '@jest/globals';
import { seriesColumn } from '../../../src/storage/column/entries.ts';
import type {
  FragmentView,
  SectionEntry,
  SectionView,
} from '../../../src/storage/fragment/decode.ts';
import { headSection, type SectionScope } from '../../../src/storage/shard/head.ts';
import { oldSpaceGrowth } from '../../support/old-space.ts';

test('sections and columns that nobody keeps leave nothing in the old space of V8', async () => {
  const fragment = { incarnation: 1, seq: 1, arrivalHourMs: 0 } as FragmentView;
  const entry = { tenant: '', service: 's', dayMs: 0, minMs: 0, maxMs: 0 } as SectionEntry;
  const bytes = new Uint8Array(100);
  let made: object[] = [];
  const grown = await oldSpaceGrowth((round) => {
    made = [];
    for (let i = 0; i < 25; i++) {
      const read = (): SectionView => ({ slice: bytes, pushes: [] });
      made.push(headSection(fragment, entry, read, {} as SectionScope, bytes));
      made.push(seriesColumn(i, { grain: 1n, total: BigInt(round), column: 0 }));
    }
  });
  // 10,000 of each. A getter of its own for each section cost 170 bytes, columns by spread 140.
  expect(grown / 10_000).toBeLessThan(70);
});
