import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { encodePprof, type ModelFrame } from '../model/profile.ts';

/** Hits of `parse` and `render` by file. */
const HITS = [
  ['before.pb.gz', 50n, 5n],
  ['after.pb.gz', 50n, 90n],
  ['cpu.pb.gz', 20n, 1n],
] as const;

/**
 * Writes the profiles that examples speak of: `main` calls `parse` and `render`, each hit worth
 * `periodNanos` of CPU.
 */
export function writeShopProfiles(folder: string, periodNanos: bigint): void {
  for (const [file, parse, render] of HITS) {
    writeFileSync(join(folder, file), profile(parse, render, periodNanos));
  }
}

function profile(parse: bigint, render: bigint, period: bigint): Buffer {
  const frame = (name: string): ModelFrame => ({
    name,
    systemName: name,
    file: `${name}.ts`,
    startLine: 1,
    line: 2,
    mappingFile: '',
    buildId: '',
    address: 0,
    inlined: false,
  });
  const sample = (name: string, hits: bigint) => ({
    frames: [frame('main'), frame(name)],
    values: [hits * period],
    labels: [],
  });
  return gzipSync(
    encodePprof({
      sampleTypes: [['cpu', 'nanoseconds']],
      periodType: ['cpu', 'nanoseconds'],
      period,
      timeNanos: 0n,
      samples: [sample('parse', parse), sample('render', render)],
    }),
  );
}
