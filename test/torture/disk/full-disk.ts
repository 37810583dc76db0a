import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { replayOf, seedsOf, type Campaign } from '../campaign.ts';
import { scratch } from '../scratch.ts';
import { behindShim, buildShim } from './shim.ts';

const LOADER = join(import.meta.dirname, '../../support/typescript.mjs');
const PROGRAM = join(import.meta.dirname, 'full-disk.child.ts');
/** A child that says nothing for so long hangs. */
const SILENCE_MS = 60_000;
/** Cycles of a seed, in one directory. */
const CYCLES = { long: 10, short: 4 };

/** A line of the child. */
interface Line {
  readonly what?: string;
  readonly times?: number;
  readonly complaint?: string;
}

/** P7: the disk fills and is freed again, time after time. */
export const fullDisk: Campaign = {
  name: 'full-disk',
  what: 'room runs out and returns: refusals, reads, clean ends, kills and starts at zero bytes',
  short: { from: 3, to: 3 },
  long: { from: 1, to: 10 },
  slice: 10,
  async run({ seeds, long, tell }) {
    const figures: Record<string, number> = { cycles: 0, acknowledged: 0, refused: 0 };
    const failures: string[] = [];
    const folder = scratch('full-disk');
    try {
      const shim = buildShim(folder);
      if ('skipped' in shim) return { figures, failures, skipped: shim.skipped };
      for (const seed of seedsOf(seeds)) {
        const cycles = long ? CYCLES.long : CYCLES.short;
        const complaints: string[] = [];
        for await (const { what, times = 1, complaint } of runCycles(
          join(folder, String(seed)),
          shim.path,
          seed,
          cycles,
        )) {
          if (what !== undefined) figures[what] = (figures[what] ?? 0) + times;
          if (complaint !== undefined) complaints.push(complaint);
        }
        if (complaints.length > 0) {
          failures.push(`${replayOf('full-disk', seed)}\n  ${complaints.slice(0, 8).join('\n  ')}`);
        }
        if (long) tell(`  ${seed}: ${figures['cycles']} cycles, ${failures.length} broken`);
      }
      return { figures, failures };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

/** All cycles of a seed; a child that ended itself is followed by one that starts with nothing free. */
async function* runCycles(
  folder: string,
  shim: string,
  seed: number,
  cycles: number,
): AsyncIterable<Line> {
  const root = join(folder, 'data');
  mkdirSync(root, { recursive: true });
  let done = 0;
  let room: number | undefined;
  for (;;) {
    const args = [root, join(folder, 'book'), String(seed), String(done + 1), String(cycles)];
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '--import', LOADER, PROGRAM, ...args],
      {
        env: behindShim(shim, root, { fast: true, ...(room === undefined ? {} : { room }) }),
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const said: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
    let isKilled = false;
    const silence = (): NodeJS.Timeout => setTimeout(() => child.kill('SIGKILL'), SILENCE_MS);
    let watch = silence();
    const closed = once(child, 'close') as Promise<[number | null, string | null]>;
    for await (const text of createInterface({ input: child.stdout })) {
      clearTimeout(watch);
      watch = silence();
      const line = JSON.parse(text) as Line;
      if (line.what === 'cycles') done++;
      isKilled = line.what === 'kills while full';
      yield line;
    }
    clearTimeout(watch);
    const [code, signal] = await closed;
    if (code === 0) return;
    if (!isKilled) {
      const text = said.join('').slice(-600);
      yield { complaint: `after cycle ${done}: ended by ${signal ?? code}: ${text}` };
      return;
    }
    room = 0;
  }
}
