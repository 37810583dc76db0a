/**
 * npm run torture -- NAME [--seeds a..b] [--long] [--first]
 *
 * Runs one campaign (`all`: each in turn) and exits with 1 if a promise broke. A long run appends
 * its date, commit, machine and figures to docs/reliability.md.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import {
  addFigures,
  parseSeeds,
  slicesOf,
  type Campaign,
  type CampaignReport,
  type SeedRange,
} from './campaign.ts';
import { CAMPAIGNS } from './registry.ts';

const ROOT = join(import.meta.dirname, '../..');
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Of the code that runs: others may land while it does. */
const COMMIT = commit();

const words = process.argv.slice(2);
const long = words.includes('--long');
const seedsAt = words.indexOf('--seeds');
const seeds = seedsAt < 0 ? undefined : parseSeeds(words[seedsAt + 1] ?? '');
const [name] = words;
/** After one the hunt for a planted bug is over. */
const failuresMax = words.includes('--first') ? 1 : 20;
const chosen = CAMPAIGNS.filter((campaign) => name === 'all' || campaign.name === name);

if (chosen.length === 0 || (seedsAt >= 0 && seeds === undefined)) {
  say('usage: npm run torture -- NAME [--seeds a..b] [--long] [--first]');
  for (const campaign of CAMPAIGNS) say(`  ${campaign.name.padEnd(12)} ${campaign.what}`);
  process.exitCode = 2;
} else {
  for (const campaign of chosen) await run(campaign, seeds ?? campaign[long ? 'long' : 'short']);
}

/**
 * A long run goes slice by slice: what one found is told at once, and the row in the document grows
 * with each, so that a run that is stopped has counted for what it did.
 */
async function run(campaign: Campaign, range: SeedRange): Promise<void> {
  say(`${campaign.name}: seeds ${range.from}..${range.to}${long ? ' (long)' : ''}`);
  const startedMs = performance.now();
  let broken = 0;
  let figures: CampaignReport['figures'] = {};
  let row: string | undefined;
  for (const slice of slicesOf(range, long ? campaign.slice : Infinity)) {
    const report = await campaign.run({ seeds: slice, long, failuresMax, tell: say });
    if (report.skipped !== undefined) {
      say(`${campaign.name}: skipped: ${report.skipped}`);
      return;
    }
    for (const failure of report.failures) say(`BROKEN ${failure}`);
    broken += report.failures.length;
    figures = addFigures(figures, report.figures);
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    say(`${campaign.name}: to ${slice.to}: ${show(figures)}; ${broken} broken, ${seconds} s`);
    if (long) {
      const reached = { from: range.from, to: slice.to };
      row = record(rowOf(campaign, reached, figures, broken, seconds), row);
    }
    if (broken >= failuresMax) break;
  }
  if (broken > 0) process.exitCode = 1;
}

function show(figures: CampaignReport['figures']): string {
  return Object.entries(figures)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ');
}

function rowOf(
  campaign: Campaign,
  range: SeedRange,
  figures: CampaignReport['figures'],
  broken: number,
  seconds: number,
): string {
  const cells = [
    new Date().toISOString().slice(0, 10),
    COMMIT,
    `${cpus().length} x ${cpus()[0]?.model.trim() ?? '?'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`,
    campaign.name,
    `${range.from}..${range.to}`,
    show(figures),
    broken,
    seconds,
  ];
  return `| ${cells.join(' | ')} |`;
}

/**
 * Appends a row below the heading `## Runs`, the last of the document, or puts it in the place of the
 * one that this run wrote before; others may have appended theirs, and padded the table, meanwhile.
 */
function record(row: string, before: string | undefined): string {
  const path = join(ROOT, 'docs/reliability.md');
  const heading = '## Runs';
  let text = existsSync(path) ? readFileSync(path, 'utf8') : '# Reliability\n';
  if (!text.includes(heading)) {
    text += `\n${heading}\n\n| date | commit | machine | campaign | seeds | figures | broken | s |\n`;
    text += '| --- | --- | --- | --- | --- | --- | --- | --- |\n';
  }
  const bare = (line: string): string => line.replaceAll(/\s+/g, ' ').trim();
  const lines = text.trimEnd().split('\n');
  const at = before === undefined ? -1 : lines.findLastIndex((line) => bare(line) === bare(before));
  if (at < 0) lines.push(row);
  else lines[at] = row;
  writeFileSync(path, `${lines.join('\n')}\n`);
  return row;
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}
