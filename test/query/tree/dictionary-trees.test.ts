import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { seededRandom } from '../../../src/base/random.ts';
import { atOnce } from '../../../src/base/steps.ts';
import { foldedLines } from '../../../src/query/folded.ts';
import { frameTreeOf, joinFrameTrees } from '../../../src/query/tree/join-frames.ts';
import { joinNameTrees } from '../../../src/query/tree/join.ts';
import { laneValue, lanesOf, totalsOf } from '../../../src/query/tree/lanes.ts';
import { nameTreeOf } from '../../../src/query/tree/name-tree-of.ts';
import { rankedValue } from '../../../src/query/tree/threshold.ts';
import { Dictionary } from '../../../src/storage/dictionary/dictionary.ts';
import { NO_FUNCTION } from '../../../src/storage/dictionary/rows.ts';
import { type Stack, stacksOf, treeOf } from '../pictures.ts';

/** A dictionary that knows the stacks, and the sums in its order; `name@line` has a line. */
function dictionaryOf(stacks: readonly Stack[], seed = 1) {
  const dictionary = new Dictionary(seededRandom(seed));
  const sums: bigint[] = [];
  for (const [frames, value] of stacks) {
    const ids = frames.map((frame) => {
      const [name = '', line = '0'] = frame.split('@');
      const fn = dictionary.internFunction(dictionary.internText(name), 0, 0, 0);
      return dictionary.internFrame(fn, Number(line), 0, 0, 0, 0, 0, 0);
    });
    const stack = dictionary.internStack(Uint32Array.from(ids), 0, ids.length);
    sums[stack] = (sums[stack] ?? 0n) + value;
  }
  return { dictionary, sums: lanesOf(sums) };
}

const stacks: fc.Arbitrary<Stack[]> = fc.array(
  fc.tuple(
    fc.array(fc.constantFrom('a', 'a@2', 'b', 'total', 'other', 'é'), {
      minLength: 1,
      maxLength: 5,
    }),
    fc.oneof(fc.bigInt(0n, 3n), fc.bigInt(0n, 1n << 60n)),
  ),
  { maxLength: 25 },
);

/** Folded lines of the stacks without line numbers. */
function expectedLines(all: readonly Stack[]): string[] {
  const named = all.map(([frames, value]): Stack => [
    frames.map((f) => f.split('@')[0] ?? ''),
    value,
  ]);
  return [...foldedLines(treeOf(named))];
}

describe('nameTreeOf and joinNameTrees', () => {
  it('keep only what has weight', () => {
    const { dictionary } = dictionaryOf(stacksOf('a;b 1\na;c 1\nd 1'));
    const tree = atOnce(nameTreeOf(dictionary, lanesOf([0n, 5n, 0n])));
    expect([...foldedLines(tree)]).toEqual(['a;c 5']);
    expect(tree.names).toEqual(['total', 'a', 'c']);
    expect(tree.parent).toEqual(Int32Array.of(-1, 0, 1));
  });

  it('make frames of one function one node', () => {
    const { dictionary, sums } = dictionaryOf(stacksOf('a@1;b@1 1\na@2;b@7 2'));
    expect([...foldedLines(atOnce(nameTreeOf(dictionary, sums)))]).toEqual(['a;b 3']);
  });

  it('make one node of a function that is called like an address', () => {
    const dictionary = new Dictionary(seededRandom(1));
    const file = dictionary.internText('/lib/x.so');
    const address = dictionary.internFrame(NO_FUNCTION, 0, 0, file, 0, 0x10, 0, 0);
    const name = dictionary.internText(dictionary.frameName(address));
    const symbol = dictionary.internFrame(
      dictionary.internFunction(name, 0, 0, 0),
      0,
      0,
      0,
      0,
      0,
      0,
      0,
    );
    for (const frame of [address, symbol]) dictionary.internStack(Uint32Array.of(frame), 0, 1);
    const tree = atOnce(nameTreeOf(dictionary, lanesOf([1n, 2n])));
    expect([...foldedLines(tree)]).toEqual([`${dictionary.frameName(address)} 3`]);
  });

  it('add up any dictionaries by content, exactly', () => {
    fc.assert(
      fc.property(fc.array(stacks, { maxLength: 4 }), (parts) => {
        const trees = parts.map((part, i) => {
          const { dictionary, sums } = dictionaryOf(part, i + 1);
          return structuredClone(atOnce(nameTreeOf(dictionary, sums)));
        });
        const joined = atOnce(joinNameTrees(trees));
        expect([...foldedLines(joined)]).toEqual(expectedLines(parts.flat()));
        for (let i = 1; i < joined.parent.length; i++) {
          expect(joined.parent[i]).toBeLessThan(i);
        }
      }),
    );
  });
});

