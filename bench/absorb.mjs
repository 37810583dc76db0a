/**
 * Absorb and hour roll of fleet-100, and what an entry costs on disk.
 *
 *     npm run bench:absorb [-- --quick] [--minutes N] [--every N] [--workers N]
 *
 * An entry is one stack of one push, both its sample types together. All that waits is absorbed each
 * `--every` minutes of load; when the hour has closed it is rolled.
 */
import { LIMITS } from '../dist/base/limits.js';
import { heading, line, numberFlag, single, spend } from './spent.mjs';
import { tierBytes } from './engine.mjs';
import { Fleet } from './fleet.mjs';
import { loadFleet } from './filled-engine.mjs';

const BYTES_MOST = 2.5;
const quick = process.argv.includes('--quick');
const minutes = numberFlag('minutes', quick ? 4 : 60);
const every = numberFlag('every', quick ? 2 : 10);
const workers = numberFlag('workers', 0);
const fleet = new Fleet(quick ? { services: 2, pods: 2, stacks: 300, draws: 200 } : {});

console.log(heading(`absorb and roll, ${minutes} minutes, ${workers} workers`));
const absorbs = [];
let absorbMs = 0;
let before = 0;
const { bench, entries, ingestMs, closedMs, profiles } = await loadFleet(fleet, {
  minutes,
  workers,
  afterMinutes: every,
  async after({ engine }, nowMs) {
    const { entries_stored: stored } = await engine.counters();
    const { cpuMs } = await spend(() => engine.runJobs(Math.min(nowMs, fleet.startMs + 3_500_000)));
    absorbs.push((cpuMs * 1_000) / (stored - before));
    absorbMs += cpuMs;
    before = stored;
  },
});
console.log(`${profiles} profiles, ${entries} entries`);
console.log(single('ingest of plain pprof', ingestMs / profiles, 'CPU ms a profile'));
console.log(line('absorb', absorbs, 'CPU us an entry', 3));
console.log(single('  a profile', absorbMs / profiles, 'CPU ms', 3));
const absorbed = await tierBytes(bench.store, fleet.startMs);
const roll = await spend(() => bench.engine.runJobs(closedMs));
console.log(single('hour roll', (roll.cpuMs * 1_000) / entries, 'CPU us an entry', 3));
console.log(single('  a profile', roll.cpuMs / profiles, 'CPU ms', 3));
const rolled = await tierBytes(bench.store, fleet.startMs);
const { hours_rolled: hours } = await bench.engine.counters();
if (hours === 0) throw new Error('nothing was rolled');

report('after absorb', absorbed);
report('after the roll', rolled);
console.log(single('raw tier', absorbed.raw / entries, 'B an entry'));
files('after the roll');
// What the roll replaced is removed after the grace, and then the space is given back.
await bench.engine.runJobs(closedMs + LIMITS.graceMs);
await bench.tidy();
files('after the grace');
await bench.close();
bench.remove();
const most = Math.max(absorbed.blocks, rolled.blocks) / entries;
if (!quick && most > BYTES_MOST) {
  console.error(`expected at most ${BYTES_MOST} B an entry in blocks`);
  process.exitCode = 1;
}

function files(when) {
  const minutesFiles = bench.diskBytes('minutes') / entries;
  console.log(single(`${when}: files of the minutes`, minutesFiles, 'B an entry'));
  console.log(
    single(`${when}: files of the raw tier`, bench.diskBytes('raw') / entries, 'B an entry'),
  );
}

function report(when, { blocks, segments, blockCount }) {
  console.log(single(`${when}: blocks (${blockCount})`, blocks / entries, 'B an entry'));
  console.log(single(`${when}: dictionaries`, segments / entries, 'B an entry'));
}
