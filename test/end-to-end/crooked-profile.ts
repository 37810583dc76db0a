import { gzipSync } from 'node:zlib';
import {
  Function as PprofFunction,
  Label,
  Line,
  Location,
  Mapping,
  Profile,
  Sample,
  StringTable,
  ValueType,
} from 'pprof-format';

/**
 * A profile with all that is legal and that no program of ours sends: samples that are negative or
 * all zero, the same stack by several locations, inlining, frames without symbols known by build
 * id, by file and by nothing, a sample without a stack, numeric labels, ids of spans, values beyond
 * 2^53, and two members of gzip.
 */
export function crookedProfile(): Uint8Array {
  const strings = new StringTable();
  const text = (value: string): number => strings.dedup(value);
  const fn = (id: number, name: string, systemName: string, startLine: number): PprofFunction =>
    new PprofFunction({
      id,
      name: text(name),
      systemName: text(systemName),
      filename: text(`/src/${name}.c`),
      startLine,
    });
  const at = (functionId: number, line: number, column = 0): Line =>
    new Line({ functionId, line, column });
  const label = (key: string, value: string): Label =>
    new Label({ key: text(key), str: text(value) });
  const sample = (locationId: number[], value: (number | bigint)[], ...labels: Label[]): Sample =>
    new Sample({ locationId, value, label: labels });
  const red = label('colour', 'red');
  const profile = new Profile({
    stringTable: strings,
    sampleType: [
      new ValueType({ type: text('hits'), unit: text('count') }),
      new ValueType({ type: text('delay'), unit: text('nanoseconds') }),
    ],
    periodType: new ValueType({ type: text('delay'), unit: text('nanoseconds') }),
    period: 7,
    timeNanos: 1_750_000_000_123_456_789n,
    function: [
      fn(1, 'main', '_main', 10),
      fn(2, 'work', 'work', 20),
      // Told from the one before by its line alone.
      fn(3, 'work', 'work', 21),
      fn(4, 'leaf', '', 0),
    ],
    mapping: [
      new Mapping({ id: 5, filename: text('/bin/program'), buildId: text('abc123') }),
      new Mapping({ id: 6, filename: text('/lib/stripped.so') }),
    ],
    location: [
      new Location({ id: 100, mappingId: 5, address: 0x1000, line: [at(1, 11)] }),
      // Two addresses of one place: one frame.
      new Location({ id: 101, mappingId: 5, address: 0x2000, line: [at(2, 25, 3)] }),
      new Location({ id: 102, mappingId: 5, address: 0x2008, line: [at(2, 25, 3)] }),
      new Location({ id: 103, mappingId: 5, address: 0x2010, line: [at(3, 25, 3)] }),
      // leaf inlined into work inlined into main.
      new Location({ id: 104, mappingId: 5, line: [at(4, 5), at(2, 26), at(1, 12)] }),
      new Location({ id: 105, mappingId: 5, address: 0xffff_ffff_ffff_fff0n }),
      new Location({ id: 106, mappingId: 6, address: 0x40 }),
      new Location({ id: 107 }),
      new Location({ id: 108, address: 0x77 }),
      new Location({ id: 109, line: [at(4, 5)] }),
    ],
    sample: [
      sample([101, 100], [1, 7]),
      sample([102, 100], [2, 14]),
      sample([103, 100], [4, 28]),
      sample([104, 100], [1, 5]),
      sample([109, 104], [3, 0]),
      sample([105, 106, 107, 108, 100], [0, 9_007_199_254_740_993n]),
      sample([105, 106, 107, 108, 100], [1, 9_007_199_254_740_995n]),
      sample([], [5, 5]),
      sample([101, 100], [0, 0]),
      sample([106], [0, 0]),
      sample([106, 100], [-1, 3]),
      sample([101, 100], [10, 70], red),
      sample([101, 100], [20, 140], red, new Label({ key: text('bytes'), num: 512 })),
      sample([102, 100], [30, 210], label('span_id', 'ab'.repeat(8)), red),
      sample([100], [1, 1], label('trace_id', 'cd'.repeat(16))),
      sample([100], [1, 1], label('profile_id', 'not an id')),
      sample([100], [1, 1], label('size', 'large'), red),
    ],
  });
  const bytes = profile.encode();
  const half = bytes.length >> 1;
  return Buffer.concat([gzipSync(bytes.subarray(0, half)), gzipSync(bytes.subarray(half))]);
}
