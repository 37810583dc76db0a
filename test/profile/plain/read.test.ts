import { describe, expect, test } from '@jest/globals';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { PlainProfileSchema } from '../../../src/gen/tephra/v1/ingest_pb.ts';
import { TephraError } from '../../../src/base/errors.ts';
import { stringAt } from '../../../src/profile/columns.ts';
import { PROFILE_LIMITS } from '../../../src/profile/limits.ts';
import { PlainReader } from '../../../src/profile/plain/read.ts';
import { Dice } from '../../model/dice.ts';

type Plain = MessageInitShape<typeof PlainProfileSchema>;

const SMALL: Plain = {
  strings: ['main', 'work', 'a.go'],
  types: [
    { type: 'samples', unit: 'count' },
    { type: 'cpu', unit: 'nanoseconds' },
  ],
  periodType: { type: 'cpu', unit: 'nanoseconds' },
  period: 10n,
  frameFunction: [0, 1],
  frameFile: [2, 2],
  frameLine: [3, 9],
  stackFrames: [0, 0, 1],
  stackDepth: [1, 2],
  values: [1n, 2n, 10n, 20n],
};

function encoded(plain: Plain): Uint8Array {
  return toBinary(PlainProfileSchema, create(PlainProfileSchema, plain));
}

/** Stacks leaf first as `name:line`, with the values of all types. */
function read(plain: Plain, limits = PROFILE_LIMITS): [string[], bigint[]][] {
  const columns = new PlainReader(limits).read(encoded(plain));
  return Array.from({ length: columns.sampleCount }, (_, s) => {
    const from = columns.sampleLocationStart[s] ?? 0;
    const to = columns.sampleLocationStart[s + 1] ?? 0;
    const names = [...columns.sampleLocations.subarray(from, to)].map((location) => {
      const line = columns.locationLineStart[location] ?? 0;
      const fn = columns.lineFunction[line] ?? 0;
      return `${stringAt(columns, columns.functionName[fn] ?? 0)}:${columns.lineNumber[line]}`;
    });
    const values = columns.sampleTypes.map((_type, t) => {
      const at = t * columns.sampleCount + s;
      return columns.wideValues?.[at] ?? BigInt(columns.values[at] ?? 0);
    });
    return [names, values];
  });
}

function reasonOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof TephraError) return error.reason;
    throw error;
  }
  return 'read';
}

describe('a plain profile', () => {
  test('is read as it was written', () => {
    expect(read(SMALL)).toEqual([
      [['main:3'], [1n, 10n]],
      [
        ['work:9', 'main:3'],
        [2n, 20n],
      ],
    ]);
    const { periodType, period } = new PlainReader().read(encoded(SMALL));
    expect([periodType, period]).toEqual([{ type: 'cpu', unit: 'nanoseconds' }, 10n]);
  });

  test('may lack files, lines and frames of a stack', () => {
    const bare = { ...SMALL, frameFile: [], frameLine: [], stackFrames: [1], stackDepth: [0, 1] };
    expect(read(bare).map(([stack]) => stack)).toEqual([['(no stack):0'], ['work:0']]);
  });

  test('keeps values beyond 2^53 exactly', () => {
    const big = (1n << 62n) + 1n;
    const values = [1n, big, 3n, -4n];
    expect(read({ ...SMALL, values }).map(([, own]) => own)).toEqual([
      [1n, 3n],
      [big, -4n],
    ]);
  });

  test('has its texts as they are: a byte order mark in front is none', () => {
    const type = { type: '\ufeffcpu', unit: '\ufeff' };
    const { sampleTypes } = new PlainReader().read(encoded({ ...SMALL, types: [type, type] }));
    expect(sampleTypes).toEqual([type, type]);
  });

  test('is cut at the root where a stack is too deep', () => {
    const limits = { ...PROFILE_LIMITS, stackDepthKept: 1, stackDepthMax: 4 };
    expect(read(SMALL, limits)[1]?.[0]).toEqual(['work:9', '(truncated):0']);
    const deep = { ...SMALL, stackFrames: [0, 0, 0, 0, 0], stackDepth: [5, 0] };
    expect(reasonOf(() => read(deep, limits))).toBe('stack_depth');
  });

  test.each<[string, Plain, string]>([
    ['no types', { ...SMALL, types: [] }, 'malformed_profile'],
    ['too few values', { ...SMALL, values: [1n] }, 'malformed_profile'],
    ['a string that is not there', { ...SMALL, frameFunction: [0, 3] }, 'malformed_profile'],
    ['a file that is not there', { ...SMALL, frameFile: [0, 9] }, 'malformed_profile'],
    ['a frame that is not there', { ...SMALL, stackFrames: [0, 0, 2] }, 'malformed_profile'],
    ['lines of some frames', { ...SMALL, frameLine: [1] }, 'malformed_profile'],
    ['depths that do not add up', { ...SMALL, stackDepth: [1, 1] }, 'malformed_profile'],
    ['a negative period', { ...SMALL, period: -1n }, 'malformed_profile'],
  ])('with %s is refused', (_, plain, reason) => {
    expect(reasonOf(() => read(plain))).toBe(reason);
  });

  test('of nothing is refused', () => {
    expect(reasonOf(() => new PlainReader().read(new Uint8Array(0)))).toBe('malformed_profile');
  });

  test('is refused at each limit before columns are made', () => {
    const limited = (limits: Partial<typeof PROFILE_LIMITS>): string =>
      reasonOf(() => read(SMALL, { ...PROFILE_LIMITS, ...limits }));
    expect(limited({ stringsPerProfileMax: 2 })).toBe('strings_limit');
    expect(limited({ functionsPerProfileMax: 1 })).toBe('functions_limit');
    expect(limited({ samplesPerProfileMax: 1 })).toBe('samples_limit');
    expect(limited({ framesPerProfileMax: 2 })).toBe('total_frames_limit');
    expect(limited({ sampleTypesPerProfileMax: 1 })).toBe('sample_types_limit');
  });

  test('that is cut or changed anywhere is read or refused for a reason, never a bug', () => {
    const bytes = encoded(SMALL);
    const dice = new Dice(3);
    const known = new Set(['malformed_protobuf', 'malformed_profile', 'invalid_utf8', 'read']);
    known.add('stack_depth');
    for (let end = 0; end < bytes.byteLength; end++) {
      const cut = bytes.slice(0, end);
      expect(known).toContain(reasonOf(() => new PlainReader().read(cut)));
    }
    for (let i = 0; i < 3_000; i++) {
      const flipped = bytes.slice();
      const at = dice.whole(0, bytes.byteLength - 1);
      flipped[at] = (flipped[at] as number) ^ (1 << dice.whole(0, 7));
      expect(known).toContain(reasonOf(() => new PlainReader().read(flipped)));
    }
  });
});
