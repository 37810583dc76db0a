/**
 * CPU time of reading a pprof profile and finding the stack id of every sample in a dictionary that
 * knows them, against protobuf-es decoding the same inflated bytes, file by file.
 *
 *     npm run build && TEPHRA_CORPUS=<folder with pprof/> node bench/pprof-intern.mjs [--tiny]
 *
 * Without TEPHRA_CORPUS the committed profiles of test/data are read. `--tiny` runs everything once
 * or twice, to see that it runs. Fails below 8x on any file or below 10x in the middle.
 *
 * The last columns are of the dictionary that the file makes: time to resolve into an empty one,
 * bytes of its slice a node and a stack, bytes in memory a stack, time to load the slice and look
 * up one stack, time to build the name tree.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { fromBinary } from '@bufbuild/protobuf';
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

console.log(
  'file                       samples  protobuf-es ms   ours ms         [p10, p90]  ratio' +
    ' | resolve ms  ns/frame | new ms  B/node B/stack mem/stack load ms names ms',
);
for (const file of readdirSync(folder)
  .filter((name) => name.endsWith('.pb.gz'))
  .sort()) {
  const payload = new Uint8Array(gunzipSync(readFileSync(folder + file)));
  const dictionary = new Dictionary(random);
  const columns = new PprofReader().read(payload);
  const frames = columns.sampleLocationStart[columns.sampleCount];
  const [theirs, ours, resolve] = measureTogether(
    [
      ['protobuf-es', () => fromBinary(ProfileSchema, payload)],
      ['ours', () => resolver.resolve(reader.read(payload), dictionary)],
      ['resolve', () => resolver.resolve(columns, dictionary)],
    ],
    options,
  );
  const { lengths } = dictionary;
  const slice = dictionary.encodeSlice(NO_LENGTHS, lengths);
  const memory = dictionary.bytesInMemory;
  const [fresh, load, names] = measureTogether(
    [
      ['fresh', () => resolver.resolve(columns, new Dictionary(random))],
      ['load', () => loaded(slice, lengths).stacks.internNode(1)],
      ['names', () => dictionary.copy(lengths).nameTree()],
    ],
    { repetitions: 5, repetitionMs: 20, warmMs: tiny ? 5 : 50 },
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
ratios.sort((a, b) => a - b);
const median = ratios[ratios.length >> 1];
console.log(`ratio: median ${median.toFixed(1)}x, least ${ratios[0].toFixed(1)}x`);
if (!tiny && (median < RATIO_MEDIAN_LEAST || ratios[0] < RATIO_LEAST)) process.exitCode = 1;

function loaded(slice, lengths) {
  const dictionary = new Dictionary(random);
  dictionary.append(slice, NO_LENGTHS, lengths);
  return dictionary;
}
