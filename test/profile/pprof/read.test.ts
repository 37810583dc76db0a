import { describe, expect, test } from '@jest/globals';
import { TephraError } from '../../../src/base/errors.ts';
import { PROFILE_LIMITS } from '../../../src/profile/limits.ts';
import { PprofReader } from '../../../src/profile/pprof/read.ts';
import { plainOfBytes, plainOfColumns, withoutSynthetic } from './plain.ts';
import { smallPprof as profile, STRINGS, type Parts } from '../../support/small-pprof.ts';
import { WireBuilder } from '../../support/wire-builder.ts';
const reader = new PprofReader();
describe('a pprof that is valid', () => {
  test.each<[string, Parts]>([
    ['as it is', {}],
    [
      'with ids that are neither dense nor small',
      {
        samples: (b) =>
          b.message(2, (s) => s.packed(1, [2n ** 64n - 1n, 7, 2n ** 40n]).packed(2, [1])),
        mappings: (b) => b.message(3, (m) => m.int(1, 2n ** 63n).int(5, 3)),
        locations: (b) =>
          b
            .message(4, (l) => l.int(1, 7).int(2, 2n ** 63n))
            .message(4, (l) => l.int(1, 2n ** 64n - 1n).message(4, (n) => n.int(1, 2n ** 50n)))
            .message(4, (l) => l.int(1, 2n ** 40n)),
        functions: (b) =>
          b.message(5, (f) => f.int(1, 2n ** 50n).int(2, 3)).message(5, (f) => f.int(1, 3)),
      },
    ],
    [
      'with contiguous ids that begin at 1000',
      {
        samples: (b) => b.message(2, (s) => s.packed(1, [1001, 1000]).packed(2, [1])),
        locations: (b) => b.message(4, (l) => l.int(1, 1000)).message(4, (l) => l.int(1, 1001)),
      },
    ],
    [
      'with unpacked numbers',
      {
        samples: (b) => b.message(2, (s) => s.int(2, 5).int(1, 2).int(1, 1)),
      },
    ],
    [
      'with fields of a sample split',
      {
        samples: (b) => b.message(2, (s) => s.packed(1, [2]).int(2, 3).packed(1, [1]).int(1, 2)),
      },
    ],
    [
      'with negative and huge values',
      {
        samples: (b) =>
          b
            .message(2, (s) => s.packed(1, [1]).packed(2, [-1]))
            .message(2, (s) => s.packed(1, [1]).packed(2, [2n ** 63n - 1n]))
            .message(2, (s) => s.packed(1, [1]).int(2, -(2n ** 63n)))
            .message(2, (s) => s.packed(1, [1]).packed(2, [2n ** 53n + 1n])),
      },
    ],
    [
      'with labels of every kind',
      {
        samples: (b) =>
          b.message(2, (s) =>
            s
              .packed(1, [1])
              .packed(2, [1])
              .message(3, (l) => l.int(1, 5).int(2, 6))
              .message(3, (l) => l.int(2, 6).int(1, 5))
              .message(3, (l) => l.int(1, 5).int(3, 1_000_000))
              .message(3, (l) => l.int(1, 5).int(3, -1).int(4, 2)),
          ),
      },
    ],
    [
      'with inlined lines and columns',
      {
        locations: (b) =>
          b
            .message(4, (l) =>
              l
                .int(1, 1)
                .message(4, (n) => n.int(1, 2).int(2, 300).int(3, 5))
                .message(4, (n) => n.int(1, 1)),
            )
            .message(4, (l) =>
              l
                .message(4, (n) => n.int(2, 1).int(1, 1))
                .int(5, 1)
                .int(2, 1)
                .int(1, 2),
            ),
      },
    ],
    [
      'with times, period and the strings that are not kept',
      {
        more: (b) =>
          b
            .int(9, 1_700_000_000_123_456_789n)
            .int(10, 10_000_000_000)
            .message(11, (t) => t.int(1, 1))
            .int(12, 10_000_000)
            .packed(13, [1, 2])
            .int(13, 3)
            .int(14, 1)
            .int(15, 2)
            .int(7, 3)
            .int(8, 4),
      },
    ],
    [
      'with a singular message twice, which is merged',
      {
        more: (b) =>
          b
            .message(11, (t) => t.int(1, 1))
            .int(12, 1)
            .message(11, (t) => t.int(2, 2))
            .int(12, 2),
      },
    ],
    [
      'with unknown fields of every wire type everywhere',
      {
        samples: (b) =>
          b.message(2, (s) =>
            s
              .int(9, 1)
              .varint(10 * 8 + 1)
              .raw([1, 2, 3, 4, 5, 6, 7, 8])
              .packed(1, [1])
              .packed(2, [4]),
          ),
        functions: (b) =>
          b
            .message(5, (f) => f.int(1, 1).int(2, 3).int(999, 5))
            .message(5, (f) =>
              f
                .int(1, 2)
                .varint(20 * 8 + 5)
                .raw([1, 2, 3, 4]),
            ),
        more: (b) =>
          b
            .int(16, 1)
            .text(17, 'future')
            .varint(18 * 8 + 5)
            .raw([0, 0, 0, 0]),
      },
    ],
    [
      'with tags that are longer than need be',
      {
        samples: (b) => b.message(2, (s) => s.bytes(1, [1, 2], 2).int(2, 4, 1), 3),
        strings: (b) => STRINGS.forEach((text) => b.bytes(6, Buffer.from(text), 1)),
        functions: (b) =>
          b.message(5, (f) => f.int(1, 1, 1).int(2, 3), 1).message(5, (f) => f.int(1, 2, 1), 1),
      },
    ],
    ['without samples', { samples: () => {} }],
    ['without types of names', { types: (b) => b.message(1, () => {}) }],
    [
      'with names that are properties of every object',
      {
        strings: (b) =>
          ['', '__proto__', 'constructor', 'toString', 'hasOwnProperty', '\0', '‮<script>'].forEach(
            (text) => b.text(6, text),
          ),
      },
    ],
  ])('%s is read as a generated decoder reads it', (_, parts) => {
    const bytes = profile(parts);
    expect(plainOfColumns(reader.read(bytes))).toEqual(plainOfBytes(bytes));
  });

  test('tables may come in any order and lie among one another', () => {
    const b = new WireBuilder();
    b.message(11, (t) => t.int(1, 1));
    b.message(2, (s) => s.packed(1, [1]).int(2, 1));
    b.text(6, '').text(6, 'a');
    b.message(5, (f) => f.int(1, 1).int(2, 1));
    b.message(4, (l) => l.int(1, 1).message(4, (n) => n.int(1, 2)));
    b.message(2, (s) => s.packed(2, [2]).packed(1, [2]));
    b.message(1, (t) => t.int(1, 2));
    b.text(6, 'b');
    b.message(4, (l) => l.int(1, 2).message(4, (n) => n.int(1, 1)));
    b.message(5, (f) => f.int(1, 2).int(2, 2));
    const bytes = b.finish();
    expect(plainOfColumns(reader.read(bytes))).toEqual(plainOfBytes(bytes));
  });

  test('full width is there only where a value needs it', () => {
    expect(reader.read(profile()).wideValues).toBeUndefined();
    const bytes = profile({
      samples: (b) => b.message(2, (s) => s.packed(1, [1]).packed(2, [2n ** 53n])),
    });
    expect(reader.read(bytes).wideValues?.[0]).toBe(2n ** 53n);
  });

  test('a sample without locations gets the frame (no stack)', () => {
    const bytes = profile({
      samples: (b) =>
        b.message(2, (s) => s.packed(2, [5])).message(2, (s) => s.packed(1, []).int(2, 5)),
    });
    const ours = plainOfColumns(reader.read(bytes));
    const frames = ours.samples.map(({ locations }) => locations.map((row) => ours.locations[row]));
    expect(frames).toEqual([['- 0 (no stack)|||0:0:0'], ['- 0 (no stack)|||0:0:0']]);
    const theirs = plainOfBytes(bytes);
    expect(withoutSynthetic(ours, theirs)).toEqual(theirs);
  });

  test('a stack deeper than is kept loses its root side to the frame (truncated)', () => {
    const depths = [1_023, 1_024, 1_025, 3_000];
    const bytes = profile({
      samples: (b) =>
        depths.forEach((depth) =>
          b.message(2, (s) =>
            s
              .packed(
                1,
                Array.from({ length: depth }, (_, i) => (i === 0 ? 2 : 1)),
              )
              .int(2, 1),
          ),
        ),
    });
    const { samples, locations } = plainOfColumns(reader.read(bytes));
    expect(samples.map((sample) => sample.locations.length)).toEqual([1_023, 1_024, 1_025, 1_025]);
    for (const [i, sample] of samples.entries()) {
      expect(sample.locations[0]).toBe(1);
      const root = locations[sample.locations.at(-1) ?? -1] ?? '';
      expect(root.includes('(truncated)')).toBe(i >= 2);
    }
  });

  test('a long string is cut between characters', () => {
    const limits = { ...PROFILE_LIMITS, stringBytesKept: 6 };
    const bytes = profile({
      strings: (b) =>
        ['', 'abcdefg', 'abcdé', 'abcdeé', 'ab€€', 'ab€€€', 'x'].forEach((t) => b.text(6, t)),
    });
    expect(plainOfColumns(new PprofReader(limits).read(bytes)).strings).toEqual([
      '',
      'abcdef',
      'abcdé',
      'abcde',
      'ab€',
      'ab€',
      'x',
    ]);
  });

  test('a reader remembers nothing of the profile before', () => {
    const large = profile({
      samples: (b) => {
        for (let i = 0; i < 500; i++) {
          b.message(2, (s) =>
            s
              .packed(1, [1, 2])
              .int(2, 2n ** 60n)
              .message(3, (l) => l.int(1, 5).int(2, 6)),
          );
        }
        b.message(2, (s) => s.int(2, 1));
      },
    });
    const small = profile();
    const expected = plainOfColumns(new PprofReader().read(small));
    reader.read(large);
    expect(plainOfColumns(reader.read(small))).toEqual(expected);
    expect(() => reader.read(large.subarray(0, large.length - 1))).toThrow(TephraError);
    expect(plainOfColumns(reader.read(small))).toEqual(expected);
  });
});