describe('frameTreeOf and joinFrameTrees', () => {
  it('keep lines apart and add up by content', () => {
    fc.assert(
      fc.property(fc.array(stacks, { maxLength: 4 }), (parts) => {
        const trees = parts.map((part, i) => {
          const { dictionary, sums } = dictionaryOf(part, i + 1);
          return structuredClone(atOnce(frameTreeOf([{ source: dictionary, sums }])));
        });
        const { strings, functions, frames, parent, frame, self } = atOnce(joinFrameTrees(trees));
        // Shown as a name tree, with the lines in the names again.
        const text = (f: number): string => {
          const line = frames.line[f] as number;
          const name = strings[functions.name[frames.fn[f] as number] as number] as string;
          return line === 0 ? name : `${name}@${line}`;
        };
        const names = ['total', ...Array.from(frames.fn, (_, f) => text(f))];
        const name = frame.map((f, i) => (i === 0 ? 0 : f + 1));
        const shown = [...foldedLines({ names, parent, name, self })];
        expect(shown).toEqual([...foldedLines(treeOf(parts.flat()))]);
      }),
    );
  });
});

describe('totalsOf', () => {
  it('goes two lanes wide rather than wrong', () => {
    const most = Number.MAX_SAFE_INTEGER;
    const totals = atOnce(
      totalsOf(Int32Array.of(-1, 0, 0), {
        lo: Float64Array.of(0, most, most),
        hi: undefined,
      }),
    );
    expect(laneValue(totals, 0)).toBe(BigInt(most) * 2n);
  });
});

describe('rankedValue', () => {
  it('is the value at that rank of the sorted ones, without the root', () => {
    const value = fc.oneof(
      fc.bigInt(0n, 4n),
      fc.bigInt((1n << 53n) - 3n, (1n << 53n) + 3n),
      fc.bigInt(0n, 1n << 66n),
    );
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1 }),
        fc.integer({ min: 1, max: 12 }),
        (all, rank) => {
          const { hi, lo } = atOnce(rankedValue(lanesOf([1n << 70n, ...all]), rank));
          const narrow = all.map((one) => one % 1000n);
          const ranked = atOnce(rankedValue(lanesOf([5n, ...narrow]), rank));
          const expected = (values: bigint[]): bigint => {
            const sorted = values.toSorted((a, b) => (a < b ? 1 : a > b ? -1 : 0));
            const found = values.length <= rank ? 1n : (sorted[rank - 1] as bigint);
            return found < 1n ? 1n : found;
          };
          expect((BigInt(hi) << 32n) + BigInt(lo)).toBe(expected(all));
          expect((BigInt(ranked.hi) << 32n) + BigInt(ranked.lo)).toBe(expected(narrow));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is found among more equal values than are moved at once', () => {
    const lo = Float64Array.from({ length: 60_000 }, (_, i) => (i % 3 === 0 ? 7 : 5 + (i % 2)));
    const sorted = lo.slice(1).sort().reverse();
    for (const rank of [1, 19_999, 20_000, 30_001, 50_000]) {
      const { lo: value } = atOnce(rankedValue({ lo, hi: undefined }, rank));
      expect(value).toBe(sorted[rank - 1]);
    }
  });

  it('is found among many that differ late, or not at all', () => {
    // Alike in their first digit, first two, first three: 16 bits of a double each.
    for (const step of [2 ** 30, 2 ** 14, 1, 0]) {
      const lo = Float64Array.from(
        { length: 150_000 },
        (_, i) => 2 ** 51 + ((i * 7_919) % 150_001) * step,
      );
      const sorted = lo.slice(1).sort().reverse();
      for (const rank of [1, 2, 70_000, 149_998]) {
        const { hi, lo: low } = atOnce(rankedValue({ lo, hi: undefined }, rank));
        expect(hi * 2 ** 32 + low).toBe(sorted[rank - 1]);
      }
    }
  });
});
