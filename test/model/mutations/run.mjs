/**
 * Changes one line of the product at a time, in a copy, and asks the model test to notice. Each
 * mutation must go red; one that survives, or no longer applies, fails the run.
 *
 *     npm run mutations                 all of them
 *     npm run mutations -- gcd root     those whose name holds one of the words
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MUTATIONS } from './list.mjs';

const ROOT = new URL('../../../', import.meta.url).pathname;
/** Histories that a mutation has to be found in. */
const HISTORIES = process.env.TEPHRA_HISTORIES ?? '200';

const words = process.argv.slice(2);
const chosen = MUTATIONS.filter(
  ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
);

const copy = mkdtempSync(join(tmpdir(), 'tephra-mutations-'));
process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
for (const name of ['src', 'test', 'package.json', 'jest.config.js']) {
  cpSync(join(ROOT, name), join(copy, name), { recursive: true });
}
symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));

let failures = 0;
const report = (passed, text) => {
  if (!passed) failures++;
  process.stdout.write(`${passed ? 'ok  ' : 'FAIL'} ${text}\n`);
};

for (const within of new Set(chosen.map((mutation) => mutation.within))) {
  const { green, seed } = runModel('60', within);
  report(green, `${within ?? 'the copy'} without a mutation is green${green ? '' : `: ${seed}`}`);
}
// A run that is red by itself notices everything.
if (failures > 0) process.exit(1);
for (const mutation of chosen) {
  const edits = mutation.edits ?? [mutation];
  const stale = edits.find(({ file, find }) => sourceOf(file).split(find).length !== 2);
  if (stale !== undefined) {
    report(false, `${mutation.name}: ${stale.file} does not hold the line once`);
    continue;
  }
  for (const { file, find, replace } of edits) {
    const mutated = sourceOf(file).replace(find, () => replace);
    writeFileSync(join(copy, file), mutated);
  }
  const { green, seed } = runModel(HISTORIES, mutation.within);
  for (const { file } of edits) writeFileSync(join(copy, file), sourceOf(file));
  report(!green, `${mutation.name}: ${green ? 'not noticed' : `noticed by history ${seed}`}`);
}
process.stdout.write(`${chosen.length} mutations, ${failures} failed\n`);
process.exitCode = failures === 0 ? 0 : 1;

/** The file as it is without a mutation. */
function sourceOf(file) {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** The model test over the memory store; green, or the seed of the history that was not. */
function runModel(histories, within = 'test/model/model') {
  const run = spawnSync(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      join(ROOT, 'node_modules/jest/bin/jest.js'),
      within,
      '-t',
      'over the memory store',
      '--forceExit',
      '--reporters=default',
    ],
    {
      cwd: copy,
      encoding: 'utf8',
      env: { ...process.env, TEPHRA_HISTORIES: histories },
      timeout: 600_000,
    },
  );
  const text = run.stdout + run.stderr;
  const seed = /history (\d+) \(/.exec(text)?.[1];
  if (process.env.TEPHRA_VERBOSE !== undefined) process.stdout.write(text);
  return { green: run.status === 0, seed: seed ?? `none (${text.slice(0, 300)})` };
}
