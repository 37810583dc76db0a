import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TephraError } from '../../../src/base/errors.ts';
import { FoldedReader } from '../../../src/profile/folded/read.ts';
import { textProfileType } from '../../../src/profile/ingest-naming.ts';
import { PROFILE_LIMITS } from '../../../src/profile/limits.ts';
import { corpusFiles } from '../pprof/corpus.ts';
import { plainOfColumns, touchAll } from '../pprof/plain.ts';

const reader = new FoldedReader();
const options = {
  format: 'folded',
  sampleType: { type: 'samples', unit: 'count' },
  periodType: { type: '', unit: '' },
  period: 0n,
  unitScale: 1,
} as const;

/** Lines as `root;…;leaf value`. */
function lines(
  text: string | Uint8Array,
  {
    by = reader,
    ...more
  }: Partial<Omit<typeof options, 'format' | 'unitScale'>> & {
    by?: FoldedReader;
    format?: 'folded' | 'lines';
    unitScale?: number;
  } = {},
): string[] {
  const columns = by.read(Buffer.from(text), { ...options, ...more });
  touchAll(columns);
  const { samples, functions } = plainOfColumns(columns);
  return samples.map(({ locations, values }) => {
    const frames = locations.map((row) => functions[row]?.split('|')[0]).toReversed();
    return `${frames.join(';')} ${values.join(' ')}`;
  });
}

function refusal(text: string, by: FoldedReader = reader): string {
  try {
    lines(text, { by });
  } catch (thrown) {
    return TephraError.from(thrown).message;
  }
  return 'accepted';
}

function checkFile(file: string): void {
  const text = readFileSync(file);
  if (file.endsWith('simple-with-invalids.txt')) {
    expect(refusal(text.toString())).toBe(
      'malformed_folded: line 8: expected "frame;frame count", found "invalid line"',
    );
    return;
  }
  const expected = text
    .toString()
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '');
  expect(lines(text)).toEqual(expected);
}

describe('folded text', () => {
  test.each<[string, string, string[]]>([
    ['one line', 'a;b;c 10', ['a;b;c 10']],
    ['a line end', 'a;b 1\n', ['a;b 1']],
    ['CRLF', 'a;b 1\r\nc 2\r\n', ['a;b 1', 'c 2']],
    ['empty lines and blanks around', '\n\n  a;b 1  \n\t\nc 2\n\n', ['a;b 1', 'c 2']],
    ['a tab before the count', 'a;b\t7', ['a;b 7']],
    ['spaces in frames', 'a b;operator new (x, y) 3', ['a b;operator new (x, y) 3']],
    ['a number that belongs to the frame', 'a;b 1 2', ['a;b 1 2']],
    ['recursion', 'a;b;a;b;a 4', ['a;b;a;b;a 4']],
    ['a stack twice', 'a;b 1\na;b 2', ['a;b 1', 'a;b 2']],
    ['empty frames', ';a;;b; 1', ['a;b 1']],
    ['a count of zero', 'a 0', ['a 0']],
    ['comments', '# a comment\n// another 5\n#\na 1', ['a 1']],
    [
      'frames that look like comments',
      '#<Class:A>;b 1\n//pkg:target;c 2',
      ['#<Class:A>;b 1', '//pkg:target;c 2'],
    ],
    ['any characters', 'größe;😀;__proto__;constructor 1', ['größe;😀;__proto__;constructor 1']],
    ['nothing', '', []],
    ['values beyond 2^53', `a 9223372036854775807\nb 5`, ['a 9223372036854775807', 'b 5']],
  ])('with %s is read', (_, text, expected) => {
    expect(lines(text)).toEqual(expected);
  });

  test.each<[string, string, RegExp]>([
    [
      'a line without a count',
      'a;b 1\n\nc;d\n',
      /^malformed_folded: line 3: expected "frame;frame count", found "c;d"/,
    ],
    ['words', 'invalid line', /^malformed_folded: line 1: .*found "invalid line"/],
    ['a count that is no whole number', 'a;b 1.5', /^malformed_folded: line 1/],
    ['a negative count', 'a;b -1', /^malformed_folded: line 1/],
    ['a count alone', '12', /^malformed_folded: line 1/],
    ['only empty frames', ';; 5', /^malformed_folded: line 1: expected a frame/],
    [
      'a value beyond int64',
      'a 9223372036854775808',
      /^malformed_folded: line 1: the value 9223372036854775808 is beyond int64/,
    ],
    ['a count of a thousand digits', `a ${'9'.repeat(1_000)}`, /^malformed_folded: line 1/],
    ['a long line', 'x'.repeat(10_000), /^malformed_folded: line 1: .{0,180}$/],
  ])('with %s is refused with the line', (_, text, message) => {
    expect(refusal(text)).toMatch(message);
  });

  test('as stacks without counts counts one for each line', () => {
    expect(lines('a;b\na;b\nc d 5\n', { format: 'lines' })).toEqual(['a;b 1', 'a;b 1', 'c d 5 1']);
  });

  test('is scaled exactly by the period of its type', () => {
    const { unitScale, period } = textProfileType('app.cpu', 100);
    expect(period).toBe(10_000_000n);
    expect(lines('a;b 3\nc 1000000000', { unitScale })).toEqual([
      'a;b 30000000',
      'c 10000000000000000',
    ]);
  });

  test('deeper than is kept loses its root side to the frame (truncated)', () => {
    const by = new FoldedReader({ ...PROFILE_LIMITS, stackDepthKept: 3, stackDepthMax: 6 });
    expect(lines('a;b;c 1\na;b;c;d 2\nx;a;b;c;d;e 3', { by })).toEqual([
      'a;b;c 1',
      '(truncated);b;c;d 2',
      '(truncated);c;d;e 3',
    ]);
    expect(refusal('1;2;3;4;5;6;7 1', by)).toMatch(/^stack_depth: line 1: 7 > 6/);
  });

  test.each<[Partial<typeof PROFILE_LIMITS>, string]>([
    [{ samplesPerProfileMax: 2 }, 'samples_limit'],
    [{ framesPerProfileMax: 4 }, 'total_frames_limit'],
    [{ stringsPerProfileMax: 2 }, 'strings_limit'],
  ])('beyond the limit %p is refused', (limits, reason) => {
    const by = new FoldedReader({ ...PROFILE_LIMITS, ...limits });
    expect(refusal('a;b 1\na;c 1\na;b 1', by)).toMatch(new RegExp(`^${reason}`));
  });

  test('of any names comes back line by line', () => {
    const name = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 20 })
      .filter(
        (text) => !/[;\s\r\n\t]/.test(text) && !text.startsWith('#') && !text.startsWith('/'),
      );
    const line = fc.tuple(
      fc.array(name, { minLength: 1, maxLength: 30 }),
      fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 200 }), (stacks) => {
        const expected = stacks.map(([frames, count]) => `${frames.join(';')} ${count}`);
        expect(lines(expected.join('\n'))).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  const files = corpusFiles('text').filter((file) => !file.includes('linux-perf'));
  const withCorpus = files.length === 0 ? test.skip : test;
  withCorpus.each(files.length === 0 ? ['TEPHRA_CORPUS is not set: nothing'] : files)(
    '%s is read, or refused at its invalid line',
    checkFile,
  );
});
