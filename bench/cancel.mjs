/**
 * What a cancelled merge of 30 days still costs the workers: `node bench/cancel.mjs [--quick]
 * [--workers 2] [--at 0.1] [--rest 250]`.
 *
 * A store in memory with profiles on each of 30 days, read by real worker threads. A merge over all of
 * it is cancelled after a part `at` of its time; then the CPU time of the process from `rest` ms after that,
 * for 1 s, less that of 1 s in which nothing was asked. Ends with 1 if it is 20 ms or more. And how long a
 * small push takes alone, and while a merge of all of it runs in the worker that owns its shard.
 */
import { heading, numberFlag, spread } from './spent.mjs';

const ROOT = process.env.TEPHRA_BUILD ?? new URL('../dist/', import.meta.url).href;
const load = (path) => import(new URL(path, ROOT).href);
const { createEngine } = await load('shards/create-engine.js');
const { MemoryBlobStore } = await load('storage/blob-store/memory.js');
const { systemClock, systemTimers } = await load('base/clock.js');
const { seededRandom } = await load('base/random.js');
const { TephraError } = await load('base/errors.js');

const quick = process.argv.includes('--quick');
const DAY_MS = 86_400_000;
const days = quick ? 5 : 30;
const profilesADay = quick ? 2 : 4;
const stacks = quick ? 500 : 3_000;
const workers = numberFlag('workers', 2);
const at = numberFlag('at', 0.1);
const restMs = numberFlag('rest', 250);
const WINDOW_MS = 1_000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const cpuOf = async (ms) => {
  const before = process.cpuUsage();
  await sleep(ms);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
};

const engine = await createEngine({
  store: new MemoryBlobStore(),
  workers,
  incarnation: 1,
  clock: systemClock,
  timers: systemTimers,
  random: seededRandom(1),
});
const nowMs = Date.now();
const services = ['shop', 'cart', 'mail', 'auth'];
for (let day = 0; day < days; day++) {
  for (let n = 0; n < profilesADay; n++) {
    const fromMs = nowMs - day * DAY_MS - n * 60_000 - 60_000;
    const lines = Array.from(
      { length: stacks },
      (_, i) => `main;serve;h${i % 40};d${day}_${i % 211};work${i % 997};leaf${i} ${(i % 7) + 1}\n`,
    );
    const payload = Buffer.from(lines.join(''));
    const items = services.map((service) => ({
      tenant: 'anonymous',
      labels: [
        ['service_name', service],
        ['__name__', 'process_cpu'],
      ],
      profileId: '',
      fromMs,
      untilMs: fromMs + 10_000,
      format: 'folded',
      surface: 'ingest',
      sampleRateHz: 100,
      payload,
      arrivalMs: nowMs,
    }));
    for (const { outcome, error } of await engine.push(items)) {
      if (outcome !== 'stored') throw new Error(error?.detail ?? outcome);
    }
  }
}
console.log(heading(`cancel, ${days} days, ${workers} workers`));
const request = {
  tenant: 'anonymous',
  selector: '{}',
  startMs: nowMs - 31 * DAY_MS,
  endMs: nowMs,
  profileType: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
};
let wholeMs = 0;
for (let run = 0; run < 2; run++) {
  const started = performance.now();
  await engine.flameGraph(request);
  wholeMs = performance.now() - started;
}
console.log(`a merge that is not cancelled takes ${wholeMs.toFixed(0)} ms`);
await sleep(1_000);
const after = [];
for (let run = 0; run < (quick ? 2 : 5); run++) {
  const idle = await cpuOf(WINDOW_MS);
  const controller = new AbortController();
  const merge = engine.flameGraph({ ...request, signal: controller.signal }).then(
    () => 'answered',
    (error) => TephraError.from(error).reason,
  );
  await sleep(wholeMs * at);
  controller.abort(new TephraError('canceled', 'the client left'));
  const outcome = await merge;
  await sleep(restMs);
  const spent = await cpuOf(WINDOW_MS);
  // Late in a merge it may be answered before it is cancelled.
  if (outcome !== 'canceled') continue;
  after.push(Math.max(0, spent - idle));
}
if (after.length === 0) throw new Error('every merge was answered before it was cancelled');
const { median, p90 } = spread(after);
console.log(
  `CPU from ${restMs} ms after the cancel on: median ${median.toFixed(1)} ms, p90 ${p90.toFixed(1)} ms, most ${Math.max(...after).toFixed(1)} ms`,
);

/** Wall milliseconds of small pushes, one after the other, for as long as `work` goes on. */
const pushesDuring = async (work) => {
  const took = [];
  const state = { going: true };
  const ended = work().finally(() => (state.going = false));
  for (let n = 0; state.going; n++) {
    const fromMs = Date.now() - 1_000;
    const started = performance.now();
    const [{ outcome, error }] = await engine.push([
      {
        tenant: 'anonymous',
        labels: [
          ['service_name', services[n % services.length]],
          ['__name__', 'process_cpu'],
        ],
        profileId: '',
        fromMs,
        untilMs: fromMs + 1_000,
        format: 'folded',
        surface: 'ingest',
        sampleRateHz: 100,
        payload: Buffer.from(`main;serve;h1 ${n + 1}\n`),
        arrivalMs: Date.now(),
      },
    ]);
    if (outcome !== 'stored') throw new Error(error?.detail ?? outcome);
    took.push(performance.now() - started);
    await sleep(5);
  }
  await ended;
  return took;
};
const merged = async () => {
  for (let n = 0; n < (quick ? 1 : 3); n++) {
    const { front } = await engine.pprof(request);
    front?.close();
  }
};
for (const during of [false, true]) {
  const took = await pushesDuring(during ? merged : () => sleep(quick ? 200 : 3_000));
  const name = during ? 'during a merge' : 'alone';
  const { median: middle, p90: slow } = spread(took);
  console.log(
    `${took.length} pushes ${name}: median ${middle.toFixed(1)} ms, p90 ${slow.toFixed(1)} ms, most ${Math.max(...took).toFixed(1)} ms`,
  );
}
await engine.stop();
process.exit(median < 20 ? 0 : 1);
