/**
 * CPU time of reading a pprof profile and finding the stack id of every sample in a dictionary that
 * knows them, against protobuf-es decoding the same inflated bytes, file by file.
 *
 *     npm run build && TEPHRA_CORPUS=<folder with pprof/> node bench/pprof-intern.mjs [--tiny]
 *
 * Without TEPHRA_CORPUS the committed profiles of test/data are read. `--tiny` runs everything once
 * or twice, to see that it runs. Fails below 8x on any file or below 10x in the middle.
 *
 * The same profile again and again is the best case of the dictionary, which first tries the row
 * after the one found last. So the columns "two orders" have two profiles take turns that say the
 * same with strings, functions, locations and samples shuffled: nearly every guess is wrong there.
 *
 * The last columns are of the dictionary that the file makes: time to resolve into an empty one,
 * bytes of its slice a node and a stack, bytes in memory a stack, time to load the slice and look
 * up one stack, time to build the name tree.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { seededRandom } from '../dist/base/random.js';
import { ProfileSchema } from '../dist/gen/google/v1/profile_pb.js';
import { StackResolver } from '../dist/ingest/resolve.js';
import { PprofReader } from '../dist/profile/pprof/read.js';
import { Dictionary } from '../dist/storage/dictionary/dictionary.js';
import { NO_LENGTHS } from '../dist/storage/dictionary/lengths.js';
import { measureTogether } from './measure.mjs';

const RATIO_LEAST = 8;
const RATIO_MEDIAN_LEAST = 10;
const tiny = process.argv.includes('--tiny');
const corpus = process.env.TEPHRA_CORPUS;
const folder = corpus
  ? `${corpus}/pprof/`
  : new URL('../test/data/pprof/', import.meta.url).pathname;
const options = tiny ? { repetitions: 2, repetitionMs: 1, warmMs: 5 } : {};
const random = seededRandom(1);
const reader = new PprofReader();
const resolver = new StackResolver();
const ratios = [];
const ratiosOfTwo = [];

console.log(
  'file                       samples  protobuf-es ms   ours ms         [p10, p90]  ratio' +
    ' | two orders: p-es ms   ours ms  ratio | resolve ms  ns/frame | new ms  B/node B/stack mem/stack load ms names ms',
);
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.pb.gz'))
  .sort();
const payloads = files.map((file) => new Uint8Array(gunzipSync(readFileSync(folder + file))));
warmUp(tiny ? 0 : 2_000);
for (const [index, file] of files.entries()) {
  const payload = payloads[index];
  const dictionary = new Dictionary(random);
  const columns = new PprofReader().read(payload);
  const frames = columns.sampleLocationStart[columns.sampleCount];
  const orders = [shuffled(payload), shuffled(payload)];
  let turn = 0;
  const [theirs, ours, theirsOfTwo, oursOfTwo, resolve] = measureTogether(
    [
      ['protobuf-es', () => fromBinary(ProfileSchema, payload)],
      ['ours', () => resolver.resolve(reader.read(payload), dictionary)],
      ['protobuf-es, two orders', () => fromBinary(ProfileSchema, orders[(turn ^= 1)])],
      ['ours, two orders', () => resolver.resolve(reader.read(orders[(turn ^= 1)]), dictionary)],
      ['resolve', () => resolver.resolve(columns, dictionary)],
    ],
    options,
  );
  const { lengths } = dictionary;
  const ratioOfTwo = theirsOfTwo.medianMs / oursOfTwo.medianMs;
  ratiosOfTwo.push(ratioOfTwo);
  const slice = dictionary.encodeSlice(NO_LENGTHS, lengths);
  const memory = dictionary.bytesInMemory;
  const [fresh, load, names] = measureTogether(
    [
      ['fresh', () => resolver.resolve(columns, new Dictionary(random))],
      ['load', () => loaded(slice, lengths).stacks.internNode(1)],
      ['names', () => dictionary.copy(lengths).nameTree()],
    ],
    tiny ? options : { repetitions: 5, repetitionMs: 20, warmMs: 50 },
  );
  const ratio = theirs.medianMs / ours.medianMs;
  ratios.push(ratio);
  console.log(
    [
      file.padEnd(26),
      String(columns.sampleCount).padStart(7),
      theirs.medianMs.toFixed(4).padStart(15),
      ours.medianMs.toFixed(4).padStart(9),
      `[${ours.p10.toFixed(4)}, ${ours.p90.toFixed(4)}]`.padStart(18),
      `${ratio.toFixed(1)}x`.padStart(6),
      '|',
      theirsOfTwo.medianMs.toFixed(4).padStart(19),
      oursOfTwo.medianMs.toFixed(4).padStart(9),
      `${ratioOfTwo.toFixed(1)}x`.padStart(6),
      '|',
      resolve.medianMs.toFixed(4).padStart(10),
      ((resolve.medianMs * 1e6) / frames).toFixed(1).padStart(9),
      '|',
      fresh.medianMs.toFixed(3).padStart(6),
      (slice.byteLength / lengths.nodes).toFixed(2).padStart(7),
      (slice.byteLength / lengths.stacks).toFixed(1).padStart(7),
      (memory / lengths.stacks).toFixed(0).padStart(9),
      load.medianMs.toFixed(3).padStart(7),
      names.medianMs.toFixed(3).padStart(8),
    ].join(' '),
  );
}
ratiosOfTwo.sort((a, b) => a - b);
const medianOfTwo = ratiosOfTwo[ratiosOfTwo.length >> 1];
console.log(`two orders: median ${medianOfTwo.toFixed(1)}x, least ${ratiosOfTwo[0].toFixed(1)}x`);
ratios.sort((a, b) => a - b);
const median = ratios[ratios.length >> 1];
console.log(`ratio: median ${median.toFixed(1)}x, least ${ratios[0].toFixed(1)}x`);
if (!tiny && (median < RATIO_MEDIAN_LEAST || ratios[0] < RATIO_LEAST)) process.exitCode = 1;

function loaded(slice, lengths) {
  const dictionary = new Dictionary(random);
  dictionary.append(slice, NO_LENGTHS, lengths);
  return dictionary;
}

/** Compiles both sides on all files: else the compiler's threads are counted with the first ones. */
function warmUp(ms) {
  const dictionaries = payloads.map(() => new Dictionary(random));
  const end = performance.now() + ms;
  while (performance.now() < end) {
    for (const [index, payload] of payloads.entries()) {
      for (let call = 0; call < 1 + 50_000 / payload.byteLength; call++) {
        fromBinary(ProfileSchema, payload);
        resolver.resolve(reader.read(payload), dictionaries[index]);
      }
    }
  }
}

