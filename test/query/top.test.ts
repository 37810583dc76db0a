import { describe, expect, it } from '@jest/globals';
import { atOnce } from '../../src/base/steps.ts';
import { foldedLines } from '../../src/query/folded.ts';
import { topFunctions } from '../../src/query/top.ts';
import { emptyNameTree } from '../../src/query/tree/name-tree.ts';
import { LEFT, stacksOf, treeOf } from './pictures.ts';

describe('topFunctions', () => {
  it('lists self and total, the largest self first', () => {
    const lines = atOnce(topFunctions(treeOf(stacksOf(LEFT)))).map(
      (f) => `${f.name} ${f.self} ${f.total}`,
    );
    expect(lines).toEqual(['gamma 5 5', 'alpha 2 7', 'beta 2 3', 'main 1 11', 'delta 1 1']);
  });

  it('counts a stack once however often a function recurses in it', () => {
    const tree = treeOf(stacksOf('f;g;f;f 3\nf;g 1\ng;f 2\nf 1'));
    expect(atOnce(topFunctions(tree))).toEqual([
      { name: 'f', self: 6n, total: 7n },
      { name: 'g', self: 1n, total: 6n },
    ]);
  });

  it('is empty without samples', () => {
    expect(atOnce(topFunctions(emptyNameTree()))).toEqual([]);
  });
});

describe('foldedLines', () => {
  it('writes one line for each place where samples end', () => {
    expect([...foldedLines(treeOf(stacksOf(LEFT)))]).toEqual([
      'main 1',
      'main;alpha 2',
      'main;alpha;gamma 5',
      'main;beta 2',
      'main;beta;delta 1',
    ]);
  });

  it('keeps names from breaking the format', () => {
    const tree = treeOf([[['a;b', 'c\nd'], 1n << 60n]]);
    expect([...foldedLines(tree)]).toEqual([`a:b;c d ${1n << 60n}`]);
  });
});
