import { expect, test } from '@jest/globals';
import { oldSpaceGrowth } from '../../support/old-space.ts';
import { openStore, temporaryDirectory } from './open-level.ts';

test('a write leaves nothing in the old space of V8', async () => {
  const store = await openStore(await temporaryDirectory());
  const volume = 'raw/20261122-18';
  const grown = await oldSpaceGrowth(async (round) => {
    const markers = Array.from({ length: 25 }, (_, i) => `${volume}/m/${round}-${i}`);
    await store.put(`${volume}/f/${round}`, new Uint8Array(100), markers);
  });
  // 10,000 markers; options that are not frozen cost 800 bytes for each.
  expect(grown / 10_000).toBeLessThan(300);
});