/** The same profile with its tables in another order, numbered from 1 as writers do. */
function shuffled(payload) {
  const profile = fromBinary(ProfileSchema, payload);
  const stringAt = [0, ...shuffle(profile.stringTable.slice(1).map((_, i) => i + 1))];
  const rowOf = new Map(stringAt.map((old, row) => [old, BigInt(row)]));
  const string = (index) => rowOf.get(Number(index));
  profile.stringTable = stringAt.map((old) => profile.stringTable[old]);
  for (const type of [...profile.sampleType, ...(profile.periodType ? [profile.periodType] : [])]) {
    type.type = string(type.type);
    type.unit = string(type.unit);
  }
  profile.comment = profile.comment.map(string);
  for (const field of ['dropFrames', 'keepFrames', 'defaultSampleType', 'docUrl']) {
    if (field in profile) profile[field] = string(profile[field]);
  }
  for (const mapping of profile.mapping) {
    mapping.filename = string(mapping.filename);
    mapping.buildId = string(mapping.buildId);
  }
  for (const fn of profile.function) {
    fn.name = string(fn.name);
    fn.systemName = string(fn.systemName);
    fn.filename = string(fn.filename);
  }
  const functionIds = renumbered(shuffle(profile.function));
  const locationIds = renumbered(shuffle(profile.location));
  for (const location of profile.location) {
    for (const line of location.line) line.functionId = functionIds.get(line.functionId);
  }
  for (const sample of shuffle(profile.sample)) {
    sample.locationId = sample.locationId.map((id) => locationIds.get(id));
    for (const label of sample.label) {
      label.key = string(label.key);
      label.str = string(label.str);
      label.numUnit = string(label.numUnit);
    }
  }
  return toBinary(ProfileSchema, profile);
}

function renumbered(rows) {
  const ids = new Map();
  rows.forEach((row, index) => {
    ids.set(row.id, BigInt(index + 1));
    row.id = BigInt(index + 1);
  });
  return ids;
}

function shuffle(items) {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.u32() % (i + 1);
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}
