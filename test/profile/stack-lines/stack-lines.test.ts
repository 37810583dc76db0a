import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BpftraceLines } from '../../../src/profile/bpftrace/read.ts';
import { PerfScriptLines } from '../../../src/profile/perf-script/read.ts';
import { FoldedLines } from '../../../src/profile/stack-lines/folded.ts';
import { LineSplitter } from '../../../src/profile/stack-lines/line-splitter.ts';
import type { StackReader, StackSink } from '../../../src/profile/stack-lines/sample.ts';
import { collect, collectText } from './collect.ts';

const folded = (sink: StackSink): StackReader => new FoldedLines(sink);

function linesOf(pieces: readonly Uint8Array[], bytesMax?: number): (string | number)[] {
  const lines: (string | number)[] = [];
  const sink = { line: (text: string) => lines.push(text), long: (n: number) => lines.push(n) };
  const splitter = new LineSplitter(sink, bytesMax);
  for (const piece of pieces) splitter.add(piece);
  splitter.end();
  return lines;
}

describe('lines', () => {
  test('are the same however the bytes come, in UTF-8 and in both UTF-16', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ unit: 'grapheme' }).filter((line) => !/[\r\n\ufeff\ufffe]/.test(line)),
        ),
        fc.constantFrom('utf8', 'utf16le', 'utf16be' as const),
        fc.constantFrom('\n', '\r\n'),
        fc.array(fc.nat(200), { maxLength: 8 }),
        (lines, encoding, end, cuts) => {
          const mark = encoding === 'utf8' ? '' : '\ufeff';
          const text = mark + lines.map((line) => line + end).join('');
          const bytes = Buffer.from(text, encoding === 'utf8' ? 'utf8' : 'utf16le');
          if (encoding === 'utf16be') bytes.swap16();
          const at = cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b);
          const pieces = [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length));
          expect(linesOf(pieces)).toEqual(lines);
        },
      ),
    );
  });

  test('the mark of UTF-8 is none of the text; the last line needs no end', () => {
    expect(linesOf([Buffer.from('\ufeffa\nb')])).toEqual(['a', 'b']);
    expect(linesOf([Buffer.from('x')])).toEqual(['x']);
    expect(linesOf([])).toEqual([]);
  });

  test('a line that is too long is told and forgotten, in any number of pieces', () => {
    const long = Buffer.from('x'.repeat(100));
    expect(linesOf([long, long, Buffer.from('\nok\n')], 50)).toEqual([200, 'ok']);
    expect(linesOf([Buffer.from('a\n'), long], 50)).toEqual(['a', 100]);
  });
});

describe('folded stacks', () => {
  test('are read as the reader of files does, but lines that are none are told', () => {
    const text =
      '# a comment\nmain;parse x;read 12\r\n\n a;;b\t3 \nno count\n;; 4\na -1\na 1e3\na 9007199254740992\n';
    const { stacks, troubles } = collectText(text, folded);
    expect(stacks).toEqual(['main;parse x;read 12', 'a;b 3']);
    expect(troubles).toHaveLength(5);
    expect(troubles[0]).toBe('expected "frame;frame count", found "no count"');
  });

  test('a stack that is too deep is cut at the root', () => {
    const text = `${Array.from({ length: 3_000 }, (_, i) => `f${i}`).join(';')} 1\n`;
    const [stack = ''] = collectText(text, folded).stacks;
    const frames = stack.split(';');
    expect([frames.length, frames[0], frames[1], frames.at(-1)]).toEqual([
      1_025,
      '(truncated)',
      'f1976',
      'f2999 1',
    ]);
  });
});

describe.each([
  ['folded', folded],
  ['perf script', (sink: StackSink): StackReader => new PerfScriptLines(sink)],
  ['bpftrace', (sink: StackSink): StackReader => new BpftraceLines(sink)],
] as const)('%s', (_name, open) => {
  test('never throws, whatever comes', () => {
    const words = fc.constantFrom(
      '@[',
      ']: 3',
      ' ',
      '\t',
      '\n',
      '\n\n',
      ',',
      ', ',
      'ab12',
      'f+0x1',
      ' (',
      ')',
      ':',
      '1.5:',
      '7',
      ';',
      'cpu-clock:',
      '#',
      '\0',
      '\ud800',
      '@x: 5',
      '-',
      '+',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 60 }), (pieces) => {
        collectText(pieces.join(''), open);
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void collect([bytes], open)),
    );
  });

  test.each([' (', '+0x', 'a ', ': ', ']: 1', '1 ', ';', ', ', '+1 (', '1.1: ', '[0] '])(
    'a line of a megabyte of %j is read in linear time',
    (unit) => {
      const long = unit.repeat(1_000_000 / unit.length);
      const text = `${long}\n@[\n\t${long}\n\tab ${long}\n]: 1\na 1 1.5: cpu-clock:\n\tab ${long}\n\n`;
      const before = process.cpuUsage();
      collectText(text, open);
      const { user, system } = process.cpuUsage(before);
      // Linear is well below a second; quadratic would be hours.
      expect(user + system).toBeLessThan(20_000_000);
    },
  );
});
