import { describe, expect, test } from '@jest/globals';
import { flameGraphSvg, type PictureOptions } from '../../../src/cli/forms/svg/flame-graph.ts';
import type { CallNode } from '../../../src/cli/tree/call-tree.ts';
import { treeOf } from './trees.ts';

const options: PictureOptions = { unit: 'count', title: 'what <used> it', layout: 'icicle' };
const diff = { left: 'before', right: 'after', floor: 0.001 };

interface Drawn {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly title: string;
  readonly fill: string;
  readonly name: string | undefined;
}

function draw(root: CallNode, more: Partial<PictureOptions> = {}): string {
  return [...flameGraphSvg(root, { ...options, ...more })].join('');
}

function boxesOf(svg: string): Drawn[] {
  const box =
    /<svg class="f" x="([\d.]+)%" y="(\d+)" width="([\d.]+)%" height="\d+"><title>([^<]*)<\/title><rect class="b (\w+)"[^>]*\/>(?:<text[^>]*>([^<]*)<\/text>)?<\/svg>/g;
  return [...svg.matchAll(box)].map(([, x, y, width, title = '', fill = '', name]) => ({
    x: Number(x),
    y: Number(y),
    width: Number(width),
    title,
    fill,
    name,
  }));
}

/** Elements open and close in order, and nothing else uses the letters of markup. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [, close, name = '', rest = ''] of svg.matchAll(/<(\/?)([a-z]+)([^<>]*)>/g)) {
    if (close === '/') expect(open.pop()).toBe(name);
    else if (!rest.endsWith('/')) open.push(name);
  }
  expect(open).toEqual([]);
  const outside = svg.replaceAll(/<\/?[a-z]+(?: [a-zA-Z:]+="[^"<>]*")*\/?>/g, '');
  expect(outside).not.toMatch(/[<>]/);
  expect(outside).not.toMatch(/&(?!amp;|lt;|gt;)/);
  // eslint-disable-next-line no-control-regex
  expect(svg).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\ufffe\uffff\u202a-\u202e]/);
}

describe('an SVG flame graph', () => {
  const root = treeOf('a 10', 'a;b 30', 'a;b;c 20', 'd 40');

  test('has a box for each node, as wide as its share, inside its parent', () => {
    const boxes = boxesOf(draw(root));
    expect(boxes.map(({ name, x, width }) => [name, x, width])).toEqual([
      ['total', 0, 100],
      ['a', 0, 60],
      ['d', 60, 40],
      ['b', 0, 50],
      ['c', 0, 20],
    ]);
    expect(new Set(boxes.map(({ y }) => y)).size).toBe(4);
    expect(boxes[1]?.title).toBe('a\ntotal 60 (60.0%)\nself 10 (10.0%)');
    expectWellFormed(draw(root));
  });

  test('has its roots below where that is wanted', () => {
    const [icicle, flame] = [boxesOf(draw(root)), boxesOf(draw(root, { layout: 'flame' }))];
    expect(icicle.map(({ y }) => y)).toEqual(flame.map(({ y }) => y).map((y) => 48 + 105 - y));
    expect(flame[0]!.y).toBeGreaterThan(flame[4]!.y);
  });

  test('refers to nothing outside and has no script', () => {
    const svg = draw(root, { diff });
    expect(svg).not.toMatch(/<script|<a |href|url\(|@import|<foreignObject|\son\w+=/);
    expect(svg.match(/https?:\/\/[^"]*/g)).toEqual(['http://www.w3.org/2000/svg']);
    expect(svg).toContain('prefers-color-scheme:dark');
  });

  test('of a diff is as wide as the mean of both shares, and coloured by the change of the share', () => {
    const both = treeOf('same 500 1000', 'more 100 600', 'gone 400 0', 'tiny 1000 1999');
    const boxes = boxesOf(draw(both, { diff }));
    const of = (name: string): Drawn => boxes.find((box) => box.title.startsWith(name))!;
    expect(of('same').width).toBeCloseTo((25 + 27.785) / 2, 1);
    expect(of('gone')).toMatchObject({ width: 10, fill: 'd0' });
    expect(of('more').fill).toBe('d8');
    expect(of('total').fill).toBe('d4');
    expect(boxes.slice(1).reduce((sum, { width }) => sum + width, 0)).toBeCloseTo(100, 2);
    expect(of('more').title).toContain('100 (5.0%), then 600 (16.7%), +500, +11.7 pp of the total');
  });

  test('of a diff gives no colour to what changed less than the floor', () => {
    const both = treeOf('a 100000 100050', 'b 100000 99950', 'c 1000 4000');
    const fills = boxesOf(draw(both, { diff: { ...diff, floor: 0.05 } })).map(({ fill }) => fill);
    expect(new Set(fills)).toEqual(new Set(['d4']));
    expectWellFormed(draw(both, { diff }));
  });

  test('of a diff draws one empty side', () => {
    const boxes = boxesOf(draw(treeOf('a 0 10', 'b 0 30'), { diff }));
    expect(boxes.map(({ width }) => width)).toEqual([100, 75, 25]);
  });

  test.each([
    ['markup', '<script>alert(1)</script>"\'&amp;]]>'],
    ['control characters', 'a\u0000b\u001b[31mc\r\nd\u0085\u009b'],
    ['what XML has no place for', 'a\uFFFEb\uFFFFc\uD800d'],
    ['turned text', 'שלום\u202Egnp.exe\u2066x مرحبا'],
    ['10 kB', 'n'.repeat(10_000)],
    ['10 kB of markup', '<&>'.repeat(3_400)],
    ['nothing', ''],
  ])('stays well-formed with names of %s', (_what, name) => {
    const one = { name: 'total', self: 0n, total: 5n, baseSelf: 0n, baseTotal: 5n };
    const hostile: CallNode = {
      ...one,
      children: [{ ...one, name, self: 5n, baseSelf: 5n, children: [] }],
    };
    for (const svg of [
      draw(hostile, { title: name }),
      draw(hostile, { diff: { left: name, right: name, floor: 0 }, title: name }),
    ]) {
      expectWellFormed(svg);
      expect(svg.length).toBeLessThan(40_000);
      expect(boxesOf(svg)).toHaveLength(2);
    }
  });

  test('does not draw what nobody could see, and counts it', () => {
    const wide = treeOf('a 1000000', ...Array.from({ length: 30 }, (_, i) => `f${i} 1`));
    expect(draw(wide)).toContain('30 functions are too narrow or too deep to be drawn');
    const deep = treeOf(`${Array.from({ length: 5_000 }, (_, i) => `f${i}`).join(';')} 1`);
    expect(boxesOf(draw(deep))).toHaveLength(250);
    expect(draw(deep)).toContain('1 function is too narrow or too deep to be drawn');
  });

  test('leaves the path of a package away where there is little room', () => {
    const boxes = boxesOf(draw(treeOf('net/http.(*conn).serve 80', 'cmd/compile/ssa.Compile 20')));
    expect(boxes.map(({ name }) => name)).toEqual([
      'total',
      'net/http.(*conn).serve',
      'ssa.Compile',
    ]);
    expect(boxes[2]?.title).toContain('cmd/compile/ssa.Compile');
  });
});
