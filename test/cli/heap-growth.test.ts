import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Keeps 30 MB and lets 200 MB become old and then garbage; prints the most that the old space held, in MB. */
const PROGRAM = `
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { boundHeapGrowth } from './src/cli/heap-growth.ts';
if (process.argv.includes('bounded')) boundHeapGrowth();
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const make = (count) => Array.from({ length: count }, (_, i) => ({ i, next: [i, i, i, i] }));
const kept = make(300_000);
collect();
let most = 0;
let passing = [];
for (let i = 0; i < 2_500; i++) {
  passing.push(make(800));
  if (passing.length > 20) passing = [];
  if (i % 10 === 0) collect({ type: 'minor' });
  const { space_used_size } = getHeapSpaceStatistics().find((one) => one.space_name === 'old_space');
  most = Math.max(most, space_used_size);
}
console.log(Math.round(most / 1e6), kept.length);
`;

function mostMegabytes(...flags: string[]): number {
  const run = spawnSync(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--import',
      './test/support/typescript.mjs',
      '--input-type=module',
      '-e',
      PROGRAM,
      ...flags,
    ],
    { cwd: ROOT, encoding: 'utf8' },
  );
  expect(run.stderr).toBe('');
  return Number(run.stdout.split(' ')[0]);
}

test('a heap does not grow to more than about twice what lives in it', () => {
  // What is under way is old too, and marking goes on while more comes.
  expect(mostMegabytes('bounded')).toBeLessThan(0.8 * mostMegabytes());
});
