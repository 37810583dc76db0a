import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { scratch } from '../scratch.ts';
import { join } from 'node:path';
import { Dice } from '../../model/dice.ts';
import { replayOf, seedsOf, type Campaign } from '../campaign.ts';
import { Disk, readJournal } from './journal.ts';
import { behindShim, buildShim } from './shim.ts';
import { newBook, verify, type Book } from './workload.ts';

const LOADER = join(import.meta.dirname, '../../support/typescript.mjs');
const PROGRAM = join(import.meta.dirname, 'power.child.ts');

/** P1: every byte and every name that was not synced is gone. */
export const power: Campaign = {
  name: 'power',
  what: 'power cuts at the syncs of a workload; all that was not synced is discarded',
  short: { from: 1, to: 1 },
  long: { from: 1, to: 60 },
  slice: 1,
  async run({ seeds, long, failuresMax, tell }) {
    const folder = scratch('power');
    const figures = { syncs: 0, cuts: 0, torn: 0, acknowledged: 0, 'controls that fail': 0 };
    const failures: string[] = [];
    try {
      const shim = buildShim(folder);
      if ('skipped' in shim) return { figures, failures, skipped: shim.skipped };
      for (const seed of seedsOf(seeds)) {
        if (failures.length >= failuresMax) break;
        const steps = long ? 120 : 40;
        const journal = await record(folder, shim.path, seed, steps, 'synced', failures);
        // A short form looks at some of the cuts, another seed at others.
        const cuts = await cut(folder, journal, seed, long ? 1 : 12, failuresMax);
        for (const text of cuts.broken) failures.push(`${replayOf('power', seed)}\n${text}`);
        figures.syncs += cuts.syncs;
        figures.cuts += cuts.cuts;
        figures.torn += cuts.torn;
        figures.acknowledged += cuts.acknowledged;
        if (long && seed % 4 !== 1) continue;
        const control = await record(folder, shim.path, seed, steps, 'unsynced', []);
        const { broken } = await cut(folder, control, seed, 5, 1);
        if (broken.length > 0) figures['controls that fail']++;
        else failures.push(`${replayOf('power', seed)}\nwithout syncs nothing was lost`);
        tell(`  ${seed}: ${figures.cuts} cuts at ${figures.syncs} syncs`);
      }
      return { figures, failures };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

/** Runs the workload behind the shim; returns its journal. */
async function record(
  folder: string,
  shim: string,
  seed: number,
  steps: number,
  mode: string,
  failures: string[],
): Promise<Buffer> {
  const root = join(folder, 'data');
  const journal = join(folder, 'journal');
  rmSync(root, { recursive: true, force: true });
  const args = ['--disable-warning=ExperimentalWarning', '--import', LOADER, PROGRAM, root];
  const child = spawn(process.execPath, [...args, String(seed), String(steps), mode], {
    env: behindShim(shim, root, { journal, fast: true }),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => said.push(chunk));
  }
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (code !== 0) {
    failures.push(
      `${replayOf('power', seed)}\n${code ?? signal}: ${Buffer.concat(said).toString()}`,
    );
  }
  return readFileSync(journal);
}

interface Cuts {
  syncs: number;
  cuts: number;
  torn: number;
  acknowledged: number;
  readonly broken: string[];
}

/** Cuts the power after each `every`-th sync, and looks at what is left. */
async function cut(
  folder: string,
  journal: Buffer,
  seed: number,
  every: number,
  failuresMax: number,
): Promise<Cuts> {
  const root = join(folder, 'data');
  const dice = new Dice(seed);
  const disk = new Disk();
  const book = newBook();
  const result: Cuts = { syncs: 0, cuts: 0, torn: 0, acknowledged: 0, broken: [] };
  for (const entry of readJournal(journal)) {
    if (entry.op === 'N') take(book, entry.bytes.toString());
    if (!disk.take(entry)) continue;
    result.syncs++;
    if ((result.syncs + seed) % every !== 0) continue;
    // Between this sync and the next: what was acknowledged so far hangs on it.
    const torn = dice.chance(40);
    const into = join(folder, 'cut');
    disk.leave(root, into, torn ? dice : undefined);
    const complaints = await verify(into, book);
    rmSync(into, { recursive: true, force: true });
    result.cuts++;
    if (torn) result.torn++;
    for (const text of complaints.slice(0, 3)) {
      result.broken.push(`after sync ${result.syncs}${torn ? ' (torn)' : ''}: ${text}`);
    }
    if (result.broken.length >= failuresMax) break;
  }
  result.acknowledged = book.acknowledged.size;
  return result;
}

/** Takes a note of the workload: a push that was sent, or acknowledged. */
export function take(book: Book, text: string): void {
  const [what, id = '', nowMs = ''] = text.split(' ');
  if (what === 'sent') {
    book.sent.add(Number(id));
    book.nowMs = Math.max(book.nowMs, Number(nowMs));
  } else if (what === 'acknowledged') {
    book.acknowledged.add(Number(id));
  }
}
