import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { systemClock, systemTimers } from '../../../src/base/clock.ts';
import { type FileSystem, systemFileSystem } from '../../../src/base/file-system.ts';
import { systemRandom } from '../../../src/base/random.ts';
import {
  type DataDirectory,
  openDataDirectory,
} from '../../../src/storage/data-directory/data-directory.ts';
import { createHighWater } from '../../../src/storage/data-directory/high-water.ts';
import { encodeStoreFile } from '../../../src/storage/data-directory/store-file.ts';
import type { Marks } from '../../../src/storage/ledger/marks.ts';
import { digestOf } from '../blob-store/open-level.ts';

// Real fsyncs on a disk that other tests use at the same time.
jest.setTimeout(60_000);

const opened: DataDirectory[] = [];
let parent = '';
let path = '';

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'tephra-directory-'));
  path = join(parent, 'data');
});
afterEach(async () => {
  for (const directory of opened.splice(0)) await directory.close();
  await rm(parent, { recursive: true, force: true });
});

async function open(at = path, fs: FileSystem = systemFileSystem): Promise<DataDirectory> {
  const directory = await openDataDirectory({
    path: at,
    fs,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
  });
  opened.push(directory);
  return directory;
}

async function closeAll(): Promise<void> {
  for (const directory of opened.splice(0)) await directory.close();
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

describe('a data directory', () => {
  it('is made where it is missing, private, in a moment', async () => {
    const before = process.cpuUsage();
    const directory = await open();
    expect(process.cpuUsage(before).user).toBeLessThan(3_000_000);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect(directory.storeId).toMatch(/^[0-9a-f]{32}$/);
    expect(directory.incarnation).toBe(1);
    expect(await directory.store.list('')).toEqual([]);
    expect((await readdir(path)).sort()).toEqual([
      'high-water',
      'lock',
      'owner.json',
      'slots',
      'store.json',
      'volumes',
    ]);
  });

  it('keeps its id, counts its openings durably before anything else, and keeps its blobs', async () => {
    const first = await open();
    await first.store.put('raw/a/x', Uint8Array.of(1));
    await closeAll();
    const second = await open();
    expect(second.storeId).toBe(first.storeId);
    expect(second.incarnation).toBe(2);
    expect(await second.store.get('raw/a/x')).toEqual(Uint8Array.of(1));
    expect(await readFile(join(path, 'store.json'), 'utf8')).toMatch(/"incarnation":2,/);
  });

  it('gives each writer that takes over a higher incarnation, durable before it is told', async () => {
    const directory = await open();
    expect(await Promise.all([directory.nextIncarnation(), directory.nextIncarnation()])).toEqual([
      2, 3,
    ]);
    expect(await readFile(join(path, 'store.json'), 'utf8')).toMatch(/"incarnation":3,/);
    await closeAll();
    expect((await open()).incarnation).toBe(4);
  });

  it('is open once, in this process too, and free again after closing', async () => {
    const directory = await open();
    await directory.announce('127.0.0.1:4040');
    const held = /^data_dir_in_use: held by pid \d+ on host .* since .*Z \(listening on 127/;
    await expect(open()).rejects.toThrow(held);
    await symlink(path, join(parent, 'alias'));
    await expect(open(join(parent, 'alias'))).rejects.toThrow(held);
    await directory.store.put('raw/a/x', Uint8Array.of(1));
    await closeAll();
    expect((await open(join(parent, 'alias'))).incarnation).toBe(2);
  });

  it('names no holder where owner.json is lost or odd', async () => {
    await open();
    for (const text of ['', '{}', '[1]', '{"pid":"x"}']) {
      await writeFile(join(path, 'owner.json'), text);
      await expect(open()).rejects.toThrow(`data_dir_in_use: held by another process: ${path}`);
    }
  });

  it('of a newer format is refused and stays byte for byte', async () => {
    await open();
    await closeAll();
    const file = join(path, 'store.json');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('"format":1', '"format":2'));
    const before = await digestOf(path);
    await expect(open()).rejects.toThrow(/unknown_format_version: .*store.json.*found 2/);
    expect(await digestOf(path)).toBe(before);
  });

  it('with a damaged store.json is refused and stays byte for byte', async () => {
    await open();
    await closeAll();
    const file = join(path, 'store.json');
    const whole = await readFile(file);
    const damaged = [whole.subarray(0, 0), whole.subarray(0, 20), Buffer.from('null')];
    for (let at = 0; at < whole.byteLength - 1; at += 5) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] as number) ^ 1;
      damaged.push(flipped);
    }
    for (const bytes of damaged) {
      await writeFile(file, bytes);
      const before = await digestOf(path);
      await expect(open()).rejects.toThrow(/data_dir_unusable: .*store.json is damaged/);
      expect(await digestOf(path)).toBe(before);
    }
    await writeFile(file, whole);
    expect((await open()).incarnation).toBe(2);
  });

  it('full of foreign files is refused and stays byte for byte', async () => {
    await mkdir(path);
    await writeFile(join(path, 'letter.txt'), 'dear');
    await expect(open()).rejects.toThrow(
      /data_dir_unusable: .*data holds other files \(letter.txt/,
    );
    expect(await readdir(path)).toEqual(['letter.txt']);
  });

  it('may be there empty, or hold what a crash in the first start left', async () => {
    await mkdir(join(path, 'lost+found'), { recursive: true });
    await mkdir(join(path, 'lock'));
    await writeFile(
      join(path, 'store.json.new'),
      encodeStoreFile({ storeId: 'x', incarnation: 7 }),
    );
    expect((await open()).incarnation).toBe(1);
  });

  it('must be a directory, below one that is there', async () => {
    await writeFile(path, 'x');
    await expect(open()).rejects.toThrow(/data_dir_unusable: .*data is not a directory/);
    await expect(open(join(path, 'deeper'))).rejects.toThrow(/data_dir_unusable.*part of the path/);
    const lost = join(parent, 'a', 'b');
    await expect(open(lost)).rejects.toThrow(
      /data_dir_unusable: .*make its parent directory first/,
    );
  });

  it.each(['EACCES', 'EROFS', 'ENOSPC', 'EIO'])('says what to do about %s', async (code) => {
    const fs = { ...systemFileSystem, writeFile: () => Promise.reject(systemError(code)) };
    await expect(open(path, fs)).rejects.toThrow(/^data_dir_unusable: .*data: \w+/);
  });

  it('leaves nothing open where a start fails, so that the next one in this process gets it', async () => {
    const volumes = ['raw/20260314-06', 'raw/20260314-12'];
    const keys = volumes.map((volume) => `${volume}/f/20260314-12/00/0000000009/0000000001`);
    const first = await open();
    for (const key of keys) await first.level.put(key, Uint8Array.of(1));
    await closeAll();
    // The first volume is open by now.
    const fs = {
      ...systemFileSystem,
      stat: (place: string) =>
        place === join(path, 'volumes', volumes[1] ?? '', 'tables.json')
          ? Promise.reject(systemError('ENOSPC'))
          : systemFileSystem.stat(place),
    };
    await expect(open(path, fs)).rejects.toThrow(/storage_full: opening raw\/20260314-12/);
    const second = await open();
    for (const key of keys) expect(await second.level.get(key)).toEqual(Uint8Array.of(1));
  });

  it('lets go of all it holds also where the ballast cannot be given up at its end', async () => {
    let refuses = false;
    const fs: FileSystem = {
      ...systemFileSystem,
      freeBytes: () => Promise.resolve(0),
      remove: (place) =>
        refuses && place.endsWith('ballast')
          ? Promise.reject(systemError('EIO'))
          : systemFileSystem.remove(place),
    };
    const first = await open(path, fs);
    refuses = true;
    await expect(first.close()).rejects.toThrow(/EIO/);
    opened.length = 0;
    expect((await open()).incarnation).toBe(2);
  });

  it('survives a failure at any step of its opening, and never counts backwards', async () => {
    let last = (await open()).incarnation;
    await closeAll();
    const steps = Object.keys(systemFileSystem) as (keyof FileSystem)[];
    for (const step of steps) {
      for (let k = 1; k < 12; k++) {
        let calls = 0;
        const fs = {
          ...systemFileSystem,
          [step]: (...args: never[]) => {
            calls++;
            if (calls === k) return Promise.reject(systemError('EIO'));
            return (systemFileSystem[step] as (...all: never[]) => unknown)(...args);
          },
        };
        if (step === 'openPositioned' || step === 'freeBytes' || step === 'truncate') continue;
        const outcome = await open(path, fs).then(
          (directory) => directory.incarnation,
          (error: unknown) => String(error),
        );
        await closeAll();
        if (typeof outcome === 'string') expect(outcome).toMatch(/data_dir_unusable/);
        else {
          expect(outcome).toBeGreaterThan(last);
          last = outcome;
        }
        if (calls < k) break;
      }
      const next = await open();
      expect(next.incarnation).toBeGreaterThan(last);
      last = next.incarnation;
      await closeAll();
    }
  });
});

