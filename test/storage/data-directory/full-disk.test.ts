import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock, systemTimers } from '../../../src/base/clock.ts';
import { systemFileSystem } from '../../../src/base/file-system.ts';
import { systemRandom } from '../../../src/base/random.ts';
import {
  type DataDirectory,
  openDataDirectory,
} from '../../../src/storage/data-directory/data-directory.ts';

const MIB = 1024 * 1024;
const SIZE = 320 * MIB;
const BALLAST = 32 * MIB;

let place = '';
let isMounted = false;

// A small file system of its own, in memory: only root may mount one.
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'tephra-full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', place], {
      stdio: 'ignore',
    });
    isMounted = true;
  } catch {
    process.stdout.write('  full disk: skipped, this user may not mount a tmpfs\n');
  }
});
afterAll(() => {
  if (isMounted) execFileSync('umount', ['-l', place]);
  rmSync(place, { recursive: true, force: true });
});

function open(): Promise<DataDirectory> {
  return openDataDirectory({
    path: join(place, 'data'),
    fs: systemFileSystem,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    ballastBytes: BALLAST,
  });
}

/** Takes all room that is left, to the last byte. */
function fill(name: string): void {
  const file = join(place, name);
  for (const step of [MIB, 4_096, 64]) {
    for (let whole = Buffer.alloc(step); ;) {
      try {
        writeFileSync(file, whole, { flag: 'a' });
      } catch {
        break;
      }
    }
  }
}

const keyOf = (i: number): string =>
  `raw/20260314-06/f/20260314-06/00/0000000001/${String(i).padStart(10, '0')}`;
const blobOf = (i: number): Uint8Array => new Uint8Array(200_000).fill(i);

test('a full disk stops writes with storage_full, reads go on, and writes resume by themselves', async () => {
  if (!isMounted) return;
  mkdirSync(place, { recursive: true });
  let directory = await open();
  await directory.tend();
  expect(statSync(join(place, 'data/ballast')).size).toBe(BALLAST);
  const stored: number[] = [];
  const write = async (from: number, count: number): Promise<string> => {
    for (let i = from; i < from + count; i++) {
      try {
        // Not by the ledger: it would take these bytes for fragments.
        await directory.level.put(keyOf(i), blobOf(i));
        stored.push(i);
      } catch (error) {
        return String(error);
      }
    }
    return 'stored';
  };
  const expectAll = async (): Promise<void> => {
    for (const i of stored) {
      expect([
        i,
        Buffer.compare((await directory.level.get(keyOf(i))) ?? Buffer.alloc(0), blobOf(i)),
      ]).toEqual([i, 0]);
    }
  };
  let next = 1;
  for (let cycle = 0; cycle < 3; cycle++) {
    expect(await write(next, 20)).toBe('stored');
    fill('hog');
    // The log has room in it until its file must grow.
    const outcome = await write(next + 20, 400);
    expect(outcome).toMatch(/storage_full/);
    expect(await write(next + 500, 1)).toMatch(/storage_full/);
    expect(directory.level.stats().diskFull).toBe(true);
    await expectAll();
    // Ends and starts with nothing free: on the room of the ballast.
    await directory.tend().catch(() => {});
    await directory.close();
    // As after `kill -9`: the ballast is there, and not a byte beside it.
    if (cycle > 0) writeFileSync(join(place, 'data/ballast'), Buffer.alloc(BALLAST - 4 * MIB));
    fill('hog2');
    if (cycle === 0) rmSync(join(place, 'hog2'));
    directory = await open();
    await expectAll();
    expect(await write(next + 600, 1)).toMatch(/storage_full/);
    for (const hog of ['hog', 'hog2']) rmSync(join(place, hog), { force: true });
    expect(await write(next + 700, 5)).toBe('stored');
    await directory.tend();
    expect(statSync(join(place, 'data/ballast')).size).toBe(BALLAST);
    next += 1_000;
  }
  await expectAll();
  await directory.close();
}, 60_000);
