import { open, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Level } from 'level';
import { hex } from '../../../src/base/bytes.ts';
import { systemFileSystem as fs } from '../../../src/base/file-system.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import { openAbortSlots } from '../../../src/storage/blob-store/level/abort-slots.ts';
import { scanInChild } from '../../../src/storage/blob-store/level/suspect.ts';
import { pattern, same } from '../../contract/blob-store.ts';
import { openStore, temporaryDirectory } from './open-level.ts';

const NAMES = ['raw/a', 'raw/b'];

/** One life of a process that dies while it uses `busy`. */
async function die(path: string, busy: string | undefined, nowMs: number): Promise<string[]> {
  const { slots, suspects } = await openAbortSlots(fs, path, NAMES, nowMs);
  const all = new Map(NAMES.map((name) => [name, slots.slotFor(name)]));
  for (const slot of all.values()) {
    slot.mark();
    slot.clear();
  }
  if (busy !== undefined) all.get(busy)?.mark();
  slots.close();
  return [...suspects];
}

describe('the slots of volumes in use', () => {
  it('make a suspect of a volume at the second death within ten minutes', async () => {
    const path = await temporaryDirectory();
    expect(await die(path, 'raw/b', 1_000)).toEqual([]);
    expect(await die(path, 'raw/b', 2_000)).toEqual([]);
    expect(await die(path, undefined, 3_000)).toEqual(['raw/b']);
    expect(await die(path, undefined, 2_000 + LIMITS.strikeWindowMs)).toEqual([]);
  });

  it('forget a death that is older, and clean ends', async () => {
    const path = await temporaryDirectory();
    expect(await die(path, 'raw/a', 1_000)).toEqual([]);
    expect(await die(path, 'raw/a', 2_000)).toEqual([]);
    expect(await die(path, undefined, 2_000 + LIMITS.strikeWindowMs)).toEqual([]);
    expect(await die(path, undefined, 3_000 + LIMITS.strikeWindowMs)).toEqual([]);
  });

  it('take any bytes for what they are: advice', async () => {
    const path = await temporaryDirectory();
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"strikes":null}',
      '{"strikes":{"raw/a":[1,"x"]}}',
    ]) {
      await writeFile(join(path, 'strikes.json'), text);
      await writeFile(join(path, 'slots'), 'odd length');
      expect(await die(path, undefined, 1_000)).toEqual([]);
    }
  });

  it('are 8 bytes each', async () => {
    const path = await temporaryDirectory();
    await die(path, 'raw/b', 1_000);
    const slots = await readFile(join(path, 'slots'));
    expect(slots.byteLength).toBe(4_096);
    expect(hex(slots.subarray(0, 16))).toBe('a2c3bdbf000000001892b42601000000');
  });

  it('lead to an examination before the volume is opened, and only what fails it is set aside', async () => {
    const path = await temporaryDirectory();
    const first = await openStore(path);
    await first.put('raw/a/x', pattern(9));
    await first.put('raw/b/x', pattern(9));
    await first.close();
    await die(path, 'raw/a', Date.now());
    await die(path, 'raw/b', Date.now());
    await die(path, 'raw/a', Date.now());
    await die(path, 'raw/b', Date.now());
    const examined: string[] = [];
    const store = await openStore(path, {
      suspectCheck: async (volume) => {
        examined.push(volume);
        return volume.endsWith('a') ? 'aborts' : 'sound';
      },
    });
    await expect(store.get('raw/a/x')).rejects.toThrow(/volume_quarantined.*ends the process/);
    await expect(store.get('raw/a/x')).rejects.toThrow(/volume_quarantined/);
    expect(same(await store.get('raw/b/x'), pattern(9))).toBe(true);
    expect(examined).toEqual([join(path, 'volumes/raw/a'), join(path, 'volumes/raw/b')]);
  });
});

describe('the examination of a suspect', () => {
  it('passes a sound volume', async () => {
    const path = await temporaryDirectory();
    const store = await openStore(path);
    await store.put('raw/a/x', pattern(200_000));
    await store.close();
    expect(await scanInChild(join(path, 'volumes/raw/a'))).toBe('sound');
    const again = await openStore(path);
    expect(same(await again.get('raw/a/x'), pattern(200_000))).toBe(true);
  });

  it('passes one that is merely damaged: opening tells that', async () => {
    expect(await scanInChild(await temporaryDirectory())).toBe('sound');
  });

  it('fails one that ends the process which reads it', async () => {
    const path = await temporaryDirectory();
    const level = new Level<string, Uint8Array>(path, {
      valueEncoding: 'view',
      compression: false,
    });
    const rows = Array.from({ length: 2_000 }, (_, i) => `p/${10_000 + i}`);
    await level.batch(rows.map((key) => ({ type: 'put', key, value: pattern(100) })));
    // Level's types are those that browsers have too.
    const compact = level as unknown as { compactRange(from: string, to: string): Promise<void> };
    await compact.compactRange('a', 'z');
    await level.close();
    const table = (await readdir(path)).find((name) => name.endsWith('.ldb'));
    const file = await open(join(path, table ?? ''), 'r+');
    await file.write(new Uint8Array(2_000), 0, 2_000, 41_000);
    await file.close();
    expect(await scanInChild(path)).toBe('aborts');
  });
});
