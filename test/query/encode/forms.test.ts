import { describe, expect, test } from '@jest/globals';
import { fromBinary } from '@bufbuild/protobuf';
import { atOnce } from '../../../src/base/steps.ts';
import { SelectMergeStacktracesResponseSchema } from '../../../src/gen/querier/v1/querier_pb.ts';
import { encodeDot } from '../../../src/query/encode/dot.ts';
import { encodeTree } from '../../../src/query/encode/tree.ts';
import { NameTreeBuilder } from '../../../src/query/tree/build.ts';
import { emptyNameTree, type NameTree } from '../../../src/query/tree/name-tree.ts';

/** The worked example of the wire format. */
const EXAMPLE: readonly (readonly [string, bigint])[] = [
  ['main;alpha;gamma', 5n],
  ['main;alpha', 2n],
  ['main;beta', 2n],
  ['main;beta;delta', 1n],
  ['main', 1n],
];

function treeOf(rows: readonly (readonly [string, bigint])[]): NameTree {
  const builder = new NameTreeBuilder();
  for (const [stack, value] of rows) builder.add(stack.split(';'), value);
  return builder.finish();
}

function treeBytes(tree: NameTree, maxNodes = 100): string {
  const { bytes } = atOnce(encodeTree(tree, maxNodes));
  return Buffer.from(fromBinary(SelectMergeStacktracesResponseSchema, bytes).tree).toString('hex');
}

function dotOf(tree: NameTree, maxNodes = 100): string {
  return fromBinary(SelectMergeStacktracesResponseSchema, atOnce(encodeDot(tree, maxNodes)).bytes)
    .dot;
}

describe('the bytes of a tree', () => {
  test('are those of the worked example', () => {
    expect(treeBytes(treeOf(EXAMPLE))).toBe(
      [
        '000001',
        '046d61696e0102',
        '04626574610201',
        '0564656c74610100',
        '05616c7068610201',
        '0567616d6d610500',
      ].join(''),
    );
  });

  test('are none without samples', () => {
    expect(treeBytes(emptyNameTree())).toBe('');
  });

  test('have what max_nodes folds as the last child, which comes first', () => {
    const { bytes, foldedValue } = atOnce(encodeTree(treeOf(EXAMPLE), 3));
    expect(foldedValue).toBe(3n);
    const tree = fromBinary(SelectMergeStacktracesResponseSchema, bytes).tree;
    const text = Buffer.from(tree).toString('latin1');
    expect(text.slice(3, 8)).toBe('\u0004main');
    expect(text.slice(10, 24)).toBe('\u0005other\u0003\u0000\u0005alpha');
  });

  test('hold values up to int64, and say where they were cut', () => {
    const big = (1n << 63n) - 1n;
    const tree = () =>
      treeOf([
        ['a', big],
        ['b', big],
      ]);
    expect(atOnce(encodeTree(tree(), 10)).saturated).toBe(false);
    expect(treeBytes(tree())).toContain('ffffffffffffffff7f');
  });

  test('are made of a tree that is used up', () => {
    const tree = treeOf(EXAMPLE);
    treeBytes(tree);
    expect(() => treeBytes(tree)).toThrow('a tree is pruned once');
  });
});

describe('a DOT graph', () => {
  test('has functions with own and total values, and calls', () => {
    expect(dotOf(treeOf(EXAMPLE))).toBe(
      `digraph profile {
  node [shape=box];
  N1 [label="main\\n1 (9.09%)\\nof 11 (100.00%)"];
  N2 [label="alpha\\n2 (18.18%)\\nof 7 (63.63%)"];
  N3 [label="gamma\\n5 (45.45%)\\nof 5 (45.45%)"];
  N4 [label="beta\\n2 (18.18%)\\nof 3 (27.27%)"];
  N5 [label="delta\\n1 (9.09%)\\nof 1 (9.09%)"];
  N1 -> N2 [label="7"];
  N1 -> N4 [label="3"];
  N2 -> N3 [label="5"];
  N4 -> N5 [label="1"];
}
`,
    );
  });

  test('counts a stack once for a function and for a call, however often it recurses', () => {
    const dot = dotOf(treeOf([['a;b;a;b;a', 4n]]));
    expect(dot).toContain('N1 [label="a\\n4 (100.00%)\\nof 4 (100.00%)"]');
    expect(dot).toContain('N1 -> N2 [label="4"]');
    expect(dot).toContain('N2 -> N1 [label="4"]');
  });

  test('shows the largest functions, and quotes their names', () => {
    const tree = treeOf([
      ['a"b\\c', 5n],
      ['d', 1n],
    ]);
    const { foldedValue } = atOnce(encodeDot(tree, 1));
    expect(foldedValue).toBe(1n);
    expect(dotOf(tree, 1)).toContain('label="a\\"b\\\\c\\n');
    expect(dotOf(tree, 1)).not.toContain('label="d');
  });
});
