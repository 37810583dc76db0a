/**
 * npm run torture -- NAME [--seeds a..b] [--long]
 *
 * Runs one campaign (`all`: each in turn) and exits with 1 if a promise broke. A long run appends
 * its date, commit, machine and figures to docs/reliability.md.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseSeeds, type Campaign, type CampaignReport, type SeedRange } from './campaign.ts';
import { CAMPAIGNS } from './registry.ts';

const ROOT = join(import.meta.dirname, '../..');
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const words = process.argv.slice(2);
const long = words.includes('--long');
const seedsAt = words.indexOf('--seeds');
const seeds = seedsAt < 0 ? undefined : parseSeeds(words[seedsAt + 1] ?? '');
const [name] = words;
const chosen = CAMPAIGNS.filter((campaign) => name === 'all' || campaign.name === name);

if (chosen.length === 0 || (seedsAt >= 0 && seeds === undefined)) {
  say('usage: npm run torture -- NAME [--seeds a..b] [--long]');
  for (const campaign of CAMPAIGNS) say(`  ${campaign.name.padEnd(12)} ${campaign.what}`);
  process.exitCode = 2;
} else {
  for (const campaign of chosen) await run(campaign, seeds ?? campaign[long ? 'long' : 'short']);
}

async function run(campaign: Campaign, range: SeedRange): Promise<void> {
  say(`${campaign.name}: seeds ${range.from}..${range.to}${long ? ' (long)' : ''}`);
  const startedMs = performance.now();
  const report = await campaign.run({ seeds: range, long, tell: say });
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  if (report.skipped !== undefined) {
    say(`${campaign.name}: skipped: ${report.skipped}`);
    return;
  }
  for (const failure of report.failures) say(`BROKEN ${failure}`);
  const text = figuresOf(report);
  say(`${campaign.name}: ${text}; ${report.failures.length} broken, ${seconds} s`);
  if (report.failures.length > 0) process.exitCode = 1;
  if (long) record(campaign, range, report, seconds);
}

function figuresOf({ figures }: CampaignReport): string {
  return Object.entries(figures)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ');
}

/** One row below the heading `## Runs`, which is the last of the document. */
function record(
  campaign: Campaign,
  range: SeedRange,
  report: CampaignReport,
  seconds: number,
): void {
  const path = join(ROOT, 'docs/reliability.md');
  const heading = '## Runs';
  let text = existsSync(path) ? readFileSync(path, 'utf8') : '# Reliability\n';
  if (!text.includes(heading)) {
    text += `\n${heading}\n\n| date | commit | machine | campaign | seeds | figures | broken | s |\n`;
    text += '| --- | --- | --- | --- | --- | --- | --- | --- |\n';
  }
  const row = [
    new Date().toISOString().slice(0, 10),
    commit(),
    `${cpus().length} x ${cpus()[0]?.model.trim() ?? '?'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`,
    campaign.name,
    `${range.from}..${range.to}`,
    figuresOf(report),
    report.failures.length,
    seconds,
  ];
  writeFileSync(path, `${text.trimEnd()}\n| ${row.join(' | ')} |\n`);
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: ROOT,
      encoding: 'utf8',
    }).trim();
  } catch {
    return 'unknown';
  }
}