describe('the high-water file', () => {
  const at = (seq: number): Marks => ({
    fragments: [{ incarnation: 3, shard: 2, from: 1, seq }],
    roots: [{ name: 'minutes/20260314/r/16/02', gen: 7 }],
  });

  it('gives back the marks of the last write', async () => {
    const highWater = createHighWater(systemFileSystem, join(parent, 'high-water'));
    expect(await highWater.read()).toBeUndefined();
    await Promise.all([
      highWater.write({ fragments: [], roots: [] }),
      highWater.write(at(2 ** 40)),
    ]);
    expect(await highWater.read()).toEqual(at(2 ** 40));
  });

  it('tells damage of any bit and length', async () => {
    const file = join(parent, 'high-water');
    const highWater = createHighWater(systemFileSystem, file);
    await highWater.write(at(300));
    const whole = await readFile(file);
    for (let bit = 0; bit < whole.byteLength * 8; bit++) {
      const flipped = Buffer.from(whole);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      await writeFile(file, flipped);
      await expect(highWater.read()).rejects.toThrow(/corrupt_block/);
    }
    for (let size = 0; size < whole.byteLength; size++) {
      await writeFile(file, whole.subarray(0, size));
      await expect(highWater.read()).rejects.toThrow(/corrupt_block/);
    }
  });

  it('goes on after a write that failed', async () => {
    let fail = false;
    const fs = {
      ...systemFileSystem,
      rename: (from: string, to: string) =>
        fail ? Promise.reject(systemError('EIO')) : systemFileSystem.rename(from, to),
    };
    const highWater = createHighWater(fs, join(parent, 'high-water'));
    await highWater.write(at(1));
    fail = true;
    await expect(highWater.write(at(2))).rejects.toThrow(/EIO/);
    expect(await highWater.read()).toEqual(at(1));
    fail = false;
    await highWater.write(at(3));
    expect(await highWater.read()).toEqual(at(3));
  });
});
