import { describe, expect, test } from '@jest/globals';
import { TephraError } from '../../../src/base/errors.ts';
import { PROFILE_LIMITS } from '../../../src/profile/limits.ts';
import { PprofReader } from '../../../src/profile/pprof/read.ts';
import {
  smallPprof as profile,
  STRINGS,
  type Fill,
  type Parts,
} from '../../support/small-pprof.ts';
import { WireBuilder } from '../../support/wire-builder.ts';
const reader = new PprofReader();
function refusal(bytes: Uint8Array, by: PprofReader = reader): string {
  try {
    by.read(bytes);
  } catch (thrown) {
    if (thrown instanceof TephraError) return thrown.message;
    throw thrown;
  }
  return 'accepted';
}
describe('a pprof that is not valid', () => {
  const sample = (fill: Fill): Parts => ({ samples: (b) => b.message(2, fill) });
  test.each<[string, Uint8Array, RegExp]>([
    ['no bytes', new Uint8Array(0), /^empty_request/],
    ['no sample types', profile({ types: () => {} }), /^malformed_profile: no sample types/],
    [
      'no strings',
      profile({ strings: () => {}, types: (b) => b.message(1, () => {}) }),
      /^malformed_profile: string_table\[0\] must be ""/,
    ],
    [
      'a first string that is not empty',
      profile({ strings: (b) => b.text(6, 'a').text(6, '') }),
      /string_table\[0\]/,
    ],
    [
      'a sample type out of the table',
      profile({ types: (b) => b.message(1, (t) => t.int(1, 7)) }),
      /^malformed_profile: sample_type: string index 7 out of range \(table 7\)/,
    ],
    [
      'a negative string index',
      profile({ types: (b) => b.message(1, (t) => t.int(1, -1)) }),
      /string index -1 out of range/,
    ],
    [
      'an index that a double would round',
      profile({ functions: (b) => b.message(5, (f) => f.int(1, 1).int(2, 2n ** 53n + 1n)) }),
      /^malformed_profile: function 0: name: string index 9007199254740993 out of range/,
    ],
    [
      'an index beyond 32 bits that wraps to a good one',
      profile({ functions: (b) => b.message(5, (f) => f.int(1, 1).int(4, 2n ** 32n + 1n)) }),
      /string index 4294967297 out of range/,
    ],
    [
      'a mapping file out of the table',
      profile({ mappings: (b) => b.message(3, (m) => m.int(1, 1).int(5, 9)) }),
      /mapping 0: filename: string index 9/,
    ],
    [
      'a build id out of the table',
      profile({ mappings: (b) => b.message(3, (m) => m.int(1, 1).int(6, 9)) }),
      /mapping 0: build_id: string index 9/,
    ],
    [
      'a comment out of the table',
      profile({ more: (b) => b.packed(13, [1, 99]) }),
      /comment: string index 99/,
    ],
    [
      'a default sample type out of the table',
      profile({ more: (b) => b.int(14, 99) }),
      /default_sample_type: string index 99/,
    ],
    [
      'a period type out of the table',
      profile({ more: (b) => b.message(11, (t) => t.int(2, 99)) }),
      /period_type: string index 99/,
    ],
    [
      'a label key out of the table',
      profile(
        sample((s) =>
          s
            .int(1, 1)
            .int(2, 1)
            .message(3, (l) => l.int(1, 99)),
        ),
      ),
      /sample 0: label 0: string index 99/,
    ],
    [
      'too few values',
      profile(sample((s) => s.packed(1, [1]))),
      /^malformed_profile: sample 0 has 0 values, expected 1/,
    ],
    [
      'too many values',
      profile(sample((s) => s.packed(1, [1]).packed(2, [1, 2, 3]))),
      /sample 0 has 3 values, expected 1/,
    ],
    [
      'an unknown location',
      profile(sample((s) => s.packed(1, [1, 99]).int(2, 1))),
      /^malformed_profile: sample 0: unknown location 99/,
    ],
    [
      'a huge unknown location',
      profile(sample((s) => s.packed(1, [2n ** 64n - 1n]).int(2, 1))),
      /unknown location 18446744073709551615/,
    ],
    [
      'a location id that wraps to a good one',
      profile(sample((s) => s.packed(1, [2n ** 32n + 1n]).int(2, 1))),
      /unknown location 4294967297/,
    ],
    [
      'location id 0',
      profile(sample((s) => s.packed(1, [0]).int(2, 1))),
      /^malformed_profile: sample 0: location id 0/,
    ],
    [
      'a location without id',
      profile({ locations: (b) => b.message(4, (l) => l.int(3, 1)) }),
      /location 0: id 0/,
    ],
    [
      'a function without id',
      profile({ functions: (b) => b.message(5, (f) => f.int(2, 1)) }),
      /function 0: id 0/,
    ],
    [
      'a mapping without id',
      profile({ mappings: (b) => b.message(3, (m) => m.int(5, 1)) }),
      /mapping 0: id 0/,
    ],
    [
      'an unknown function',
      profile({ functions: () => {} }),
      /^malformed_profile: location 0: unknown function 1/,
    ],
    [
      'a line without function',
      profile({
        locations: (b) => b.message(4, (l) => l.int(1, 1).message(4, (n) => n.int(2, 1))),
      }),
      /location 0: function id 0/,
    ],
    [
      'an unknown mapping',
      profile({ mappings: () => {} }),
      /^malformed_profile: location 0: unknown mapping 1/,
    ],
    [
      'a location id twice',
      profile({
        locations: (b) => b.message(4, (l) => l.int(1, 5)).message(4, (l) => l.int(1, 5)),
      }),
      /duplicate location id/,
    ],
    [
      'a function id twice',
      profile({
        functions: (b) => b.message(5, (f) => f.int(1, 1)).message(5, (f) => f.int(1, 1)),
      }),
      /duplicate function id/,
    ],
    [
      'a mapping id twice',
      profile({ mappings: (b) => b.message(3, (m) => m.int(1, 1)).message(3, (m) => m.int(1, 1)) }),
      /duplicate mapping id/,
    ],
    [
      'a label that is text and number',
      profile(
        sample((s) =>
          s
            .int(1, 1)
            .int(2, 1)
            .message(3, (l) => l.int(1, 5).int(2, 6).int(3, 1)),
        ),
      ),
      /^malformed_profile: sample 0: label 0: both str and num/,
    ],
    [
      'a label without key',
      profile(
        sample((s) =>
          s
            .int(1, 1)
            .int(2, 1)
            .message(3, (l) => l.int(2, 6)),
        ),
      ),
      /^malformed_profile: sample 0: label 0: no key/,
    ],
    [
      'a negative duration',
      profile({ more: (b) => b.int(10, -1) }),
      /^invalid_duration: duration_nanos -1/,
    ],
    [
      'a duration over a day',
      profile({ more: (b) => b.int(10, 86_400_000_000_001n) }),
      /^invalid_duration/,
    ],
    [
      'a truncated varint',
      Uint8Array.of(0x48, 0x80),
      /^malformed_protobuf: truncated varint at byte 1/,
    ],
    ['a tag alone', Uint8Array.of(0x12), /^malformed_protobuf: truncated varint at byte 1/],
    [
      'a varint of 11 bytes',
      Uint8Array.of(0x48, ...Array.from({ length: 10 }, () => 0x80), 1),
      /^malformed_protobuf: varint longer than 10 bytes at byte 1/,
    ],
    [
      'a length past the end',
      Uint8Array.of(0x12, 5, 1),
      /^malformed_protobuf: field 2 length 5 exceeds remaining 1/,
    ],
    [
      'a length of 2^32 - 1',
      new WireBuilder()
        .varint(0x12)
        .varint(2n ** 32n - 1n)
        .finish(),
      /^malformed_protobuf: .*length 4294967295 exceeds remaining 0/,
    ],
    [
      'a length of 2^63',
      new WireBuilder()
        .varint(0x12)
        .varint(2n ** 63n)
        .finish(),
      /length 9223372036854775808 exceeds remaining 0/,
    ],
    ['wire type 6', Uint8Array.of(0x0e), /^malformed_protobuf: wire type 6/],
    ['wire type 7', Uint8Array.of(0x0f), /^malformed_protobuf: wire type 7/],
    ['field number 0', Uint8Array.of(0x00, 0x00), /^malformed_protobuf: field number 0/],
    [
      'field number 0 as a message',
      Uint8Array.of(0x02, 0x00),
      /^malformed_protobuf: field number 0/,
    ],
    [
      'a group',
      Uint8Array.of(0x83, 0x01, 0x84, 0x01),
      /^malformed_protobuf: groups are not supported/,
    ],
    [
      'a known field of another wire type',
      new WireBuilder().int(2, 1).finish(),
      /^malformed_protobuf: field 2 must not have wire type 0/,
    ],
    [
      'a nested known field of another wire type',
      profile({ functions: (b) => b.message(5, (f) => f.int(1, 1).text(2, 'x')) }),
      /^malformed_protobuf: field 2 must not have wire type 2/,
    ],
    [
      'a packed field that ends in a varint',
      profile(sample((s) => s.bytes(1, [0x81]).int(2, 1))),
      /^malformed_protobuf: truncated varint/,
    ],
    [
      'a label that ends too early',
      profile(sample((s) => s.int(1, 1).int(2, 1).bytes(3, [0x08]))),
      /^malformed_protobuf/,
    ],
    [
      'legacy text',
      Buffer.from('heap profile:    1:    2 [    3:    4] @ heap_v2/1\n'),
      /^unsupported_format: legacy pprof/,
    ],
    [
      'legacy text of goroutines',
      Buffer.from('goroutine profile: total 7\n1 @ 0x1\n'),
      /^unsupported_format/,
    ],
    [
      'legacy binary',
      Buffer.from(new BigUint64Array([0n, 3n, 0n, 10_000n, 0n]).buffer),
      /^unsupported_format/,
    ],
    ['JFR', Buffer.from('FLR\0\0\x02\0\x01', 'latin1'), /^unsupported_format: JFR; expected pprof/],
    ['perf.data', Buffer.from('PERFILE2h'), /^unsupported_format: perf.data; expected pprof/],
    ['JSON', Buffer.from('{"$schema":"x"}'), /^unsupported_format: JSON; expected pprof/],
    [
      'two profiles, one behind the other',
      Buffer.concat([profile(), profile()]),
      /^concatenated_profiles/,
    ],
  ])('%s is refused with its reason', (_, bytes, message) => {
    expect(refusal(bytes)).toMatch(message);
  });

  const small = new PprofReader({
    ...PROFILE_LIMITS,
    samplesPerProfileMax: 2,
    stringsPerProfileMax: 7,
    functionsPerProfileMax: 2,
    locationsPerProfileMax: 2,
    mappingsPerProfileMax: 1,
    sampleTypesPerProfileMax: 1,
    linesPerLocationMax: 2,
    labelsPerSampleMax: 2,
    stackDepthMax: 8,
    stackDepthKept: 4,
    framesPerProfileMax: 9,
    unknownFieldsMax: 3,
  });
  const times =
    (count: number, fill: Fill): Fill =>
    (b) => {
      for (let i = 0; i < count; i++) fill(b);
    };
  const stack =
    (depth: number): Fill =>
    (b) =>
      b.message(2, (s) =>
        s
          .packed(
            1,
            Array.from({ length: depth }, () => 1),
          )
          .int(2, 1),
      );
  test.each<[string, Parts, string]>([
    ['samples', { samples: times(2, stack(1)) }, 'accepted'],
    ['samples', { samples: times(3, stack(1)) }, 'samples_limit'],
    [
      'strings',
      { strings: (b) => [...STRINGS, 'x'].forEach((t) => b.text(6, t)) },
      'strings_limit',
    ],
    ['functions', { functions: times(3, (b) => b.message(5, () => {})) }, 'functions_limit'],
    ['locations', { locations: times(3, (b) => b.message(4, () => {})) }, 'locations_limit'],
    ['mappings', { mappings: times(2, (b) => b.message(3, () => {})) }, 'mappings_limit'],
    ['sample types', { types: times(2, (b) => b.message(1, () => {})) }, 'sample_types_limit'],
    ['depth', { samples: stack(8) }, 'accepted'],
    ['depth', { samples: stack(9) }, 'stack_depth'],
    [
      'unpacked depth',
      { samples: (b) => b.message(2, (s) => times(9, (i) => i.int(1, 1))(s)) },
      'stack_depth',
    ],
    ['frames', { samples: times(2, stack(4)) }, 'accepted'],
    ['frames', { samples: times(2, stack(5)) }, 'total_frames_limit'],
    [
      'lines',
      {
        locations: (b) =>
          b.message(4, (l) => times(3, (i) => i.message(4, (n) => n.int(1, 1)))(l.int(1, 1))),
      },
      'location_lines_limit',
    ],
    [
      'labels',
      {
        samples: (b) =>
          b.message(2, (s) =>
            times(3, (i) => i.message(3, (l) => l.int(1, 5).int(2, 6)))(s.int(1, 1).int(2, 1)),
          ),
      },
      'sample_labels_limit',
    ],
    ['unknown fields', { more: times(3, (b) => b.int(99, 1)) }, 'accepted'],
    ['unknown fields', { more: times(4, (b) => b.int(99, 1)) }, 'too_many_fields'],
  ])('the limit of %s holds (%#)', (_, parts, reason) => {
    expect(refusal(profile(parts), small).split(':')[0]).toBe(reason);
  });

  test('a message names at most 128 bytes of the input', () => {
    const bytes = profile({ types: (b) => b.message(1, (t) => t.int(1, -1)) });
    expect(refusal(bytes).length).toBeLessThan(200);
  });
});
