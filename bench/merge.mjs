/**
 * Queries in process, without the port: one hour of fleet-100 (100 series), rolled.
 *
 *     npm run bench:merge [-- --quick] [--minutes N] [--pods N] [--workers N] [--runs N]
 *
 * Flame graph of 8,192 nodes, diff of the two halves, timeline by service in steps of 60 s, pprof.
 * Each answer's sum is checked against the load's own. Every run asks for a range that was not asked
 * for before. "Uncached": without the cache of blocks, so that each run reads from LevelDB and checks
 * checksums; dictionaries stay in memory, as they do in a server.
 */
import assert from 'node:assert';
import { fromBinary } from '@bufbuild/protobuf';
import { MINUTE_MS } from '../dist/base/time.js';
import { ProfileSchema } from '../dist/gen/google/v1/profile_pb.js';
import {
  DiffResponseSchema,
  SelectMergeStacktracesResponseSchema,
} from '../dist/gen/querier/v1/querier_pb.js';
import { wholeAnswer } from '../dist/server/answer/answer.js';
import { Fleet } from './fleet.mjs';
import { loadFleet } from './filled-engine.mjs';
import { heading, line, numberFlag, single, spend, spread } from './spent.mjs';

const quick = process.argv.includes('--quick');
const minutes = numberFlag('minutes', quick ? 4 : 60);
const workers = numberFlag('workers', 0);
const runs = numberFlag('runs', quick ? 2 : 25);
const size = quick ? { services: 2, stacks: 300, draws: 200 } : {};
const fleet = new Fleet({ ...size, pods: numberFlag('pods', quick ? 2 : 10) });
const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';

console.log(heading(`merge, ${minutes} min x ${fleet.services * fleet.pods} series`));
const load = await loadFleet(fleet, { minutes, workers });
const { bench, entries, profiles, closedMs } = load;
// What absorb leaves, roll packs.
await bench.engine.runJobs(closedMs);
await bench.engine.runJobs(closedMs + MINUTE_MS);
console.log(`${profiles} profiles, ${entries} entries`);
await bench.restart({ pageCacheBytes: 0 });
await queries('uncached');
await bench.restart({});
await queries('cached');
await bench.close();
bench.remove();

async function queries(how) {
  const { engine } = bench;
  const total = BigInt(profiles) * fleet.nanosPerProfile;
  const endMs = fleet.startMs + minutes * MINUTE_MS - 1;
  const middleMs = fleet.startMs + (minutes / 2) * MINUTE_MS;
  // What starts earlier by some ms has the same profiles, and is another range.
  let asked = 0;
  const range = () => ({ startMs: fleet.startMs - ++asked, endMs });
  const base = { tenant: 'anonymous', profileType: TYPE, maxNodes: 8_192 };
  const all = () => ({ ...base, selector: '{}', ...range() });
  const one = () => ({ ...base, selector: '{service_name="fleet-0"}', ...range() });
  const oneService = BigInt(minutes * fleet.pods) * fleet.nanosPerProfile;

  await timed(`flame graph, all series`, () => engine.flameGraph(all()), {
    entries,
    sumOf: flameSum,
    total,
  });
  await timed(`flame graph, one service`, () => engine.flameGraph(one()), {
    entries: entries / fleet.services,
    sumOf: flameSum,
    total: oneService,
  });
  await timed(
    'diff of the two halves',
    () =>
      engine.diff({
        left: { ...all(), endMs: middleMs - 1 },
        right: { ...all(), startMs: middleMs },
      }),
    { entries, sumOf: diffSum, total },
  );
  await timed(
    'timeline by service, 60 s',
    () =>
      engine.selectSeries({
        ...all(),
        stepMs: 60_000,
        groupBy: ['service_name'],
        aggregation: 'sum',
      }),
    { entries: 0, sumOf: timelineSum, total },
  );
  // What is too large for memory is read back from its file, as a client would have it read.
  const pprof = async () => wholeAnswer(await engine.pprof(all()));
  await timed('pprof, all series', pprof, { entries, sumOf: pprofSum, total });

  async function timed(name, ask, { entries: merged, sumOf, total: expected }) {
    const cpu = [];
    const wall = [];
    let answer;
    // The first runs are slower for the compiler alone.
    for (let run = -2; run < runs; run++) {
      const { result, cpuMs, wallMs } = await spend(ask);
      answer = result;
      if (run < 0) continue;
      cpu.push(cpuMs);
      wall.push(wallMs);
    }
    assert.equal(sumOf(answer), expected, `the sum of ${name}`);
    console.log(line(`${how}: ${name}`, cpu, 'CPU ms', 1));
    console.log(line('', wall, 'wall ms', 1));
    if (merged > 0) {
      console.log(single('', merged / spread(cpu).median / 1_000, 'M entries a CPU second', 0));
    }
  }
}

function flameSum({ bytes }) {
  return fromBinary(SelectMergeStacktracesResponseSchema, bytes).flamegraph.total;
}

function diffSum({ bytes }) {
  const { leftTicks, rightTicks } = fromBinary(DiffResponseSchema, bytes).flamegraph;
  return leftTicks + rightTicks;
}

function timelineSum(series) {
  const points = series.flatMap((one) => one.points);
  return points.reduce((sum, { value }) => sum + BigInt(value), 0n);
}

function pprofSum({ bytes }) {
  return fromBinary(ProfileSchema, bytes).sample.reduce((sum, { value }) => sum + value[0], 0n);
}
