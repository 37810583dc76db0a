/**
 * All small benches one after the other: `npm run bench [-- --quick]`. What each measures and how to
 * read it is in README.md.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BENCHES = [
  'fleet',
  'pprof-decode',
  'pprof-intern',
  'merge-kernel',
  'flamegraph',
  'commit',
  'absorb',
  'merge',
  'regression/main',
];

const failed = [];
for (const name of BENCHES) {
  console.log(`\n# ${name}`);
  const file = fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
  const args = process.argv.slice(2).includes('--quick') ? ['--quick', '--tiny'] : [];
  const { status } = spawnSync(process.execPath, [file, ...args], { stdio: 'inherit' });
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) {
  console.error(`\nbelow what they should reach: ${failed.join(', ')}`);
  process.exitCode = 1;
}
