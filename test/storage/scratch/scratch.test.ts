import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Timers } from '../../../src/base/clock.ts';
import { systemFileSystem, type FileSystem } from '../../../src/base/file-system.ts';
import type { Scratch, ScratchOptions } from '../../../src/storage/scratch/scratch.ts';
import { temporaryScratch } from '../../support/scratch.ts';

let folder = '';
const made: Scratch[] = [];

async function scratchIn(options: Partial<ScratchOptions> = {}): Promise<Scratch> {
  folder = await mkdtemp(join(tmpdir(), 'tephra-scratch-'));
  const scratch = temporaryScratch({ directory: join(folder, 'answers'), ...options });
  made.push(scratch);
  return scratch;
}
afterEach(async () => {
  for (const scratch of made.splice(0)) await scratch.close();
  await rm(folder, { recursive: true, force: true });
});

const bytes = (size: number, first = 0): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (first + i) % 251);

const systemError = (code: string): Error => Object.assign(new Error(code), { code });

/** A file system whose scratch files fail to write from the `from`th write on. */
function failing(code: string, from = 1): FileSystem {
  let writes = 0;
  return {
    ...systemFileSystem,
    async openScratch(path) {
      const handle = await systemFileSystem.openScratch(path);
      return {
        ...handle,
        writeAt: (offset, data) =>
          ++writes < from ? handle.writeAt(offset, data) : Promise.reject(systemError(code)),
      };
    },
  };
}

describe('a scratch', () => {
  test('gives back what was written, in any pieces, and the buffer to its writer', async () => {
    const scratch = await scratchIn();
    const writer = scratch.writer();
    const file = await writer.create();
    const slice = bytes(1_000);
    expect(await writer.append(file, slice, 700)).toBe(slice);
    await writer.append(file, bytes(300, 9), 300);
    expect([scratch.files, scratch.bytes]).toEqual([1, 1_000]);
    const taken = scratch.take(file);
    expect(taken.byteLength).toBe(1_000);
    const into = new Uint8Array(800);
    expect(await taken.read(600, into)).toBe(400);
    expect(into.subarray(0, 100)).toEqual(bytes(700).subarray(600));
    expect(into.subarray(100, 400)).toEqual(bytes(300, 9));
    taken.close();
    taken.close();
    expect([scratch.files, scratch.bytes]).toEqual([0, 0]);
    await expect(taken.read(0, into)).rejects.toMatchObject({ reason: 'canceled' });
  });

  test('has no name in its folder, so that a crash leaves nothing', async () => {
    const scratch = await scratchIn();
    const writer = scratch.writer();
    await writer.append(await writer.create(), bytes(10), 10);
    expect(await readdir(join(folder, 'answers'))).toEqual([]);
  });

  test('drops what a writer gives up, or leaves behind when it ends; not what was taken', async () => {
    const scratch = await scratchIn();
    const writer = scratch.writer();
    const other = scratch.writer();
    const files = [await writer.create(), await writer.create(), await other.create()];
    await other.drop(files[0] as number);
    expect(scratch.files).toBe(3);
    await writer.drop(files[0] as number);
    await writer.drop(files[0] as number);
    expect(scratch.files).toBe(2);
    scratch.take(files[1] as number);
    writer.end();
    expect(scratch.files).toBe(2);
    other.end();
    expect(scratch.files).toBe(1);
    await expect(writer.append(files[0] as number, bytes(1), 1)).rejects.toMatchObject({
      reason: 'canceled',
    });
    expect(() => scratch.take(files[2] as number)).toThrow(/worker_died/);
  });

  test('drops a file that is made for a writer that has ended', async () => {
    const scratch = await scratchIn();
    const writer = scratch.writer();
    const late = writer.create();
    writer.end();
    await late;
    expect(scratch.files).toBe(0);
  });

  test('bounds all files together, but lets one that is alone be larger', async () => {
    const scratch = await scratchIn({ limits: { totalBytesMax: 100, fileBytesMax: 1_000 } });
    const writer = scratch.writer();
    const [first, second] = [await writer.create(), await writer.create()];
    await writer.append(first, bytes(500), 500);
    await expect(writer.append(second, bytes(1), 1)).rejects.toMatchObject({
      reason: 'overloaded',
    });
    await writer.append(first, bytes(500), 500);
    await expect(writer.append(first, bytes(1), 1)).rejects.toMatchObject({
      reason: 'query_limit',
    });
    expect(scratch.bytes).toBe(1_000);
    await writer.drop(first);
    await writer.append(second, bytes(1), 1);
  });

  test('leaves room on the disk', async () => {
    let free = 1_000;
    const fs: FileSystem = { ...systemFileSystem, freeBytes: () => Promise.resolve(free) };
    const scratch = await scratchIn({ fs, limits: { freeBytesMin: 900 } });
    const writer = scratch.writer();
    const file = await writer.create();
    await writer.append(file, bytes(100), 100);
    free = 950;
    await expect(writer.append(file, bytes(100), 100)).rejects.toMatchObject({
      reason: 'storage_full',
    });
  });

  test.each([
    ['ENOSPC', 'storage_full'],
    ['EDQUOT', 'storage_full'],
    ['EMFILE', 'overloaded'],
    ['EIO', 'scratch_failed'],
  ])('tells a write that fails with %s as %s, and goes on', async (code, reason) => {
    const scratch = await scratchIn({ fs: failing(code, 2) });
    const writer = scratch.writer();
    const file = await writer.create();
    await writer.append(file, bytes(5), 5);
    await expect(writer.append(file, bytes(5), 5)).rejects.toMatchObject({ reason });
    await writer.drop(file);
    expect([scratch.files, scratch.bytes]).toEqual([0, 0]);
  });

  test.each([
    ['openScratch', 'ENOSPC', 'storage_full'],
    ['openScratch', 'EMFILE', 'overloaded'],
    ['mkdir', 'ENOSPC', 'storage_full'],
  ])('tells that %s failed with %s as %s', async (call, code, reason) => {
    const fs = { ...systemFileSystem, [call]: () => Promise.reject(systemError(code)) };
    const scratch = await scratchIn({ fs });
    await expect(scratch.writer().create()).rejects.toMatchObject({ reason });
    expect(scratch.files).toBe(0);
  });

  test('gives up what was taken and is not read for long', async () => {
    const waiting = new Set<() => void>();
    const timers: Timers = {
      after(delayMs, callback) {
        expect(delayMs).toBe(77);
        waiting.add(callback);
        return () => waiting.delete(callback);
      },
      yield: () => Promise.resolve(),
    };
    const scratch = await scratchIn({ timers, limits: { idleMs: 77 } });
    const writer = scratch.writer();
    const file = await writer.create();
    await writer.append(file, bytes(5), 5);
    expect(waiting.size).toBe(0);
    const taken = scratch.take(file);
    const [first] = waiting;
    await taken.read(0, new Uint8Array(2));
    expect(waiting.has(first as () => void)).toBe(false);
    expect(waiting.size).toBe(1);
    for (const fire of waiting) fire();
    expect(scratch.files).toBe(0);
  });
});
