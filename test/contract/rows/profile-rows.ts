/** Rows 1 to 51 of the catalogue of bad inputs, where what is bad is one profile of a push. */
import { gzipSync } from 'node:zlib';
import type { Reason } from '../../../src/base/errors.ts';
import { repeated, smallPprof, STRINGS, type Fill } from '../../support/small-pprof.ts';
import { WireBuilder } from '../../support/wire-builder.ts';
import { bomb, cut, members } from './gzip.ts';

/** One input of a row. */
export interface ProfileRow {
  /** Number in the catalogue. */
  readonly row: number;
  readonly what: string;
  readonly payload: () => Uint8Array;
  /** Why it is refused, and what the message says behind the reason ... */
  readonly refused?: readonly [Reason, RegExp];
  /** ... with 413 on plain HTTP: it is too big, for ever. */
  readonly big?: true;
  /** ... or what is stored of it: the sum, of which type, with which functions among others. */
  readonly stored?: bigint;
  readonly type?: string;
  readonly names?: readonly string[];
  /** Where our rule is not the catalogue's: why, with the chapter of the protocol's law. */
  readonly why?: string;
  /** Something small that unfolds: what is allocated for it is bounded. */
  readonly bomb?: true;
  /** So much that one way of each protocol is enough. */
  readonly few?: true;
}

const behind = (...bytes: number[]): Uint8Array =>
  Buffer.concat([smallPprof(), Buffer.from(bytes)]);
const sample = (fill: Fill): Uint8Array => smallPprof({ samples: (b) => b.message(2, fill) });
const text = (name: string): Uint8Array =>
  smallPprof({
    strings: (b) => ['', 'cpu', 'nanoseconds', 'main', name, 'k', 'v'].forEach((t) => b.text(6, t)),
  });
const labelled = (count: number, fill: Fill): Uint8Array =>
  sample((s) => {
    s.packed(1, [2, 1]).packed(2, [10]);
    for (let i = 0; i < count; i++) s.message(3, fill);
  });
/** A valid profile whose samples are these bytes. */
const samples = (bytes: Uint8Array): Uint8Array =>
  Buffer.concat([smallPprof({ samples: () => {} }), bytes]);
const lengthOf = (count: number): number[] => [...new WireBuilder().varint(count).finish()];
/** One sample with `depth` location ids of one byte, and the value 1. */
const deep = (depth: number, id: number): Uint8Array => {
  const ids = [0x0a, ...lengthOf(depth)];
  const value = [0x12, 1, 1];
  const size = ids.length + depth + value.length;
  return Buffer.concat([
    Uint8Array.of(0x12, ...lengthOf(size), ...ids),
    new Uint8Array(depth).fill(id),
    Uint8Array.from(value),
  ]);
};
/** A sample of `main;work` with the value 1. */
const ONE = [0x12, 7, 0x0a, 2, 2, 1, 0x12, 1, 1];
/** A sample with the deepest stack that is kept whole. */
const frames = deep(1_024, 1);
const gz = (bytes: Uint8Array): Uint8Array => gzipSync(bytes);
const MALFORMED = 'malformed_protobuf';
const CONTRADICTS = 'malformed_profile';
const OWN_LIMITS = 'limits are ours: large profiles are stored, bombs refused (protocol.md 11, 12)';

