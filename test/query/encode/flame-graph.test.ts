import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { atOnce } from '../../../src/base/steps.ts';
import {
  DiffResponseSchema,
  SelectMergeStacktracesResponseSchema,
} from '../../../src/gen/querier/v1/querier_pb.ts';
import { encodeDiff } from '../../../src/query/encode/diff.ts';
import { asSide, joinSidedTrees } from '../../../src/query/tree/join.ts';
import { encodeFlameGraph } from '../../../src/query/encode/flame-graph.ts';
import { joinNameTrees } from '../../../src/query/tree/join.ts';
import { emptyNameTree, type NameTree } from '../../../src/query/tree/name-tree.ts';
import { oracleAnswer, oracleTree, pruneOracle } from '../oracle.ts';
import { LEFT, RIGHT, type Stack, stacksOf, treeOf } from '../pictures.ts';

const INT64_MAX = (1n << 63n) - 1n;

function flameGraph(tree: NameTree, maxNodes = 8192) {
  const { bytes, saturated } = atOnce(encodeFlameGraph(tree, maxNodes));
  const { flamegraph } = fromBinary(SelectMergeStacktracesResponseSchema, bytes);
  if (flamegraph === undefined) throw new TypeError('no flame graph');
  const levels = flamegraph.levels.map(({ values }) => values.map(String).join(','));
  return {
    ...flamegraph,
    levels,
    values: flamegraph.levels.map(({ values }) => values),
    saturated,
  };
}

function diff(left: NameTree, right: NameTree, maxNodes = 8192) {
  const { bytes, saturated } = atOnce(
    encodeDiff(atOnce(joinSidedTrees([asSide(left, 0, 2), asSide(right, 1, 2)], 2)), maxNodes),
  );
  const { flamegraph } = fromBinary(DiffResponseSchema, bytes);
  if (flamegraph === undefined) throw new TypeError('no flame graph');
  const levels = flamegraph.levels.map(({ values }) => values.map(String).join(','));
  return {
    ...flamegraph,
    levels,
    values: flamegraph.levels.map(({ values }) => values),
    saturated,
  };
}

/** Few names, so that paths and ties repeat; some sort differently as UTF-16 and as UTF-8. */
const names = fc.constantFrom('a', 'b', 'aa', 'other', 'total', 'é', '\uFFFD', '😀', 'Z', '');
const weights = fc.oneof(
  fc.bigInt(0n, 6n),
  fc.bigInt(0n, 1n << 40n),
  fc.bigInt((1n << 53n) - 4n, (1n << 53n) + 4n),
);
const stacks: fc.Arbitrary<Stack[]> = fc.array(
  fc.tuple(fc.array(names, { minLength: 1, maxLength: 6 }), weights),
  { maxLength: 40 },
);

