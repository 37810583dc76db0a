import { describe, expect, test } from '@jest/globals';
import { treeOfDiff, treeOfFlameGraph, type CallNode } from '../../../src/cli/tree/call-tree.ts';
import { functionsOf } from '../../../src/cli/tree/functions.ts';
import { stacksOf } from '../../../src/cli/tree/stacks.ts';

const names = ['total', 'main', 'beta', 'delta', 'alpha', 'gamma'];
const levels = (...rows: number[][]) => rows.map((row) => row.map(BigInt));

/** The worked example of the flame graph encoding: main;alpha;gamma 5, main;alpha 2, ... */
const flame = {
  names,
  levels: levels([0, 11, 0, 0], [0, 11, 1, 1], [1, 7, 2, 4, 0, 3, 2, 2], [3, 5, 5, 5, 2, 1, 1, 3]),
};
const diff = {
  names,
  levels: levels(
    [0, 11, 0, 0, 12, 0, 0],
    [0, 11, 1, 0, 12, 0, 1],
    [1, 7, 2, 0, 6, 2, 4, 0, 3, 2, 0, 6, 6, 2],
    [3, 5, 5, 2, 4, 4, 5, 2, 1, 1, 6, 0, 0, 3],
  ),
};
const lines = (root: CallNode) =>
  [...stacksOf(root)].map(
    ({ names: stack, node }) => `${stack.join(';')} ${node.baseSelf}>${node.self}`,
  );
describe('the tree of a flame graph', () => {
  test('has the stacks that made it', () => {
    expect(lines(treeOfFlameGraph(flame))).toEqual([
      'main 0>1',
      'main;alpha 0>2',
      'main;alpha;gamma 0>5',
      'main;beta 0>2',
      'main;beta;delta 0>1',
    ]);
  });

  test('of a diff has both sides', () => {
    expect(lines(treeOfDiff(diff))).toEqual([
      'main 1>0',
      'main;alpha 2>2',
      'main;alpha;gamma 5>4',
      'main;beta 2>6',
      'main;beta;delta 1>0',
    ]);
  });

  test('of no data is its root alone', () => {
    const empty = { names: ['total'], levels: levels([0, 0, 0, 0]) };
    expect(lines(treeOfFlameGraph(empty))).toEqual([]);
    const nothing = treeOfFlameGraph({ names: [], levels: [] });
    expect(nothing).toMatchObject({ name: 'total', total: 0n, children: [] });
  });

  test('counts recursion once in the total of a function', () => {
    const recursive = {
      names: ['total', 'f', 'g'],
      levels: levels([0, 9, 0, 0], [0, 9, 1, 1], [1, 8, 0, 2], [1, 8, 8, 1]),
    };
    const rows = functionsOf(treeOfFlameGraph(recursive));
    expect(rows.find((row) => row.name === 'f')).toMatchObject({ self: 9n, total: 9n });
    expect(rows.find((row) => row.name === 'g')).toMatchObject({ self: 0n, total: 8n });
  });

  test('may be far deeper than the call stack of this process', () => {
    const deep = {
      names: ['total', 'f'],
      levels: Array.from({ length: 30_000 }, (_, i) => [
        0n,
        1n,
        i === 29_999 ? 1n : 0n,
        i === 0 ? 0n : 1n,
      ]),
    };
    expect(functionsOf(treeOfFlameGraph(deep))).toMatchObject([{ self: 1n, total: 1n }]);
  });
});
