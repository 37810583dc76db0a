/**
 * Whether a stage became slower: CPU time of each as a multiple of a reference that never changes,
 * measured in turn, against the multiples in ratios.json. Never wall time, never milliseconds: a slow
 * or busy machine slows both.
 *
 *     npm run bench:regression [-- --save]
 *
 * Ends with 1 where a multiple grew by more than half twice in a row. `--save` writes the multiples down: do that with
 * the change that makes a stage cheaper, or dearer for a reason that its commit gives.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { measureTogether } from '../measure.mjs';
import { heading } from '../spent.mjs';
import { makeReference } from './reference.mjs';
import { makeStages } from './stages.mjs';

const FILE = new URL('ratios.json', import.meta.url);
/** A stage fails from here: runs of the same code differed by up to a quarter on a busy machine. */
const GROWTH_MOST = 1.5;
const tiny = process.argv.includes('--tiny');
const options = tiny
  ? { repetitions: 2, repetitionMs: 1, warmMs: 1 }
  : { repetitions: 25, repetitionMs: 20, warmMs: 200 };

const known = JSON.parse(readFileSync(FILE, 'utf8'));
const reference = makeReference();
console.log(heading('stages as multiples of the reference'));
const ratios = {};
const slower = [];
for (const [name, run] of makeStages(tiny ? 4 : 120)) {
  let ratio = ratioOf(name, run);
  const before = known[name];
  if (!tiny && grew(ratio, before)) ratio = Math.min(ratio, ratioOf(name, run));
  ratios[name] = Number(ratio.toPrecision(3));
  const change = before === undefined ? 'new' : `${(ratio / before).toFixed(2)} of ${before}`;
  console.log(`${name.padEnd(28)}${ratio.toFixed(3).padStart(9)}  ${change}`);
  if (grew(ratio, before)) slower.push(name);
}
if (process.argv.includes('--save')) {
  writeFileSync(FILE, `${JSON.stringify(ratios, null, 2)}\n`);
} else if (!tiny && slower.length > 0) {
  console.error(`slower than before: ${slower.join(', ')}`);
  process.exitCode = 1;
}

function ratioOf(name, run) {
  const [ours, theirs] = measureTogether(
    [
      [name, run],
      ['reference', reference],
    ],
    options,
  );
  return ours.medianMs / theirs.medianMs;
}

function grew(ratio, before) {
  return before !== undefined && ratio > before * GROWTH_MOST;
}
