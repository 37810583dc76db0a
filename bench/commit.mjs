/**
 * Ingest through an engine over a data directory (fleet-100, gzip-6), stage by stage.
 *
 *     npm run bench:commit [-- --quick] [--minutes N] [--workers N]
 *
 * - cold: the first profile of each of many services, its dictionary being empty.
 * - steady: a minute of all pods at once, after some minutes of the same; a few stacks are still new.
 * - known: the same profiles once more as of another time, so that nothing is new.
 * - stages of a known profile, one after the other, in a loop of their own.
 * - commit alone: encoding the fragments of the steady minutes again and putting them, synced, into
 *   another data directory. Time of fsync is wall time, hence not in CPU.
 */
import assert from 'node:assert';
import { MINUTE_MS } from '../dist/base/time.js';
import { Acceptor } from '../dist/ingest/accept.js';
import { StackResolver } from '../dist/ingest/resolve.js';
import { identityOf } from '../dist/ingest/identity.js';
import { inflatePayload } from '../dist/profile/pprof/inflate.js';
import { PprofReader } from '../dist/profile/pprof/read.js';
import { decodeEntries } from '../dist/storage/column/decode.js';
import { Dictionary } from '../dist/storage/dictionary/dictionary.js';
import { decodeFragment, decodeSection } from '../dist/storage/fragment/decode.js';
import { encodeFragment } from '../dist/storage/fragment/encode.js';
import { seededRandom } from '../dist/base/random.js';
import { openBenchEngine, pushAll } from './engine.mjs';
import { Fleet, pushItem } from './fleet.mjs';
import { measure } from './measure.mjs';
import { heading, line, numberFlag, single, spend } from './spent.mjs';

const quick = process.argv.includes('--quick');
const MINUTES = numberFlag('minutes', quick ? 2 : 20);
const WARM_MINUTES = quick ? 1 : 10;
const COLD_SERVICES = quick ? 3 : 40;
const SIZE = quick ? { services: 2, pods: 2, stacks: 300, draws: 200 } : {};
const workers = numberFlag('workers', 0);

console.log(heading(`commit, ${workers} workers`));
await cold();
await warm();

async function cold() {
  const fleet = new Fleet({ ...SIZE, services: COLD_SERVICES, pods: 1, seed: 2 });
  const bench = await openBenchEngine({ startMs: fleet.startMs, workers });
  const cpu = [];
  for (let service = 0; service < fleet.services; service++) {
    const profile = fleet.profile(service, 0, 0);
    const { cpuMs } = await spend(() => pushAll(bench.engine, [profile]));
    cpu.push(cpuMs);
  }
  console.log(line('cold: one profile, all stacks new, alone', cpu, 'CPU ms'));
  await bench.close();
  bench.remove();
}

