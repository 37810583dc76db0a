import { describe, expect, test } from '@jest/globals';
import { diffTable, type DiffStyle } from '../../../src/cli/forms/diff-table.ts';
import { callTable, topTable } from '../../../src/cli/forms/merge-table.ts';
import { seriesTable } from '../../../src/cli/forms/series-table.ts';
import { formatShare, formatValue } from '../../../src/cli/forms/units.ts';
import { treeOf } from './trees.ts';

const style = { unit: 'count', color: false, width: 1_000, rows: 40 };
const merged = treeOf(
  'main 1',
  'main;alpha 2',
  'main;alpha;gamma 5',
  'main;beta 2',
  'main;beta;delta 1',
);
const diffStyle: DiffStyle = {
  ...style,
  floor: 0.001,
  by: 'self',
  stacks: 10,
  left: 'before',
  right: 'after',
};

describe('tables', () => {
  test('of functions', () => {
    expect(topTable(merged, style)).toBe(
      [
        'self      %  total       %  function',
        '   5  45.5%      5   45.5%  gamma',
        '   2  18.2%      7   63.6%  alpha',
        '   2  18.2%      3   27.3%  beta',
        '   1   9.1%     11  100.0%  main',
        '   1   9.1%      1    9.1%  delta',
        'total 11',
        '',
      ].join('\n'),
    );
    expect(topTable(merged, { ...style, rows: 3 })).toContain('... and 2 smaller, 2 together\n');
  });

  test('of a call tree', () => {
    expect(callTable(merged, style)).toBe(
      [
        'total       %  self  call tree',
        '   11  100.0%     1  main',
        '    7   63.6%     2   alpha',
        '    5   45.5%     5    gamma',
        '    3   27.3%     2   beta',
        '    1    9.1%     1    delta',
        'total 11',
        '',
      ].join('\n'),
    );
  });

  test('of changes: absolute, relative to each side, what matters first, the rest counted', () => {
    const root = treeOf(
      'main;same 500 500',
      'main;slower 100 300',
      'main;faster 300 180',
      'main;fresh 0 20',
      'main;left 10 0',
      'main;noise1 40 41',
      'main;noise2 50 49',
    );
    expect(diffTable(root, { ...diffStyle, floor: 0.005 }).split('\n')).toEqual([
      'left   1000  before',
      'right  1090  after  (+90, +9.0%)',
      '',
      'Functions, by what they used themselves',
      'change    ratio  of total  left      %  right      %  function',
      '  +200  +200.0%  +17.5 pp   100  10.0%    300  27.5%  slower',
      '  -120   -40.0%  -13.5 pp   300  30.0%    180  16.5%  faster',
      '     0     0.0%   -4.1 pp   500  50.0%    500  45.9%  same',
      '   +20      new   +1.8 pp     0   0.0%     20   1.8%  fresh',
      '   -10     gone   -1.0 pp    10   1.0%      0   0.0%  left',
      '    -1    -2.0%   -0.5 pp    50   5.0%     49   4.5%  noise2',
      '+1 in 1 smaller change, each below 0.5% of the total (--floor)',
      '1 unchanged',
      '',
      'Stacks',
      'change    ratio  of total  left      %  right      %  stack',
      '  +200  +200.0%  +17.5 pp   100  10.0%    300  27.5%  main > slower',
      '  -120   -40.0%  -13.5 pp   300  30.0%    180  16.5%  main > faster',
      '     0     0.0%   -4.1 pp   500  50.0%    500  45.9%  main > same',
      '   +20      new   +1.8 pp     0   0.0%     20   1.8%  main > fresh',
      '   -10     gone   -1.0 pp    10   1.0%      0   0.0%  main > left',
      '    -1    -2.0%   -0.5 pp    50   5.0%     49   4.5%  main > noise2',
      '+1 in 1 smaller change, each below 0.5% of the total (--floor)',
      '',
    ]);
  });

  test('of changes colour what is above the floor and nothing else', () => {
    const root = treeOf('a 1000 2000', 'b 1000 100', 'c 10000 10001', 'd 7 7');
    const text = diffTable(root, { ...diffStyle, color: true, floor: 0.04, stacks: 0 });
    const colored = text
      .split('\n')
      // eslint-disable-next-line no-control-regex
      .map((line) => /^\u001b\[38;5;(\d+)m.* (\S+)\u001b\[0m$/.exec(line)?.slice(1))
      .filter((match) => match !== undefined);
    expect(colored).toEqual([
      ['208', 'a'],
      ['33', 'b'],
    ]);
    expect(text).toContain('+1 in 1 smaller change');
    expect(text).toContain('1 unchanged');
  });

  test('of changes say how many rows there are beyond the limit, and lose nothing', () => {
    const lines = Array.from({ length: 50 }, (_, i) => `f${i} 10 ${20 + i}`);
    const text = diffTable(treeOf(...lines), { ...diffStyle, rows: 5, stacks: 2 });
    expect(text).toMatch(/in 45 more \(--rows\)/);
    expect(text).toMatch(/in 48 more \(--stacks\)/);
    const changes = [...text.split('Stacks')[0]!.matchAll(/^ *([+-]\d+) /gm)].map(([, n]) =>
      Number(n),
    );
    expect(changes.reduce((sum, n) => sum + n, 0)).toBe(
      Array.from({ length: 50 }, (_, i) => 10 + i).reduce((sum, n) => sum + n, 0),
    );
  });

  test('show hostile names as text and never longer than the terminal', () => {
    const name = `\u001b]0:title\u0007\u202Egnp.exe${'x'.repeat(10_000)}`;
    const text = topTable(treeOf(`${name} 5`), { ...style, width: 80 });
    expect(text).toContain(String.raw`\u{1b}]0:`);
    // eslint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u001b\u0007\u202e]/);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('of a timeline draw its shape', () => {
    const point = (minute: number, value: number) => ({ timeMs: minute * 60_000, value });
    const text = seriesTable(
      [{ labels: { pod: 'a' }, points: [point(1, 10), point(3, 80)] }],
      { startMs: 0, endMs: 180_000, stepMs: 60_000 },
      style,
    );
    expect(text.split('\n').slice(0, 2)).toEqual([
      'sum  least  mean  most  over time  series',
      ' 90     10    45    80       ·▂·█  pod="a"',
    ]);
  });

  test.each([
    [0n, 'nanoseconds', '0'],
    [999n, 'nanoseconds', '999 ns'],
    [1_500_000n, 'nanoseconds', '1.50 ms'],
    [7_200_000_000_000n, 'nanoseconds', '2.00 h'],
    [-2_000_000_000n, 'nanoseconds', '-2.00 s'],
    [3n * 1024n * 1024n, 'bytes', '3.00 MiB'],
    [42n, 'count', '42'],
    [9_999n, 'count', '9999'],
    [25_000n, 'count', '25.00k'],
    [25_000_000n, 'objects', '25.00M'],
  ])('%s %s is %s', (value, unit, text) => {
    expect(formatValue(value, unit)).toBe(text);
  });

  test('a share of nothing is not shown', () => {
    expect(formatShare(1n, 0n)).toBe('');
    expect(formatShare(1n, 8n)).toBe('12.5%');
  });
});