describe('encodeFlameGraph', () => {
  it('gives the worked example of wire-pyroscope 6.3', () => {
    expect(flameGraph(treeOf(stacksOf(LEFT)))).toMatchObject({
      names: ['total', 'main', 'beta', 'delta', 'alpha', 'gamma'],
      levels: ['0,11,0,0', '0,11,1,1', '1,7,2,4,0,3,2,2', '3,5,5,5,2,1,1,3'],
      total: 11n,
      maxSelf: 5n,
      saturated: false,
    });
  });

  it('gives the worked example of 6.6 with three nodes', () => {
    expect(flameGraph(treeOf(stacksOf(LEFT)), 3)).toMatchObject({
      names: ['total', 'main', 'other', 'alpha', 'gamma'],
      levels: ['0,11,0,0', '0,11,1,1', '1,7,2,3,0,3,3,2', '3,5,5,4'],
    });
  });

  it('keeps nodes that are equal to the threshold', () => {
    const tree = treeOf(stacksOf('a 1\nb 1\nc 1\nd 1'));
    expect(flameGraph(tree, 1).levels).toEqual(['0,4,0,0', '0,1,1,4,0,1,1,3,0,1,1,2,0,1,1,1']);
  });

  it('gives a name and a level for no samples at all', () => {
    expect(flameGraph(emptyNameTree())).toMatchObject({
      names: ['total'],
      levels: ['0,0,0,0'],
      total: 0n,
      maxSelf: 0n,
    });
    expect(
      Buffer.from(atOnce(encodeFlameGraph(atOnce(joinNameTrees([])), 1)).bytes).toString('hex'),
    ).toBe('0a0f0a05746f74616c12060a0400000000');
  });

  it('tells a real function `other` from the folded ones', () => {
    const tree = treeOf(stacksOf('other 9\nz 8\na 1\nb 1'));
    expect(flameGraph(tree, 2)).toMatchObject({
      names: ['total', 'other', 'z'],
      levels: ['0,19,0,0', '0,9,9,1,0,8,8,2,0,2,2,1'],
    });
  });

  it('orders children by UTF-8 bytes', () => {
    const tree = treeOf(stacksOf('😀 1\n\uFFFD 1\né 1\nz 1'));
    expect(flameGraph(tree).names).toEqual(['total', '😀', '\uFFFD', 'é', 'z']);
  });

  it('is the answer of a naive tree, for any stacks, parts and budget', () => {
    fc.assert(
      fc.property(
        fc.array(stacks, { maxLength: 4 }),
        fc.integer({ min: 1, max: 30 }),
        (parts, max) => {
          const answer = flameGraph(atOnce(joinNameTrees(parts.map(treeOf))), max);
          const oracle = oracleTree([parts.flat()]);
          pruneOracle(oracle, max);
          const expected = oracleAnswer(oracle);
          expect(answer.names).toEqual(expected.names);
          expect(answer.values).toEqual(expected.levels);
          expect(answer.total).toBe(oracle.total[0]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('makes every parent exactly its own value and its children', () => {
    fc.assert(
      fc.property(stacks, fc.integer({ min: 1, max: 8 }), (some, max) => {
        const { values } = flameGraph(treeOf(some), max);
        const sum = (level: readonly bigint[] | undefined, at: number): bigint =>
          (level ?? []).reduce((all, value, i) => (i % 4 === at ? all + value : all), 0n);
        for (const [depth, level] of values.entries()) {
          expect(sum(level, 1)).toBe(sum(level, 2) + sum(values[depth + 1], 1));
        }
      }),
    );
  });

  it('is exact beyond 2^53 and up to int64', () => {
    const half = (1n << 62n) - 1n;
    const tree = treeOf([
      [['a', 'b'], half],
      [['a', 'c'], half],
      [['a'], 1n],
    ]);
    const answer = flameGraph(tree);
    expect(answer).toMatchObject({ total: INT64_MAX, maxSelf: half, saturated: false });
    expect(answer.values[2]).toEqual([1n, half, half, 3n, 0n, half, half, 2n]);
  });

  it('stops at int64 and says so', () => {
    const tree = treeOf([
      [['a'], INT64_MAX],
      [['b'], INT64_MAX],
    ]);
    const answer = flameGraph(tree);
    expect(answer).toMatchObject({ total: INT64_MAX, maxSelf: INT64_MAX, saturated: true });
  });

  it('goes two lanes wide when only the sum of the parts needs it', () => {
    const most = BigInt(Number.MAX_SAFE_INTEGER);
    const parts = [treeOf([[['a'], most]]), treeOf([[['a'], most]]), treeOf([[['b'], 1n]])];
    expect(parts.every(({ self }) => self.hi === undefined)).toBe(true);
    expect(flameGraph(atOnce(joinNameTrees(parts))).total).toBe(most * 2n + 1n);
  });

  it('takes a stack of 20,000 frames', () => {
    const deep = Array.from({ length: 20_000 }, (_, i) => `f${i % 7}`);
    expect(flameGraph(treeOf([[deep, 3n]]), 1_048_576).levels).toHaveLength(20_001);
  });
});

describe('encodeDiff', () => {
  it('gives the worked example of wire-pyroscope 6.4', () => {
    expect(diff(treeOf(stacksOf(LEFT)), treeOf(stacksOf(RIGHT)))).toMatchObject({
      names: ['total', 'main', 'beta', 'delta', 'alpha', 'gamma'],
      levels: [
        '0,11,0,0,12,0,0',
        '0,11,1,0,12,0,1',
        '1,7,2,0,6,2,4,0,3,2,0,6,6,2',
        '3,5,5,2,4,4,5,2,1,1,6,0,0,3',
      ],
      leftTicks: 11n,
      rightTicks: 12n,
      total: 23n,
      maxSelf: 6n,
    });
  });

  it('gives zeros for a side without samples', () => {
    const right = diff(emptyNameTree(), treeOf(stacksOf('a;b 3')));
    expect(right.levels).toEqual(['0,0,0,0,3,0,0', '0,0,0,0,3,0,1', '0,0,0,0,3,3,2']);
    expect(diff(treeOf(stacksOf('a;b 3')), emptyNameTree())).toMatchObject({
      leftTicks: 3n,
      rightTicks: 0n,
      total: 3n,
    });
    expect(diff(emptyNameTree(), emptyNameTree())).toMatchObject({
      names: ['total'],
      levels: ['0,0,0,0,0,0,0'],
      total: 0n,
    });
  });

  it('is the answer of a naive tree, pruned by the larger side', () => {
    fc.assert(
      fc.property(stacks, stacks, fc.integer({ min: 1, max: 20 }), (left, right, max) => {
        const answer = diff(treeOf(left), treeOf(right), max);
        const oracle = oracleTree([left, right]);
        pruneOracle(oracle, max);
        const expected = oracleAnswer(oracle);
        expect(answer.names).toEqual(expected.names);
        expect(answer.values).toEqual(expected.levels);
        expect([answer.leftTicks, answer.rightTicks]).toEqual(oracle.total);
      }),
      { numRuns: 300 },
    );
  });

  it('cuts only what passes int64', () => {
    const tree = treeOf([[['a'], INT64_MAX]]);
    expect(diff(tree, tree)).toMatchObject({
      leftTicks: INT64_MAX,
      rightTicks: INT64_MAX,
      total: INT64_MAX,
      saturated: true,
    });
  });
});
