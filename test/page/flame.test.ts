import { describe, expect, test } from '@jest/globals';
import { diffStep, hueOf, HUES, isFunction } from '../../src/page/colour.ts';
import { childrenOf, nameOf, pathHashes, pathOf, readFlame } from '../../src/page/flame.ts';
import { barAt, visitBars, type FlameWindow } from '../../src/page/flame-layout.ts';
import { functionsOf, markedValue, nodesNamed } from '../../src/page/functions.ts';

// total 100 -> a 60 (self 10) -> b 30, a 20; c 40. Children begin behind their parent's own value.
const MERGE = {
  names: ['total', 'a', 'b', 'c'],
  levels: [
    { values: ['0', '100', '0', '0'] },
    { values: ['0', '60', '10', '1', '0', '40', '40', '3'] },
    { values: ['10', '30', '30', '2', '0', '20', '20', '1'] },
  ],
};

// a: 50 of 100, then 150 of 200; b: 50 of 100, then 50 of 200.
const DIFF = {
  names: ['total', 'a', 'b'],
  levels: [
    { values: ['0', '100', '0', '0', '200', '0', '0'] },
    { values: ['0', '50', '50', '0', '150', '150', '1', '0', '50', '50', '0', '50', '50', '2'] },
  ],
};

const whole: FlameWindow = { from: 0, to: 1, pixels: 1000, firstDepth: 0, lastDepth: 99 };

describe('a flame graph', () => {
  const flame = readFlame(MERGE, false);

  test('has the places and widths of the wire', () => {
    expect([...flame.x]).toEqual([0, 0, 0.6, 0.1, 0.4]);
    expect([...flame.width]).toEqual([1, 0.6, 0.4, 0.3, 0.2]);
    expect([...flame.now.self]).toEqual([0, 10, 40, 30, 20]);
    expect([...flame.parent]).toEqual([-1, 0, 0, 1, 1]);
    expect([...flame.depth]).toEqual([0, 1, 1, 2, 2]);
  });

  test('knows paths and children', () => {
    expect(pathOf(flame, 4).map((node) => nameOf(flame, node))).toEqual(['total', 'a', 'a']);
    expect(childrenOf(flame, 1)).toEqual([3, 5]);
    expect(childrenOf(flame, 2)).toEqual([5, 5]);
    expect(new Set(pathHashes(flame)).size).toBe(5);
  });

  test('sums by function, a recursion once', () => {
    const rows = functionsOf(flame).map(({ name, self, total }) => [name, self, total]);
    expect(rows).toEqual([
      ['a', 30, 60],
      ['b', 30, 30],
      ['c', 40, 40],
    ]);
  });

  test('finds functions, and counts what is found once', () => {
    const marks = nodesNamed(flame, 'A');
    expect([...(marks ?? [])]).toEqual([1, 1, 0, 0, 1]);
    expect(markedValue(flame, nodesNamed(flame, 'b')!, flame.now)).toBe(30);
    expect(nodesNamed(flame, '')).toBeUndefined();
  });

  test('that is empty has no bars', () => {
    const empty = readFlame({}, false);
    visitBars(empty, whole, () => expect('a bar').toBe('none'));
    expect(barAt(empty, 0, 0.5)).toBeUndefined();
    expect(functionsOf(empty)).toEqual([]);
  });
});

describe('a diff', () => {
  const flame = readFlame(DIFF, true);

  test('is as wide as the mean of its shares', () => {
    expect([...flame.width]).toEqual([1, 0.625, 0.375]);
    expect([...flame.x]).toEqual([0, 0, 0.625]);
    expect([...flame.base!.total]).toEqual([100, 50, 50]);
    expect([...flame.now.total]).toEqual([200, 150, 50]);
  });

  test('with nothing on one side has the widths of the other', () => {
    const values = [{ values: ['0', '0', '0', '0', '8', '0', '0'] }];
    expect([...readFlame({ names: ['total'], levels: values }, true).width]).toEqual([1]);
  });

  test('is coloured by the change of share, and not at all below the floor', () => {
    expect(diffStep(0.5, 0.75, 0.005)).toBeGreaterThan(0);
    expect(diffStep(0.5, 0.25, 0.005)).toBe(-diffStep(0.25, 0.5, 0.005));
    expect(diffStep(0, 0.004, 0.005)).toBe(0);
    expect(diffStep(0, 0.006, 0.005)).toBe(4);
    expect(diffStep(0.2, 0.2, 0)).toBe(0);
  });
});

describe('the layout', () => {
  const flame = readFlame(MERGE, false);

  test('gives each bar its pixels', () => {
    const seen: number[][] = [];
    visitBars(flame, whole, (node, left, width) => seen.push([node, left, width]));
    expect(seen.map((row) => row.map(Math.round))).toEqual([
      [0, 0, 1000],
      [1, 0, 600],
      [2, 600, 400],
      [3, 100, 300],
      [4, 400, 200],
    ]);
  });

  test('zoomed in shows callers over the whole width and leaves out what is beside', () => {
    const seen: number[][] = [];
    const window = { ...whole, from: 0.1, to: 0.4 };
    visitBars(flame, window, (node, left, width) => seen.push([node, left, width]));
    expect(seen.map((row) => row.map(Math.round))).toEqual([
      [0, 0, 1000],
      [1, 0, 1000],
      [3, 0, 1000],
    ]);
  });

  test('a crowd of slivers costs as many bars as there are pixels', () => {
    const count = 20_000;
    const values = Array.from({ length: count }, () => ['0', '1', '1', '1']).flat();
    const crowd = readFlame(
      { names: ['total', 'a'], levels: [{ values: ['0', `${count}`, '0', '0'] }, { values }] },
      false,
    );
    let bars = 0;
    visitBars(crowd, whole, () => bars++);
    expect(bars).toBeLessThan(2_000);
    expect(bars).toBeGreaterThan(500);
  });

  test('finds the bar at a place', () => {
    expect(barAt(flame, 1, 0.61)).toBe(2);
    expect(barAt(flame, 2, 0.05)).toBeUndefined();
    expect(barAt(flame, 2, 0.15)).toBe(3);
    expect(barAt(flame, 9, 0.5)).toBeUndefined();
    expect(barAt(flame, -1, 0.5)).toBeUndefined();
  });

  test('a function has the hue of its package', () => {
    expect(hueOf('encoding/json.Unmarshal')).toBe(hueOf('encoding/json.(*decodeState).value'));
    expect(hueOf('std::vector<int>::push_back')).toBeLessThan(HUES);
    expect([isFunction('other'), isFunction('others')]).toEqual([false, true]);
  });
});
