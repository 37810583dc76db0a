import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LIMITS } from '../../src/base/limits.ts';
import { seededRandom } from '../../src/base/random.ts';
import { StackResolver } from '../../src/ingest/resolve.ts';
import { NO_MAPPING, type ProfileColumns, stringAt } from '../../src/profile/columns.ts';
import { PprofReader } from '../../src/profile/pprof/read.ts';
import { Dictionary } from '../../src/storage/dictionary/dictionary.ts';
import { frameKey, nodesOf, stackKeyOf } from '../storage/dictionary/model.ts';

interface Line {
  readonly fn: number;
  readonly line: number;
}
interface Location {
  readonly mapping: number;
  readonly address: number;
  readonly lines: readonly Line[];
}

const MAPPINGS = [
  { file: '/bin/app', buildId: 'b1' },
  { file: '/lib/libc.so', buildId: '' },
];
const FUNCTIONS = ['main', 'run', 'work', 'ünïcødé', '', 'main'];

/** Columns of samples (location indices, leaf first) over a table of locations. */
function columnsOf(
  locations: readonly Location[],
  samples: readonly (readonly number[])[],
): ProfileColumns {
  const texts = [
    '',
    ...FUNCTIONS,
    ...MAPPINGS.flatMap((m) => [m.file, m.buildId]),
    'x.go',
    'unused',
  ];
  const parts = texts.map((text) => Buffer.from(text));
  const ends: number[] = [];
  for (const part of parts) ends.push((ends.at(-1) ?? 0) + part.length);
  const sums = (sizes: readonly number[]): Uint32Array => {
    const starts = [0];
    for (const size of sizes) starts.push((starts.at(-1) as number) + size);
    return Uint32Array.from(starts);
  };
  const lines = locations.flatMap((location) => location.lines);
  return {
    bytes: new Uint8Array(Buffer.concat(parts)),
    stringCount: texts.length,
    stringStart: Uint32Array.from(ends, (end, i) => end - (parts[i]?.length ?? 0)),
    stringEnd: Uint32Array.from(ends),
    sampleTypes: [{ type: 'samples', unit: 'count' }],
    periodType: { type: '', unit: '' },
    period: 0n,
    timeNanos: 0n,
    durationNanos: 0n,
    functionCount: FUNCTIONS.length,
    functionName: Uint32Array.from(FUNCTIONS, (name) => texts.indexOf(name)),
    functionSystemName: new Uint32Array(FUNCTIONS.length),
    functionFile: new Uint32Array(FUNCTIONS.length).fill(texts.indexOf('x.go')),
    functionStartLine: Float64Array.from(FUNCTIONS, (_, i) => (i === 5 ? 0 : i)),
    mappingCount: MAPPINGS.length,
    mappingFile: Uint32Array.from(MAPPINGS, ({ file }) => texts.indexOf(file)),
    mappingBuildId: Uint32Array.from(MAPPINGS, ({ buildId }) => texts.indexOf(buildId)),
    locationCount: locations.length,
    locationMapping: Int32Array.from(locations, ({ mapping }) => mapping),
    locationAddressLow: Uint32Array.from(locations, ({ address }) => address),
    locationAddressHigh: new Uint32Array(locations.length),
    locationLineStart: sums(locations.map((location) => location.lines.length)),
    lineFunction: Uint32Array.from(lines, ({ fn }) => fn),
    lineNumber: Float64Array.from(lines, ({ line }) => line),
    lineColumn: new Float64Array(lines.length),
    sampleCount: samples.length,
    sampleLocationStart: sums(samples.map((sample) => sample.length)),
    sampleLocations: Uint32Array.from(samples.flat()),
    values: new Float64Array(samples.length),
    wideValues: undefined,
    sampleLabelStart: new Uint32Array(samples.length + 1),
    labelKey: new Uint32Array(0),
    labelText: new Uint32Array(0),
  };
}

