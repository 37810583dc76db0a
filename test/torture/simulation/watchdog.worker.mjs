import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

/** A history takes some hundredths of a second. */
const SECONDS_MAX = 180;

const { beat, campaign } = workerData;
let seed = 0;
// Counted, not measured: a machine that slept is no history without an end.
let seconds = 0;
setInterval(() => {
  const now = Atomics.load(beat, 0);
  seconds = now === seed ? seconds + 1 : 0;
  seed = now;
  if (seed === 0 || seconds < SECONDS_MAX) return;
  const replay = `npm run torture -- ${campaign} --seeds ${seed}..${seed}`;
  writeSync(2, `BROKEN ${replay}\nno end after ${seconds} s\n`);
  process.kill(process.pid, 'SIGKILL');
}, 1_000);