async function warm() {
  const fleet = new Fleet(SIZE);
  const puts = [];
  const watch = (store) => {
    return new Proxy(store, {
      get(target, name) {
        if (name === 'put') {
          return (key, bytes, markers) => {
            puts.push({ key, bytes, markers });
            return target.put(key, bytes, markers);
          };
        }
        const value = target[name];
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
  // Absorb is another bench; here it would only come in between.
  const limits = { headBytes: 2 ** 40, absorbBytes: 2 ** 40 };
  const { startMs } = fleet;
  const bench = await openBenchEngine({ startMs, workers, limits, wrapStore: watch });
  for (let minute = 0; minute < WARM_MINUTES; minute++) {
    await pushAll(bench.engine, [...fleet.minute(minute)]);
  }

  const before = await bench.engine.counters();
  const steady = { cpu: [], rate: [], entryBytes: [], sliceBytes: [] };
  const profiles = [];
  const steadyPuts = [];
  let entries = 0;
  for (let m = 0; m < MINUTES; m++) {
    profiles.length = 0;
    profiles.push(...fleet.minute(WARM_MINUTES + m));
    puts.length = 0;
    const { result, cpuMs, wallMs } = await spend(() => pushAll(bench.engine, profiles));
    entries += result;
    steady.cpu.push(cpuMs / profiles.length);
    steady.rate.push((profiles.length * 1_000) / wallMs);
    const { slices, total } = bytesOf(puts);
    steady.entryBytes.push((total - slices) / result);
    steady.sliceBytes.push(slices / result);
    steadyPuts.push(...puts);
  }
  const after = await bench.engine.counters();
  const walks = after.stack_walks - before.stack_walks;
  console.log(line('steady: a profile, 100 at once', steady.cpu, 'CPU ms'));
  console.log(single('  stacks of a profile', entries / MINUTES / profiles.length, '', 0));
  console.log(single('  of these new', (100 * walks) / entries, '%'));
  console.log(line('  pushes', steady.rate, 'a second of wall time', 0));
  console.log(line('  fragment, without dictionary rows', steady.entryBytes, 'B an entry'));
  console.log(line('  dictionary rows in it', steady.sliceBytes, 'B an entry'));

  const known = { cpu: [], rate: [] };
  for (let m = 0; m < MINUTES; m++) {
    const again = profiles.map((profile) => {
      return { ...profile, startMs: profile.startMs + (m + 1) * MINUTE_MS };
    });
    const { cpuMs, wallMs } = await spend(() => pushAgain(bench.engine, again));
    known.cpu.push(cpuMs / again.length);
    known.rate.push((again.length * 1_000) / wallMs);
  }
  const { stack_walks: walksKnown } = await bench.engine.counters();
  assert.equal(walksKnown, after.stack_walks, 'nothing was new');
  console.log(line('known: a profile, 100 at once', known.cpu, 'CPU ms'));
  console.log(line('  pushes', known.rate, 'a second of wall time', 0));
  await bench.close();
  bench.remove();
  stages(profiles);
  await commitAlone(steadyPuts, fleet);
}

/** The same bytes as of another time are another push. */
async function pushAgain(engine, profiles) {
  const outcomes = await Promise.all(
    profiles.map((profile) => {
      const { startMs } = profile;
      return engine.push([{ ...pushItem(profile), fromMs: startMs, untilMs: startMs + 60_000 }]);
    }),
  );
  for (const [outcome] of outcomes) assert.equal(outcome.outcome, 'stored');
}

/** CPU of each step of a known profile. */
function stages(profiles) {
  const options = quick ? { repetitions: 2, repetitionMs: 1, warmMs: 5 } : {};
  const service = profiles.filter((profile) => profile.service === 0);
  let turn = 0;
  const next = () => service[turn++ % service.length];
  const reader = new PprofReader();
  const resolver = new StackResolver();
  const dictionary = new Dictionary(seededRandom(1));
  const read = new Map();
  for (const profile of service) {
    const plain = inflatePayload(profile.payload, 64 << 20);
    read.set(profile, plain);
    resolver.resolve(reader.read(plain), dictionary);
  }
  const acceptor = new Acceptor({
    profileBytesMax: 64 << 20,
    pastMs: 3_600_000,
    futureMs: 600_000,
  });
  const key = new Uint8Array(16);
  const shown = [
    measure('  identity (hash of the payload)', () => identityOf(pushItem(next())), options),
    measure('  inflate', () => inflatePayload(next().payload, 64 << 20), options),
    measure('  read pprof into columns', () => reader.read(read.get(next())), options),
    measure(
      '  read and find stacks',
      () => resolver.resolve(reader.read(read.get(next())), dictionary),
      options,
    ),
    measure(
      '  accept and assemble: all of these',
      () => {
        const item = pushItem(next());
        return acceptor.assemble(item, acceptor.accept(item), dictionary, key);
      },
      options,
    ),
  ];
  console.log('stages of a known profile');
  for (const { name, medianMs, p10, p90 } of shown) {
    console.log(line(name, [p10, medianMs, p90], 'CPU ms'));
  }
}

/** Bytes of fragments and of the dictionary slices in them. */
function bytesOf(puts) {
  let slices = 0;
  let total = 0;
  for (const { bytes } of puts) {
    total += bytes.byteLength;
    for (const entry of decodeFragment(bytes).sections) {
      slices += decodeSection(bytes, entry).slice.byteLength;
    }
  }
  return { slices, total };
}

/** A fragment as the writer had it before it was encoded. */
function fragmentOf(bytes) {
  const { incarnation, seq, shard, arrivalHourMs, skipped, sections } = decodeFragment(bytes);
  return {
    incarnation,
    seq,
    shard,
    arrivalHourMs,
    skipped,
    sections: sections.map((entry) => {
      const { slice, pushes } = decodeSection(bytes, entry);
      return {
        ...entry,
        slice,
        pushes: pushes.map((push) => ({
          ...push,
          groups: push.groups.map(({ spanId, traceId, at, end }) => {
            return { spanId, traceId, entries: decodeEntries(bytes, at, end) };
          }),
        })),
      };
    }),
  };
}

async function commitAlone(puts, fleet) {
  const fragments = puts.map(({ bytes }) => fragmentOf(bytes));
  const pushes = fragments.map(({ sections }) => {
    return sections.reduce((sum, section) => sum + section.pushes.length, 0);
  });
  const all = pushes.reduce((sum, count) => sum + count, 0);
  for (const [i, fragment] of fragments.entries()) {
    assert.deepEqual(encodeFragment(fragment), new Uint8Array(puts[i].bytes));
  }
  console.log(`commit alone (${(all / puts.length).toFixed(1)} profiles a fragment)`);
  const options = quick ? { repetitions: 2, repetitionMs: 1, warmMs: 5 } : {};
  const encode = measure('encode', () => fragments.map((each) => encodeFragment(each)), options);
  const { medianMs, p10, p90 } = encode;
  const perPush = [p10, medianMs, p90].map((ms) => ms / all);
  console.log(line('  encode the fragment', perPush, 'CPU ms a profile', 4));
  const bench = await openBenchEngine({ startMs: fleet.startMs });
  const cpu = [];
  const wall = [];
  for (const [i, { key, bytes, markers }] of puts.entries()) {
    const { cpuMs, wallMs } = await spend(() => bench.store.put(key, bytes, markers));
    cpu.push(cpuMs / pushes[i]);
    wall.push(wallMs);
  }
  console.log(line('  put it, one after the other', cpu, 'CPU ms a profile', 4));
  console.log(line('  put it: latency with fsync', wall, 'wall ms'));
  await bench.close();
  bench.remove();
}
