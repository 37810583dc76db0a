/** The power cut without a shim: a real file system, whose image is copied while its writer stands still. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Dice } from '../../model/dice.ts';
import { replayOf, seedsOf, type Campaign } from '../campaign.ts';
import { scratch } from '../scratch.ts';
import { take } from './power.ts';
import { newBook, verify } from './workload.ts';

const LOADER = join(import.meta.dirname, '../../support/typescript.mjs');
const PROGRAM = join(import.meta.dirname, 'power-image.child.ts');
const IMAGE_MIB = 96;
const STEPS = 400;

/** P1 once more: what ext4 makes of our syncs, and not what our model of a disk does. */
export const image: Campaign = {
  name: 'image',
  what: 'the image of a mounted file system, copied while the writer is frozen; needs root, loop devices',
  short: { from: 1, to: 1 },
  long: { from: 1, to: 20 },
  slice: 2,
  async run({ seeds, long, tell }) {
    const figures = { cuts: 0, acknowledged: 0, 'controls that fail': 0 };
    const failures: string[] = [];
    const folder = scratch('image');
    try {
      const skipped = whyNot(folder);
      if (skipped !== undefined) return { figures, failures, skipped };
      for (const seed of seedsOf(seeds)) {
        const real = await cutAll(folder, seed, long ? 30 : 5, 'synced');
        figures.cuts += real.cuts;
        figures.acknowledged += real.acknowledged;
        for (const text of real.broken) failures.push(`${replayOf('image', seed)}\n${text}`);
        const control = await cutAll(folder, seed, 3, 'unsynced');
        if (control.broken.length > 0) figures['controls that fail']++;
        else failures.push(`${replayOf('image', seed)}\nwithout syncs nothing was lost`);
        tell(`  ${seed}: ${figures.cuts} cuts, ${failures.length} broken`);
      }
      return { figures, failures };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

/** Why no image can be mounted here; undefined if one can. */
function whyNot(folder: string): string | undefined {
  if (process.platform !== 'linux') return `no loop devices on ${process.platform}`;
  if (process.getuid?.() !== 0) return 'only root may mount';
  if (!existsSync('/dev/loop-control')) return 'no /dev/loop-control';
  try {
    withMounted(makeImage(join(folder, 'try')), join(folder, 'tried'), () => {});
  } catch (error) {
    return `an image cannot be mounted: ${String(error)}`;
  }
  return undefined;
}

function makeImage(path: string): string {
  run('truncate', ['-s', `${IMAGE_MIB}M`, path]);
  run('mkfs.ext4', ['-q', '-F', path]);
  return path;
}

function run(command: string, args: readonly string[]): void {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command}: ${error?.message ?? stderr.trim()}`);
}

/** Runs `work` while the image is mounted; it is not when this returns or throws. */
function withMounted<T>(path: string, at: string, work: () => T): T {
  mkdirSync(at, { recursive: true });
  run('mount', ['-o', 'loop', path, at]);
  const end = (): void => run('umount', [at]);
  let result: T;
  try {
    result = work();
  } catch (error) {
    end();
    throw error;
  }
  if (result instanceof Promise) return result.finally(end) as T;
  end();
  return result;
}

interface Found {
  cuts: number;
  acknowledged: number;
  readonly broken: string[];
}

/** One writer and the cuts during its life. */
function cutAll(folder: string, seed: number, cuts: number, mode: string): Promise<Found> {
  const source = makeImage(join(folder, 'image'));
  const place = join(folder, 'live');
  return withMounted(source, place, () => cutWhileWriting(folder, place, seed, cuts, mode));
}

async function cutWhileWriting(
  folder: string,
  place: string,
  seed: number,
  cuts: number,
  mode: string,
): Promise<Found> {
  const dice = new Dice(seed);
  const found: Found = { cuts: 0, acknowledged: 0, broken: [] };
  const notes = join(folder, 'notes');
  writeFileSync(notes, '');
  const args = ['--disable-warning=ExperimentalWarning', '--import', LOADER, PROGRAM];
  const child = spawn(
    process.execPath,
    [...args, join(place, 'data'), String(seed), String(STEPS), notes, mode],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const said: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk));
  const life = { over: false };
  const gone = once(child, 'close').then(() => (life.over = true));
  try {
    while (!readFileSync(notes, 'utf8').includes('acknowledged') && !life.over) await pause(20);
    for (let i = 0; i < cuts && !life.over; i++) {
      await pause(dice.whole(10, 250));
      child.kill('SIGSTOP');
      if (!(await standsStill(child.pid ?? 0))) break;
      // What was acknowledged by now is what the copy must have.
      const book = newBook();
      for (const line of readFileSync(notes, 'utf8').split('\n')) take(book, line);
      run('cp', ['--sparse=always', join(folder, 'image'), join(folder, 'cut')]);
      const complaints = await withMounted(join(folder, 'cut'), join(folder, 'after'), () =>
        verify(join(folder, 'after/data'), book),
      );
      found.cuts++;
      found.acknowledged = book.acknowledged.size;
      for (const text of complaints.slice(0, 3)) found.broken.push(`cut ${found.cuts}: ${text}`);
      child.kill('SIGCONT');
    }
  } finally {
    child.kill('SIGKILL');
    await gone;
  }
  if (said.length > 0) found.broken.push(Buffer.concat(said).toString());
  return found;
}

/** Waits until no thread of a stopped process is in the kernel any more; false if it ended. */
async function standsStill(pid: number): Promise<boolean> {
  for (;;) {
    let states: string[];
    try {
      const tasks = `/proc/${pid}/task`;
      states = readdirSync(tasks).map(
        (task) => /\) (\w)/.exec(readFileSync(join(tasks, task, 'stat'), 'utf8'))?.[1] ?? '',
      );
    } catch {
      return false;
    }
    if (states.every((state) => state === 'T')) return true;
    if (states.some((state) => state === 'Z' || state === 'X')) return false;
    await pause(2);
  }
}
