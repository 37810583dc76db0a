import { describe, expect, it } from '@jest/globals';
import { HOUR_MS, RAW_VOLUME_MS } from '../../../src/base/time.ts';
import { MemoryBlobStore } from '../../../src/storage/blob-store/memory.ts';
import { encodeFragment } from '../../../src/storage/fragment/encode.ts';
import { fragmentKey, rawVolume, rootName } from '../../../src/storage/keys.ts';
import type { LedgerStore } from '../../../src/storage/ledger/ledger-store.ts';
import type { Marks } from '../../../src/storage/ledger/marks.ts';
import { openLedger } from '../../../src/storage/ledger/open-ledger.ts';
import { emptyRoot, encodeRoot } from '../../../src/storage/root/encode.ts';
import { writeHeadMark } from '../../../src/storage/shard/head-mark.ts';

const DAY = Date.UTC(2026, 2, 14);

/** A store and a high-water file, each of which can be harmed. */
class World {
  store = new MemoryBlobStore();
  saved: Marks | undefined;
  incarnation = 0;

  async open(): Promise<LedgerStore> {
    this.incarnation++;
    return openLedger({
      store: this.store,
      highWater: {
        read: async () => this.saved,
        write: async (marks) => {
          this.saved = marks;
        },
      },
      isFirst: this.incarnation === 1,
      nowMs: DAY + HOUR_MS,
    });
  }
}

async function put(
  store: LedgerStore,
  incarnation: number,
  seq: number,
  arrivalHourMs = DAY,
  skipped: number[] = [],
): Promise<string> {
  const address = { arrivalHourMs, shard: 3, incarnation, seq };
  const key = fragmentKey(address);
  await store.put(key, encodeFragment({ ...address, skipped, sections: [] }));
  return key;
}

const details = (ledger: LedgerStore): string[] =>
  ledger.findings().map(({ kind, what, detail }) => `${kind} ${what}: ${detail}`);

describe('the ledger', () => {
  it('says nothing where nothing is lost: over restarts, skipped sequences, a crash, retention', async () => {
    const world = new World();
    const first = await world.open();
    for (const seq of [1, 2]) await put(first, 1, seq);
    // 3 and 4 failed, which the next one says; 6 came after the last save.
    await put(first, 1, 5, DAY, [3, 4]);
    await first.save();
    await put(first, 1, 6, DAY + RAW_VOLUME_MS);
    const second = await world.open();
    expect(second.findings()).toEqual([]);
    await put(second, 2, 1, DAY + RAW_VOLUME_MS);
    await second.dropVolume(rawVolume(DAY));
    expect((await world.open()).findings()).toEqual([]);
    // What was dropped before the crash that kept it from being removed.
    await put(second, 1, 2, DAY);
    expect((await world.open()).findings()).toEqual([]);
    await second.dropVolume(rawVolume(DAY));
    await second.dropVolume(rawVolume(DAY + RAW_VOLUME_MS));
    const last = await world.open();
    expect(last.findings()).toEqual([]);
    expect(world.saved).toEqual({ fragments: [], roots: [] });
  });

  it('tells a gap, a lost beginning and a lost end', async () => {
    const world = new World();
    const first = await world.open();
    const keys: string[] = [];
    for (let seq = 1; seq <= 9; seq++) keys.push(await put(first, 1, seq));
    await first.save();
    await world.store.remove([keys[0], keys[3], keys[4], keys[8]].map(String));
    expect(details(await world.open())).toEqual([
      'ledger_gap fragments of incarnation 1, shard 3: 1 missing (1)',
      'ledger_gap fragments of incarnation 1, shard 3: 4 to 5 missing (2)',
      'ledger_gap fragments of incarnation 1, shard 3: 9 missing (1)',
    ]);
  });

  it('tells a writer of whom nothing is left, and a lost or damaged high-water file', async () => {
    const world = new World();
    const first = await world.open();
    const key = await put(first, 1, 1);
    await first.save();
    world.saved = undefined;
    expect(details(await world.open())).toEqual(['missing high-water: the marks are not there']);
    await world.store.remove([key]);
    expect(details(await world.open())).toEqual([
      'ledger_gap fragments of incarnation 1, shard 3: 1 missing (1)',
    ]);
  });

  it('tells a root that fell back, takes it as it is, and believes no head mark of its shard', async () => {
    const world = new World();
    const first = await world.open();
    const name = rootName(DAY, 16, 3);
    await put(first, 1, 1);
    const older = await first.casRoot(name, null, encodeRoot({ ...emptyRoot(), gen: 1 }));
    const before = world.store.snapshot();
    const token = older.outcome === 'ok' ? older.token : null;
    await first.casRoot(name, token, encodeRoot({ ...emptyRoot(), gen: 2 }));
    await writeHeadMark(first, rawVolume(DAY), 3, new Map([[1, 2]]));
    await first.save();
    const mark = await first.readRoot(`${rawVolume(DAY)}/m/03`);
    expect(mark).not.toBeNull();
    world.store.restore(before);
    await writeHeadMark(world.store, rawVolume(DAY), 3, new Map([[1, 2]]));
    const second = await world.open();
    expect(details(second)).toEqual([
      `root_stale ${name}: expected generation 2 or later, found generation 1`,
    ]);
    expect(await second.readRoot(name)).not.toBeNull();
    expect(await second.readRoot(`${rawVolume(DAY)}/m/03`)).toBeNull();
  });

  it('refuses an old root that fell back when it is read', async () => {
    const world = new World();
    const first = await world.open();
    const name = rootName(DAY - 20 * 24 * HOUR_MS, 16, 3);
    await first.casRoot(name, null, encodeRoot({ ...emptyRoot(), gen: 4 }));
    await first.save();
    world.store = new MemoryBlobStore();
    const second = await world.open();
    await expect(second.readRoot(name)).rejects.toThrow(/corrupt_block.*generation 4.*found none/);
    await second.dropVolume('minutes/20260222');
    expect(await second.readRoot(name)).toBeNull();
  });
});
