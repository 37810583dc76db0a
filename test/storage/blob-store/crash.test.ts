import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock, systemTimers } from '../../../src/base/clock.ts';
import { systemFileSystem } from '../../../src/base/file-system.ts';
import { systemRandom } from '../../../src/base/random.ts';
import {
  type DataDirectory,
  openDataDirectory,
} from '../../../src/storage/data-directory/data-directory.ts';
import { same } from '../../contract/blob-store.ts';
import { temporaryDirectory } from './open-level.ts';

const LOADER = join(import.meta.dirname, '../../support/typescript.mjs');
const PROGRAM = join(import.meta.dirname, 'writer.child.ts');
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Starts a writer and collects what it acknowledged. */
function startWriter(path: string): { child: ChildProcess; acks: string[]; enough: Promise<void> } {
  const child = spawn(process.execPath, ['--import', LOADER, PROGRAM, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const acks: string[] = [];
  const enough = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      acks.push(line);
      if (acks.length === 60) resolve();
    });
    child.once('exit', (code) => reject(new TypeError(`the writer ended with ${code}`)));
  });
  return { child, acks, enough };
}

function open(path: string): Promise<DataDirectory> {
  return openDataDirectory({
    path,
    fs: systemFileSystem,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
  });
}

describe('a process that is killed while it writes', () => {
  it('has every acknowledged blob and marker, kept others out, and leaves the directory free', async () => {
    const path = await temporaryDirectory();
    const acknowledged: string[] = [];
    for (let life = 1; life <= 2; life++) {
      const { child, acks, enough } = startWriter(path);
      await enough;
      await expect(open(path)).rejects.toThrow(
        new RegExp(
          `^data_dir_in_use: held by pid ${child.pid} on host \\S+ since \\S+Z ` +
            `\\(listening on 127.0.0.1:4040\\): ${path}$`,
        ),
      );
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      expect(acks[0]).toBe(`open ${2 * life - 1}`);
      acknowledged.push(...acks.slice(1));
      const directory = await open(path);
      expect(directory.incarnation).toBe(2 * life);
      const { store } = directory;
      for (const ack of acknowledged) {
        const [key = '', number = ''] = ack.split(' ');
        const i = Number(number);
        const blob = new Uint8Array((i * 7919) % 150_000).fill(i % 251);
        expect([key, same(await store.get(key), blob)]).toEqual([key, true]);
        expect(await store.hasMarkers([`${key}/u`])).toEqual([true]);
      }
      for (const { key, size } of await store.list('raw/')) {
        expect((await store.get(key))?.byteLength).toBe(size);
      }
      expect(directory.level.stats().quarantined).toEqual([]);
      await directory.close();
    }
    expect(acknowledged.length).toBeGreaterThan(100);
  });
});
