import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Campaign, type CampaignOptions, type CampaignReport, replayOf } from '../campaign.ts';
import { scratch } from '../scratch.ts';
import type { Verdict } from './check.ts';
import { buildFixture } from './fixture.ts';
import type { Harm } from './harm.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Two deaths make a suspect, the third start sets the volume aside; up to four volumes may be harmed. */
const STARTS_MAX = 9;

type Row = Verdict & { readonly seed: number; readonly harms: readonly Harm[] };

/** P6: damage is told, costs only itself, and never makes an answer wrong without a word. */
export const damage: Campaign = {
  name: 'damage',
  what: 'flips, zeros, cuts, removes and swaps files; verify and a start must tell, answers stay right',
  short: { from: 1, to: 12 },
  long: { from: 1, to: 4_500 },
  slice: 100,
  run,
};

async function run({ seeds, failuresMax, tell }: CampaignOptions): Promise<CampaignReport> {
  const folder = scratch('damage');
  try {
    mkdirSync(folder, { recursive: true });
    const markers = await buildFixture(join(folder, 'whole'));
    writeFileSync(join(folder, 'markers.json'), JSON.stringify(markers));
    const rows: Row[] = [];
    let aborts = 0;
    const failures: string[] = [];
    for (let seed = seeds.from, attempt = 1; seed <= seeds.to;) {
      const broken = rows.filter((row) => row.failures.length > 0).length + failures.length;
      if (broken >= failuresMax) break;
      const to = Math.min(seeds.to, seed + 49);
      const child = spawnSync(
        process.execPath,
        [
          '--disable-warning=ExperimentalWarning',
          '--import',
          join(ROOT, 'test/support/typescript.mjs'),
          join(import.meta.dirname, 'child.ts'),
          folder,
          String(seed),
          String(to),
          String(attempt),
        ],
        { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 28 },
      );
      const done = child.stdout
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Row);
      rows.push(...done);
      const next = seed + done.length;
      if (child.signal !== null) {
        aborts++;
        attempt = done.length === 0 ? attempt + 1 : 2;
        if (attempt > STARTS_MAX) {
          failures.push(`seed ${next} still ends the process: ${replayOf('damage', next)}`);
          seed = next + 1;
          attempt = 1;
          continue;
        }
      } else if (child.status !== 0 || done.length === 0) {
        failures.push(`seed ${next}: exit ${child.status}: ${child.stderr.slice(0, 1_000)}`);
        seed = next + 1;
        attempt = 1;
        continue;
      } else attempt = 1;
      seed = next;
      if (rows.length % 500 < 100) tell(`  ${rows.length} damages, ${aborts} aborts`);
    }
    for (const row of rows) {
      for (const failure of row.failures) {
        const done = row.harms
          .map(({ how, file, detail }) => `${how} ${file} ${detail}`)
          .join('; ');
        failures.push(`seed ${row.seed} (${done}): ${failure}; ${replayOf('damage', row.seed)}`);
      }
    }
    return { figures: figuresOf(rows, aborts), failures };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function figuresOf(rows: readonly Row[], aborts: number): Record<string, number> {
  const figures: Record<string, number> = { directories: rows.length, damages: 0 };
  const add = (name: string, count = 1): void => {
    figures[name] = (figures[name] ?? 0) + count;
  };
  for (const { outcome, wrong, harms } of rows) {
    add(`outcome ${outcome}`);
    add('markers lost and told', wrong);
    for (const { how, kind } of harms) {
      add('damages');
      add(how);
      add(`of ${kind}`);
    }
  }
  figures['aborts of the process'] = aborts;
  return figures;
}
