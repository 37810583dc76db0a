import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seedsOf, type Campaign } from '../campaign.ts';
import { BUGS, type Bug } from './list.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Who looks for the bugs, the quickest first. `kill` needs a compiler and is left out. */
const SEEKERS = ['simulation', 'power', 'damage', 'faults'] as const;
const PATIENCE_MS = 600_000;
/** What the long form asks on top, the quickest first: some ten times the seeds of the short forms. */
const LONGER = [
  ['simulation', '251..5000'],
  ['damage', '13..160'],
  ['power', '2..6'],
  ['faults', '2..6'],
] as const;
/** What the short forms have to find. */
const SHORT_FINDS_MIN = 12;

/** The campaigns under fire: each bug is planted in a copy of the product, and has to be found. */
export const planted: Campaign = {
  name: 'planted',
  what: 'plants one bug at a time (seeds are their numbers); says which campaign finds it',
  short: { from: 1, to: BUGS.length },
  long: { from: 1, to: BUGS.length },
  slice: 4,
  async run({ seeds, long, tell }) {
    const figures: Record<string, number> = { bugs: 0, found: 0 };
    const failures: string[] = [];
    const copy = mkdtempSync(join(tmpdir(), 'tephra-planted-'));
    try {
      for (const name of ['src', 'test', 'package.json']) {
        cpSync(join(ROOT, name), join(copy, name), { recursive: true });
      }
      symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
      const missed: string[] = [];
      if (sound === undefined) {
        // Twice: on a busy machine one of them may be too late for once.
        sound = SEEKERS.filter((seeker) => !breaks(copy, seeker, []) || !breaks(copy, seeker, []));
        for (const seeker of SEEKERS) {
          if (!sound.includes(seeker)) failures.push(`${seeker} is broken without a planted bug`);
        }
      }
      const seekers = sound;
      for (const number of seedsOf(seeds)) {
        const bug = BUGS[number - 1];
        if (bug === undefined) break;
        figures['bugs'] = (figures['bugs'] ?? 0) + 1;
        const finder = find(copy, bug, seekers, long);
        const title = `${number} ${bug.site}: ${bug.mistake}`;
        tell(`  ${title}: ${finder ?? 'NOT FOUND'}`);
        if (finder === undefined) missed.push(title);
        else if (finder === 'gone') failures.push(`${title}: ${bug.file} does not hold it once`);
        else {
          figures['found'] = (figures['found'] ?? 0) + 1;
          figures[`by ${finder}`] = (figures[`by ${finder}`] ?? 0) + 1;
        }
      }
      const all = figures['bugs'] === BUGS.length;
      if (long) failures.push(...missed.map((title) => `${title}: not found`));
      else if (all && (figures['found'] ?? 0) < SHORT_FINDS_MIN) {
        failures.push(`the short forms find ${figures['found']}, not ${SHORT_FINDS_MIN}`);
      }
      return { figures, failures };
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  },
};

/** The seekers that are green without a bug; they are asked once. */
let sound: readonly string[] | undefined;

/** The first campaign that breaks, undefined if none does, `gone` where the bug no longer applies. */
function find(
  copy: string,
  bug: Bug,
  seekers: readonly string[],
  long: boolean,
): string | undefined {
  const path = join(copy, bug.file);
  const source = readFileSync(path, 'utf8');
  if (source.split(bug.find).length !== 2) return 'gone';
  writeFileSync(
    path,
    source.replace(bug.find, () => bug.replace),
  );
  try {
    for (const seeker of seekers) if (breaks(copy, seeker, [])) return seeker;
    if (!long) return undefined;
    for (const [seeker, range] of LONGER) {
      const isSound = seekers.some((one) => one === seeker);
      if (isSound && breaks(copy, seeker, ['--seeds', range])) return `${seeker} (long)`;
    }
    return undefined;
  } finally {
    writeFileSync(path, source);
  }
}

function breaks(copy: string, campaign: string, flags: readonly string[]): boolean {
  const run = spawnSync(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--import',
      './test/support/typescript.mjs',
      'test/torture/main.ts',
      campaign,
      '--first',
      ...flags,
    ],
    { cwd: copy, encoding: 'utf8', timeout: PATIENCE_MS },
  );
  // A promise that broke is said to be. Else the machine was slow, or the bug is no program.
  if (run.stdout.includes('\nBROKEN ')) return true;
  const isSlow = (run.error as { code?: string } | undefined)?.code === 'ETIMEDOUT';
  if (run.status === 0 || isSlow) return false;
  throw new Error(`${campaign} does not run:\n${run.stdout}${run.stderr}`);
}
