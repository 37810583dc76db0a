/**
 * CPU time of our pprof reader against protobuf-es on the same inflated bytes, file by file.
 *
 *     npm run build && TEPHRA_CORPUS=<folder with pprof/> node bench/pprof-decode.mjs [--tiny]
 *
 * Without TEPHRA_CORPUS the committed profiles of test/data are read. `--tiny` runs everything once
 * or twice, to see that it runs. Fails below 8x on any file or below 15x in the middle.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { fromBinary } from '@bufbuild/protobuf';
import { ProfileSchema } from '../dist/gen/google/v1/profile_pb.js';
import { inflatePayload } from '../dist/profile/pprof/inflate.js';
import { PprofReader } from '../dist/profile/pprof/read.js';
import { measureTogether } from './measure.mjs';

const RATIO_LEAST = 8;
const RATIO_MEDIAN_LEAST = 15;
const tiny = process.argv.includes('--tiny');
const corpus = process.env.TEPHRA_CORPUS;
const folder = corpus
  ? `${corpus}/pprof/`
  : new URL('../test/data/pprof/', import.meta.url).pathname;

const options = tiny ? { repetitions: 2, repetitionMs: 1, warmMs: 5 } : {};
const reader = new PprofReader();
const ratios = [];
console.log(
  'file                          bytes  samples  protobuf-es ms   ours ms  [p10, p90]         ratio  MB/s  gunzip ms',
);
for (const file of readdirSync(folder)
  .filter((name) => name.endsWith('.pb.gz'))
  .sort()) {
  const packed = new Uint8Array(readFileSync(folder + file));
  const payload = new Uint8Array(gunzipSync(packed));
  const [theirs, ours, inflate] = measureTogether(
    [
      ['protobuf-es', () => fromBinary(ProfileSchema, payload)],
      ['ours', () => reader.read(payload)],
      ['inflate', () => inflatePayload(packed, 64 << 20)],
    ],
    options,
  );
  const ratio = theirs.medianMs / ours.medianMs;
  ratios.push(ratio);
  console.log(
    [
      file.padEnd(26),
      String(payload.length).padStart(8),
      String(reader.read(payload).sampleCount).padStart(8),
      theirs.medianMs.toFixed(4).padStart(15),
      ours.medianMs.toFixed(4).padStart(9),
      `[${ours.p10.toFixed(4)}, ${ours.p90.toFixed(4)}]`.padStart(18),
      `${ratio.toFixed(1)}x`.padStart(7),
      (payload.length / 1e3 / ours.medianMs).toFixed(0).padStart(5),
      inflate.medianMs.toFixed(4).padStart(10),
    ].join(' '),
  );
}
ratios.sort((a, b) => a - b);
const median = ratios[ratios.length >> 1];
console.log(`ratio: median ${median.toFixed(1)}x, least ${ratios[0].toFixed(1)}x`);
if (!tiny && (median < RATIO_MEDIAN_LEAST || ratios[0] < RATIO_LEAST)) process.exitCode = 1;
