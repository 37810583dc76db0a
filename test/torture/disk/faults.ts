import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { replayOf, seedsOf, type Campaign } from '../campaign.ts';
import { scratch } from '../scratch.ts';
import { behindShim, buildShim, CALLS, ERRNOS, type Call, type Errno } from './shim.ts';

const LOADER = join(import.meta.dirname, '../../support/typescript.mjs');
const PROGRAM = join(import.meta.dirname, 'faults.child.ts');
/** A child that says nothing for so long hangs. */
const SILENCE_MS = 60_000;
/** Steps of the workload, and every how manieth call fails. */
const LONG = { steps: 8, stride: 1 };
const SHORT = { steps: 2, stride: 4 };

const NAMES = Object.keys(ERRNOS) as Errno[];
const PAIRS = CALLS.flatMap((call) => NAMES.map((errno) => `${call} ${errno}`));

interface Case {
  readonly begins?: true;
  readonly call: Call;
  readonly errno: Errno;
  readonly k: number;
  readonly fired?: boolean;
  /** What the client was doing. */
  readonly during?: string;
  readonly complaints?: readonly string[];
}

/** P8: each single call to the disk fails once, one after the other. */
export const faults: Campaign = {
  name: 'faults',
  what: 'the k-th open, write, flush, fsync, rename, unlink fails, for k = 1 until none does',
  short: { from: 1, to: 1 },
  long: { from: 1, to: 10 },
  slice: 1,
  async run({ seeds, long, tell }) {
    const figures: Record<string, number> = { faults: 0, 'cases without': 0, aborts: 0 };
    const count = (what: string): void => void (figures[what] = (figures[what] ?? 0) + 1);
    const failures: string[] = [];
    const folder = scratch('faults');
    try {
      const shim = buildShim(folder);
      if ('skipped' in shim) return { figures, failures, skipped: shim.skipped };
      for (const seed of seedsOf(seeds)) {
        // The short form: another error for each call, over a short workload.
        const plan = CALLS.flatMap((call, i) =>
          (long ? NAMES : [NAMES[(seed + i) % NAMES.length] ?? 'EIO']).map((errno) => ({
            call,
            errno,
          })),
        );
        const cases = runCases(folder, shim.path, seed, plan, long ? LONG : SHORT);
        for await (const one of cases) {
          if (one.fired) {
            count('faults');
            count(`${one.call} ${one.errno}`);
            if (one.during !== undefined) count(`during ${one.during}`);
          } else {
            count('cases without');
          }
          if (one.aborted === true) count('aborts');
          if (one.complaints.length > 0) {
            const text = one.complaints.join('\n  ');
            failures.push(
              `${replayOf('faults', seed)}: ${one.call} ${one.k} ${one.errno}\n  ${text}`,
            );
          }
        }
        if (long) tell(`  ${seed}: ${figures['faults']} faults, ${failures.length} broken`);
        if (failures.length > 40) break;
      }
      const unseen = long ? PAIRS.filter((pair) => figures[pair] === undefined) : [];
      for (const pair of unseen) failures.push(`no ${pair} fired: the shim does not see it`);
      return { figures, failures };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

interface Planned {
  readonly call: Call;
  readonly errno: Errno;
}

interface Done {
  readonly call: Call;
  readonly errno: Errno;
  readonly k: number;
  readonly fired: boolean;
  readonly during?: string;
  readonly aborted?: boolean;
  readonly complaints: readonly string[];
}

/** All cases of a plan; a child that dies is followed by one that goes on behind its case. */
async function* runCases(
  folder: string,
  shim: string,
  seed: number,
  plan: readonly Planned[],
  { steps, stride }: typeof LONG,
): AsyncIterable<Done> {
  let rest = [...plan];
  let k = 1;
  while (rest.length > 0) {
    const root = join(folder, 'data');
    const pairs = rest.map(({ call, errno }) => `${call}:${errno}`).join(',');
    const args = [root, String(seed), String(steps), pairs, String(k), String(stride)];
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '--import', LOADER, PROGRAM, ...args],
      { env: behindShim(shim, root, { fast: true }), stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const said: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
    let open: Case | undefined;
    let silence = setTimeout(() => child.kill('SIGKILL'), SILENCE_MS);
    const closed = once(child, 'close') as Promise<[number | null, string | null]>;
    for await (const line of createInterface({ input: child.stdout })) {
      clearTimeout(silence);
      silence = setTimeout(() => child.kill('SIGKILL'), SILENCE_MS);
      const one = JSON.parse(line) as Case;
      open = one.begins === true ? one : undefined;
      if (one.begins === true) continue;
      yield { ...one, fired: one.fired === true, complaints: one.complaints ?? [] };
    }
    clearTimeout(silence);
    const [code, signal] = await closed;
    if (open === undefined && code === 0) return;
    const at = open ?? { ...(rest[0] as Planned), k };
    const text = said.join('').slice(-600);
    yield {
      ...at,
      fired: true,
      aborted: true,
      complaints: [`ended by ${signal ?? code}: ${text}`],
    };
    rest = rest.slice(rest.findIndex(({ call, errno }) => call === at.call && errno === at.errno));
    k = at.k + stride;
  }
}