/** Content keys of the frames of a sample, root first, by the words of columns.ts alone. */
function framesOf(columns: ProfileColumns, sample: number): string[] {
  const at = (column: ArrayLike<number>, i: number): number => column[i] as number;
  const frames: string[] = [];
  const end = at(columns.sampleLocationStart, sample + 1);
  for (let i = end - 1; i >= at(columns.sampleLocationStart, sample); i--) {
    const location = at(columns.sampleLocations, i);
    const mapping = at(columns.locationMapping, location);
    const place = {
      column: 0,
      mappingFile: mapping < 0 ? '' : stringAt(columns, at(columns.mappingFile, mapping)),
      buildId: mapping < 0 ? '' : stringAt(columns, at(columns.mappingBuildId, mapping)),
      address: [
        at(columns.locationAddressLow, location),
        at(columns.locationAddressHigh, location),
      ] as const,
    };
    const first = at(columns.locationLineStart, location);
    const last = at(columns.locationLineStart, location + 1) - 1;
    if (last < first) frames.push(frameKey({ ...place, fn: undefined, line: 0, inlined: false }));
    for (let line = last; line >= first; line--) {
      const fn = at(columns.lineFunction, line);
      const known = fn < columns.functionCount;
      frames.push(
        frameKey({
          ...place,
          column: at(columns.lineColumn, line),
          fn: known
            ? {
                name: stringAt(columns, at(columns.functionName, fn)),
                systemName: stringAt(columns, at(columns.functionSystemName, fn)),
                file: stringAt(columns, at(columns.functionFile, fn)),
                startLine: at(columns.functionStartLine, fn),
              }
            : undefined,
          line: at(columns.lineNumber, line),
          inlined: line < last,
        }),
      );
    }
  }
  return frames;
}

function expectResolved(
  columns: ProfileColumns,
  dictionary: Dictionary,
  stacks: Uint32Array,
): void {
  for (let sample = 0; sample < columns.sampleCount; sample++) {
    const frames = framesOf(columns, sample);
    if (frames.length === 0) continue;
    expect(stackKeyOf(dictionary, stacks[sample] as number)).toBe(JSON.stringify(frames));
  }
}

const location: fc.Arbitrary<Location> = fc.record({
  mapping: fc.constantFrom(NO_MAPPING, 0, 1),
  address: fc.constantFrom(1, 2, 0xffff_ffff),
  lines: fc.array(fc.record({ fn: fc.nat(FUNCTIONS.length), line: fc.constantFrom(0, 1, 9) }), {
    maxLength: 4,
  }),
});

const profile = fc.array(location, { minLength: 1, maxLength: 8 }).chain((locations) =>
  fc
    .array(fc.array(fc.nat(locations.length - 1), { minLength: 1, maxLength: 8 }), {
      maxLength: 12,
    })
    .map((samples) => columnsOf(locations, samples)),
);

test('every sample gets the stack of its frames, in any dictionary and order of profiles', () => {
  fc.assert(
    fc.property(fc.array(profile, { maxLength: 4 }), (profiles) => {
      const resolver = new StackResolver();
      const dictionaries = [new Dictionary(seededRandom(1)), new Dictionary(seededRandom(2), 0)];
      for (const columns of [...profiles, ...profiles.toReversed()]) {
        for (const dictionary of dictionaries) {
          expectResolved(columns, dictionary, resolver.resolve(columns, dictionary));
        }
      }
      expect(dictionaries[0]?.lengths).toEqual(dictionaries[1]?.lengths);
    }),
  );
});