/** See above. */
export const PROFILE_ROWS: readonly ProfileRow[] = [
  {
    row: 1,
    what: 'a cut varint',
    payload: () => behind(0x48, 0x80),
    refused: [MALFORMED, /truncated varint at byte \d+/],
  },
  {
    row: 2,
    what: 'a varint of 11 bytes',
    payload: () => behind(0x48, ...Array.from({ length: 10 }, () => 0x80), 1),
    refused: [MALFORMED, /varint longer than 10 bytes/],
  },
  {
    row: 3,
    what: 'a length past the end',
    payload: () => behind(0x12, 5, 1),
    refused: [MALFORMED, /length 5 exceeds remaining 1/],
  },
  {
    row: 4,
    what: 'a length of 2^32 - 1',
    payload: () => behind(0x12, ...lengthOf(2 ** 32 - 1)),
    refused: [MALFORMED, /length 4294967295 exceeds remaining 0/],
  },
  {
    row: 4,
    what: 'a length of 2^63',
    payload: () => Buffer.concat([behind(0x12), new WireBuilder().varint(2n ** 63n).finish()]),
    refused: [MALFORMED, /length 9223372036854775808 exceeds/],
  },
  { row: 5, what: 'wire type 6', payload: () => behind(0x0e), refused: [MALFORMED, /wire type 6/] },
  { row: 5, what: 'wire type 7', payload: () => behind(0x0f), refused: [MALFORMED, /wire type 7/] },
  {
    row: 6,
    what: 'field number 0',
    payload: () => behind(0, 0),
    refused: [MALFORMED, /field number 0/],
  },
  {
    row: 7,
    what: 'a group that does not end',
    payload: () => behind(0x83, 1),
    refused: [MALFORMED, /groups are not supported/],
  },
  {
    row: 7,
    what: '100,000 nested groups',
    payload: () => Buffer.concat([smallPprof(), repeated([0x83, 1], 100_000)]),
    refused: [MALFORMED, /groups are not supported/],
  },
  {
    row: 8,
    what: '100 messages one in the other, in a field that is not known',
    payload: () => Buffer.concat([smallPprof(), nested(100)]),
    stored: 10n,
    why: 'no message of a pprof holds one of its kind; unknown ones are skipped unread',
  },
  {
    row: 9,
    what: 'samples of wire type 0',
    payload: () => behind(0x10, 1),
    refused: [MALFORMED, /field 2 must not have wire type 0/],
  },
  {
    row: 10,
    what: 'unknown fields',
    payload: () => smallPprof({ more: (b) => b.int(99, 1).text(98, 'future') }),
    stored: 10n,
  },
  {
    row: 11,
    what: '2 M unknown fields',
    payload: () => gz(repeated([0x88, 0x7d, 0], 2_000_000)),
    refused: ['too_many_fields', /more than 65536 unknown fields/],
    big: true,
    bomb: true,
  },
  {
    row: 12,
    what: 'a profile of no bytes',
    payload: () => new Uint8Array(),
    refused: ['empty_request', /./],
  },
  {
    row: 13,
    what: 'a period type in two halves',
    payload: () =>
      smallPprof({
        more: (b) => b.message(11, (t) => t.int(1, 1)).message(11, (t) => t.int(2, 2)),
      }),
    stored: 10n,
    type: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
  },
  {
    row: 14,
    what: 'a name that is no UTF-8',
    payload: () =>
      smallPprof({
        strings: (b) =>
          STRINGS.forEach((t) => (t === 'work' ? b.bytes(6, [0x77, 0xff, 0x6b]) : b.text(6, t))),
      }),
    stored: 10n,
    names: ['w\u{fffd}k'],
    why: 'symbols of binaries are what they are: kept with U+FFFD, as other readers of pprof do',
  },
  {
    row: 16,
    what: 'no sample type',
    payload: () => smallPprof({ types: () => {} }),
    refused: [CONTRADICTS, /no sample types/],
  },
  {
    row: 17,
    what: 'no strings',
    payload: () => smallPprof({ strings: () => {}, types: (b) => b.message(1, () => {}) }),
    refused: [CONTRADICTS, /string_table\[0\] must be ""/],
  },
  {
    row: 17,
    what: 'a first string that is not empty',
    payload: () => smallPprof({ strings: (b) => STRINGS.forEach((_, i) => b.text(6, `s${i}`)) }),
    refused: [CONTRADICTS, /string_table\[0\] must be ""/],
  },
  {
    row: 18,
    what: 'string index = length of the table',
    payload: () => smallPprof({ types: (b) => b.message(1, (t) => t.int(1, 7)) }),
    refused: [CONTRADICTS, /string index 7 out of range \(table 7\)/],
  },
  {
    row: 19,
    what: 'string index -1',
    payload: () => smallPprof({ types: (b) => b.message(1, (t) => t.int(1, -1)) }),
    refused: [CONTRADICTS, /string index -1 out of range/],
  },
  {
    row: 20,
    what: 'string index 2^53 + 1',
    payload: () => smallPprof({ types: (b) => b.message(1, (t) => t.int(1, 2n ** 53n + 1n)) }),
    refused: [CONTRADICTS, /string index 9007199254740993 out of range/],
  },
  { row: 21, what: 'no period type', payload: () => smallPprof(), stored: 10n },
  {
    row: 22,
    what: 'two values for one type',
    payload: () => sample((s) => s.packed(1, [1]).packed(2, [1, 2])),
    refused: [CONTRADICTS, /sample 0 has 2 values, expected 1/],
  },
  {
    row: 23,
    what: 'an unknown location',
    payload: () => sample((s) => s.packed(1, [99]).packed(2, [1])),
    refused: [CONTRADICTS, /sample 0: unknown location 99/],
  },
  {
    row: 23,
    what: 'location id 0',
    payload: () => sample((s) => s.packed(1, [0]).packed(2, [1])),
    refused: [CONTRADICTS, /sample 0: location id 0/],
  },
  {
    row: 24,
    what: 'an unknown function',
    payload: () => smallPprof({ functions: () => {} }),
    refused: [CONTRADICTS, /location 0: unknown function 1/],
  },
  {
    row: 24,
    what: 'an unknown mapping',
    payload: () => smallPprof({ mappings: () => {} }),
    refused: [CONTRADICTS, /location 0: unknown mapping 1/],
  },
  {
    row: 25,
    what: 'a location id twice',
    payload: () =>
      smallPprof({
        locations: (b) => b.message(4, (l) => l.int(1, 5)).message(4, (l) => l.int(1, 5)),
      }),
    refused: [CONTRADICTS, /duplicate location id/],
  },
  {
    row: 25,
    what: 'a function id twice',
    payload: () =>
      smallPprof({
        functions: (b) => b.message(5, (f) => f.int(1, 1)).message(5, (f) => f.int(1, 1)),
      }),
    refused: [CONTRADICTS, /duplicate function id/],
  },
  {
    row: 25,
    what: 'a mapping id twice',
    payload: () =>
      smallPprof({
        mappings: (b) => b.message(3, (m) => m.int(1, 1)).message(3, (m) => m.int(1, 1)),
      }),
    refused: [CONTRADICTS, /duplicate mapping id/],
  },
  {
    row: 26,
    what: 'ids up to 2^64 - 1, in no order',
    payload: () =>
      smallPprof({
        samples: (b) => b.message(2, (s) => s.packed(1, [2n ** 64n - 1n, 7]).packed(2, [10])),
        mappings: (b) => b.message(3, (m) => m.int(1, 2n ** 63n).int(5, 3)),
        locations: (b) =>
          b
            .message(4, (l) =>
              l
                .int(1, 7)
                .int(2, 2n ** 63n)
                .message(4, (n) => n.int(1, 3)),
            )
            .message(4, (l) => l.int(1, 2n ** 64n - 1n).message(4, (n) => n.int(1, 2n ** 50n))),
        functions: (b) =>
          b
            .message(5, (f) => f.int(1, 2n ** 50n).int(2, 4))
            .message(5, (f) => f.int(1, 3).int(2, 3)),
      }),
    stored: 10n,
    names: ['main', 'work'],
  },
  {
    row: 27,
    what: '16,001 samples',
    payload: () => gz(samples(repeated(ONE, 16_001))),
    stored: 16_001n,
    why: OWN_LIMITS,
  },
  {
    row: 27,
    what: '1,000,001 samples',
    payload: () => gz(samples(repeated(ONE, 1_000_001))),
    refused: ['samples_limit', /1000000/],
    big: true,
    few: true,
    bomb: true,
  },
  {
    row: 28,
    what: 'a stack of 1,025',
    payload: () => samples(deep(1_025, 1)),
    stored: 1n,
    names: ['(truncated)', 'main'],
  },
  {
    row: 28,
    what: 'a stack of 65,537',
    payload: () => gz(samples(deep(65_537, 1))),
    refused: ['stack_depth', /65536/],
    big: true,
    bomb: true,
  },
  {
    row: 29,
    what: '2 M empty samples',
    payload: () => gz(repeated([0x12, 0], 2_000_000)),
    refused: ['samples_limit', /1000000/],
    big: true,
    bomb: true,
  },
  {
    row: 30,
    what: '4 M packed zeros for locations',
    payload: () => gz(samples(deep(4_000_000, 0))),
    refused: ['stack_depth', /65536/],
    big: true,
    bomb: true,
  },
  {
    row: 31,
    what: '16 M frames in all',
    payload: () => gz(samples(Buffer.concat(Array.from({ length: 15_626 }, () => frames)))),
    refused: ['total_frames_limit', /16000000/],
    big: true,
    few: true,
    bomb: true,
    why: OWN_LIMITS,
  },
  {
    row: 32,
    what: 'a name of 70,000 bytes',
    payload: () => gz(text('x'.repeat(70_000))),
    stored: 10n,
    names: ['x'.repeat(65_535)],
  },
  {
    row: 32,
    what: '131,073 strings',
    payload: () => gz(Buffer.concat([smallPprof(), repeated([0x32, 0], 131_066)])),
    stored: 10n,
    why: OWN_LIMITS,
  },
  {
    row: 32,
    what: '1,000,001 strings',
    payload: () => gz(Buffer.concat([smallPprof(), repeated([0x32, 0], 999_994)])),
    refused: ['strings_limit', /1000000/],
    big: true,
    bomb: true,
  },
  {
    row: 33,
    what: 'a negative value beside one that is not',
    payload: () =>
      smallPprof({
        samples: (b) =>
          b
            .message(2, (s) => s.packed(1, [1]).packed(2, [-5]))
            .message(2, (s) => s.packed(1, [2, 1]).packed(2, [10])),
      }),
    stored: 10n,
    why: 'the wire contract wins: negative samples are dropped, the rest is stored',
  },
  {
    row: 34,
    what: 'values whose sum is past int64',
    payload: () =>
      smallPprof({
        samples: (b) =>
          b
            .message(2, (s) => s.packed(1, [1]).packed(2, [2n ** 63n - 1n]))
            .message(2, (s) => s.packed(1, [2, 1]).packed(2, [2n ** 63n - 1n])),
      }),
    stored: 2n ** 63n - 1n,
    why: 'the answer saturates and says value_overflow (protocol.md 1)',
  },
  {
    row: 35,
    what: 'a sample without a stack',
    payload: () => sample((s) => s.packed(2, [10])),
    stored: 10n,
    names: ['(no stack)'],
  },
  {
    row: 36,
    what: 'recursion',
    payload: () => sample((s) => s.packed(1, [1, 2, 1, 2, 1, 1]).packed(2, [10])),
    stored: 10n,
  },
  {
    row: 36,
    what: '10,000 lines in one location',
    payload: () =>
      gz(
        smallPprof({
          locations: (b) =>
            b
              .message(4, (l) => {
                l.int(1, 1);
                for (let i = 0; i < 10_000; i++) l.message(4, (n) => n.int(1, 1));
              })
              .message(4, (l) => l.int(1, 2)),
        }),
      ),
    refused: ['location_lines_limit', /1024/],
    big: true,
  },
  {
    row: 37,
    what: 'a mapping that ends before it starts, an address outside',
    payload: () =>
      smallPprof({
        mappings: (b) => b.message(3, (m) => m.int(1, 1).int(2, 0x9000).int(3, 0x10).int(5, 3)),
      }),
    stored: 10n,
    names: ['main', 'work'],
  },
  {
    row: 38,
    what: '101 labels on a sample',
    payload: () => labelled(101, (l) => l.int(1, 5).int(2, 6)),
    refused: ['sample_labels_limit', /100/],
    big: true,
  },
  {
    row: 39,
    what: 'a label that is text and number',
    payload: () => labelled(1, (l) => l.int(1, 5).int(2, 6).int(3, 1)),
    refused: [CONTRADICTS, /label 0: both str and num/],
  },
  {
    row: 39,
    what: 'a label without a key',
    payload: () => labelled(1, (l) => l.int(2, 6)),
    refused: [CONTRADICTS, /label 0: no key/],
  },
  ...['<img onerror=x>', '</script>', '\u202egnitset', 'a\0b', 'x'.repeat(60_000)].map(
    (name): ProfileRow => ({
      row: 40,
      what: `a function ${JSON.stringify(name.slice(0, 20))}`,
      payload: () => gz(text(name)),
      stored: 10n,
      names: [name],
    }),
  ),
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty'].map((name): ProfileRow => ({
    row: 41,
    what: `a function ${name}`,
    payload: () => text(name),
    stored: 10n,
    names: [name],
  })),
  {
    row: 42,
    what: 'the text of before protobuf',
    payload: () => Buffer.from('heap profile:    1:    2 [    3:    4] @ heap_v2/1\n'),
    refused: ['unsupported_format', /legacy pprof/],
  },
  {
    row: 42,
    what: 'its binary form',
    payload: () => Buffer.from(new BigUint64Array([0n, 3n, 0n, 10_000n, 0n]).buffer),
    refused: ['unsupported_format', /legacy pprof/],
  },
  {
    row: 43,
    what: 'two profiles, one behind the other',
    payload: () => Buffer.concat([smallPprof(), smallPprof()]),
    refused: ['concatenated_profiles', /./],
  },
  {
    row: 44,
    what: 'no samples',
    payload: () => smallPprof({ samples: () => {} }),
    refused: ['empty_profile', /sample/],
    why: 'refused on the compatible surfaces, accepted and counted on ours (protocol.md 12)',
  },
  {
    row: 45,
    what: 'a negative duration',
    payload: () => smallPprof({ more: (b) => b.int(10, -1) }),
    refused: ['invalid_duration', /duration_nanos -1/],
  },
  {
    row: 45,
    what: 'a duration over a day',
    payload: () => smallPprof({ more: (b) => b.int(10, 86_400_000_000_001n) }),
    refused: ['invalid_duration', /86400000000001/],
  },
  {
    row: 46,
    what: '1 GiB of zeros in 1 MB',
    payload: () => bomb(1_024),
    refused: ['decompressed_size', /67108864 bytes/],
    big: true,
    few: true,
    bomb: true,
    why: 'the limit is 64 MiB: such profiles exist (protocol.md 11)',
  },
  {
    row: 47,
    what: '1,000 members of gzip, 100 MB in all',
    payload: () => members(1_000, gz(new Uint8Array(100_000))),
    refused: ['decompressed_size', /67108864 bytes/],
    big: true,
    few: true,
    bomb: true,
  },
  {
    row: 47,
    what: 'as many members as bytes',
    payload: () => Buffer.concat([...smallPprof()].map((byte) => gzipSync(Uint8Array.of(byte)))),
    stored: 10n,
  },
  { row: 48, what: 'gzip in gzip', payload: () => gz(gz(smallPprof())), stored: 10n },
  {
    row: 48,
    what: 'gzip in gzip in gzip',
    payload: () => gz(gz(gz(smallPprof()))),
    refused: ['nested_compression', /2 layers/],
  },
  {
    row: 49,
    what: 'gzip that is cut',
    payload: () => cut(gz(smallPprof()), 9),
    refused: ['malformed_gzip', /truncated/],
  },
  {
    row: 49,
    what: 'gzip with a wrong checksum',
    payload: () => {
      const bytes = gz(smallPprof());
      bytes[bytes.length - 8] = (bytes[bytes.length - 8] as number) ^ 1;
      return bytes;
    },
    refused: ['malformed_gzip', /check/],
  },
  {
    row: 49,
    what: 'garbage behind gzip',
    payload: () => Buffer.concat([gz(smallPprof()), Buffer.from('garbage')]),
    refused: ['malformed_gzip', /incorrect header check/],
  },
  {
    row: 49,
    what: 'gzip of nothing',
    payload: () => gz(new Uint8Array()),
    refused: ['empty_request', /./],
  },
  {
    row: 49,
    what: 'the first bytes of gzip alone',
    payload: () => Uint8Array.of(0x1f, 0x8b),
    refused: ['malformed_gzip', /truncated/],
  },
];

/** `depth` messages one in the other, as unknown field 99. */
function nested(depth: number): Uint8Array {
  let bytes = new Uint8Array();
  for (let i = 0; i < depth; i++) {
    bytes = Uint8Array.from(new WireBuilder().bytes(99, bytes).finish());
  }
  return bytes;
}