test('known stacks never walk the tree', () => {
  fc.assert(
    fc.property(profile, (columns) => {
      const resolver = new StackResolver();
      const dictionary = new Dictionary(seededRandom(1));
      const first = [...resolver.resolve(columns, dictionary).subarray(0, columns.sampleCount)];
      const { lengths } = dictionary;
      const walks = dictionary.counters.stackWalks;
      const hits = dictionary.counters.stackHits;
      expect(walks).toBe(lengths.stacks);
      expect(hits + walks).toBe(columns.sampleCount);
      const second = [...resolver.resolve(columns, dictionary).subarray(0, columns.sampleCount)];
      expect(second).toEqual(first);
      expect(dictionary.lengths).toEqual(lengths);
      expect(dictionary.counters).toEqual({
        stackWalks: walks,
        stackHits: hits + columns.sampleCount,
      });
    }),
  );
});

test('strings that no function or mapping uses do not enter the dictionary', () => {
  const dictionary = new Dictionary(seededRandom(1));
  const columns = columnsOf([{ mapping: 0, address: 1, lines: [{ fn: 0, line: 1 }] }], [[0]]);
  new StackResolver().resolve(columns, dictionary);
  const texts = Array.from({ length: dictionary.lengths.strings }, (_, id) => dictionary.text(id));
  expect(texts).toContain('work');
  expect(texts).toContain('/bin/app');
  expect(texts).not.toContain('unused');
  expect(texts).not.toContain('/lib/libc.so');
});

test('a sample without locations is the frame (no stack)', () => {
  const dictionary = new Dictionary(seededRandom(1));
  const resolver = new StackResolver();
  const columns = columnsOf([{ mapping: 0, address: 1, lines: [] }], [[], [0], []]);
  const [first, second, third] = resolver.resolve(columns, dictionary);
  expect(third).toBe(first);
  expect(second).not.toBe(first);
  const [node] = nodesOf(dictionary, first as number);
  expect(dictionary.frameName(dictionary.nodeFrame[node as number] as number)).toBe('(no stack)');
});

test('inlining beyond the depth that is kept cuts the root side', () => {
  const dictionary = new Dictionary(seededRandom(1));
  const resolver = new StackResolver();
  const inlined: Location = {
    mapping: 0,
    address: 1,
    lines: Array.from({ length: 600 }, (_, line) => ({ fn: 0, line: line + 1 })),
  };
  const leaf: Location = { mapping: 0, address: 2, lines: [{ fn: 1, line: 1 }] };
  const columns = columnsOf(
    [inlined, leaf],
    [
      [1, 0, 0],
      [1, 0],
      [1, 0, 0, 0],
    ],
  );
  const [deep, whole, deeper] = resolver.resolve(columns, dictionary);
  expect(deeper).toBe(deep);
  expect(resolver.truncatedStacks).toBe(2);
  expect(nodesOf(dictionary, whole as number)).toHaveLength(601);
  const names = nodesOf(dictionary, deep as number).map((node) =>
    dictionary.frameName(dictionary.nodeFrame[node] as number),
  );
  expect(names).toHaveLength(LIMITS.stackDepthKept + 1);
  expect(names[0]).toBe('(truncated)');
  expect(names.at(-1)).toBe('run');
});

const CORPUS = process.env['TEPHRA_CORPUS'];
const skipUnless = CORPUS === undefined ? test.skip : test;

skipUnless('real profiles resolve to their frames (needs TEPHRA_CORPUS)', () => {
  const folder = `${CORPUS}/pprof`;
  const reader = new PprofReader();
  const resolver = new StackResolver();
  const dictionary = new Dictionary(seededRandom(1));
  for (const file of readdirSync(folder)) {
    // The largest has half a million frames: the naive reader takes too long for them.
    if (!file.endsWith('.pb.gz') || file.startsWith('google-large')) continue;
    const columns = reader.read(new Uint8Array(gunzipSync(readFileSync(`${folder}/${file}`))));
    expectResolved(columns, dictionary, resolver.resolve(columns, dictionary));
  }
  // oxlint-disable-next-line jest/no-standalone-expect -- inside a test under another name
  expect(dictionary.lengths.stacks).toBeGreaterThan(1_000);
});
