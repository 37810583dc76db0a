import { describe, expect, test } from '@jest/globals';
import { create, toBinary } from '@bufbuild/protobuf';
import { ExportProfilesServiceRequestSchema } from '../../../src/gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import { WireBuilder } from '../../support/wire-builder.ts';
import { smallRequest, split } from './request.ts';

/** The message of the refusal, '' if it is read. */
function refusal(bytes: Uint8Array): string {
  try {
    split(bytes);
    return '';
  } catch (thrown) {
    return (thrown as Error).message;
  }
}

const I64 = 1;
type Fill = (message: WireBuilder) => void;

/** A request with a dictionary of empty rows, and one profile with these fields. */
function withProfile(fill: Fill): Uint8Array {
  return new WireBuilder()
    .message(1, (resource) => resource.message(2, (scope) => scope.message(2, fill)))
    .message(2, (dictionary) => dictionary.text(5, ''))
    .finish();
}

const withSample = (fill: Fill): Uint8Array =>
  withProfile((profile) => profile.message(1, () => {}).message(2, fill));

/** A request with a dictionary with these fields. */
function withDictionary(fill: Fill): Uint8Array {
  return new WireBuilder()
    .message(1, () => {})
    .message(2, fill)
    .finish();
}

const fixed = (message: WireBuilder, no: number): WireBuilder =>
  message.varint(no * 8 + I64).raw(new Uint8Array(8));

describe('every trace of an old layout refuses the request and names the layout', () => {
  const rows: [name: string, request: Uint8Array, layout: string][] = [
    [
      'no dictionary',
      new WireBuilder()
        .message(1, (one) => one.message(2, (scope) => scope.message(2, () => {})))
        .finish(),
      '1.4 to 1.6',
    ],
    [
      'attribute_table entry with an inline key',
      withDictionary((d) => d.message(6, (one) => one.text(1, 'key'))),
      '1.7',
    ],
    [
      'dictionary field 7 with a number',
      withDictionary((d) => d.message(7, (one) => one.int(1, 3))),
      '1.7',
    ],
    [
      'dictionary field 7 with a field 2',
      withDictionary((d) => d.message(7, (one) => one.int(2, 3))),
      '1.7',
    ],
    ['Profile field 3 as bytes', withProfile((p) => p.bytes(3, [1])), '1.4 to 1.7'],
    ['Profile field 4 as bytes', withProfile((p) => p.bytes(4, [1])), '1.4/1.5'],
    ['Profile field 5 as a number', withProfile((p) => p.int(5, 1)), '1.6/1.7'],
    ['Profile field 6 as bytes', withProfile((p) => p.bytes(6, [])), '1.4 to 1.7'],
    ['Profile field 7 as a number', withProfile((p) => p.int(7, 1)), '1.6/1.7'],
    ['Profile field 8 as bytes', withProfile((p) => p.bytes(8, [1])), '1.4 to 1.8'],
    ['Profile field 9 as a number', withProfile((p) => p.int(9, 1)), '1.6 to 1.8'],
    ['Profile field 11 as a number', withProfile((p) => p.int(11, 1)), '1.4 to 1.7'],
    ['Profile field 12', withProfile((p) => p.packed(12, [1])), '1.4 to 1.8'],
    ['Profile field 22', withProfile((p) => p.packed(22, [1])), '1.4 to 1.8'],
    [
      'two sample types',
      withProfile((p) => p.message(1, () => {}).message(1, () => {})),
      '1.4 to 1.7',
    ],
    ['ValueType field 3', withProfile((p) => p.message(1, (type) => type.int(3, 1))), '1.4 to 1.8'],
    [
      'ValueType field 3 of the period',
      withProfile((p) => p.message(5, (type) => type.int(3, 1))),
      '1.4 to 1.8',
    ],
    ['Sample field 2 as a number', withSample((s) => s.int(2, 1).packed(4, [1])), '1.4 to 1.7'],
    ['Sample field 3 as bytes', withSample((s) => s.packed(3, [1]).packed(4, [1])), '1.4 to 1.9'],
    ['Sample field 4 as a number', withSample((s) => s.int(4, 1)), '1.8/1.9'],
    ['Sample field 5 as a number', withSample((s) => s.int(5, 1)), '1.4 to 1.7'],
    ['Sample field 6', withSample((s) => s.packed(4, [1]).bytes(6, [])), '1.4 to 1.7'],
    ['Sample without values', withSample((s) => s.int(1, 0).packed(2, [1])), '1.8/1.9'],
    [
      'Location field 4 as a number',
      withDictionary((d) => d.message(2, (one) => one.int(4, 1))),
      '1.4 to 1.7',
    ],
    [
      'Location field 5',
      withDictionary((d) => d.message(2, (one) => one.packed(5, [1]))),
      '1.4 to 1.7',
    ],
    ...[6, 7, 8, 9].map((no): [string, Uint8Array, string] => [
      `Mapping field ${no}`,
      withDictionary((d) => d.message(1, (one) => one.int(no, 1))),
      '1.4 to 1.7',
    ]),
  ];
  test.each(rows)('%s', (_, request, layout) => {
    expect(refusal(request)).toBe(
      `otlp_layout: profiles in the OTLP ${layout} layout; this server accepts 1.10 and later: upgrade the sender`,
    );
  });

  test('several traces name the layout more exactly', () => {
    const request = withSample((s) => s.int(1, 0).packed(2, [1]).packed(3, [1]).int(4, 1));
    expect(refusal(request)).toContain('the OTLP 1.8/1.9 layout');
    const with17 = withProfile((p) => p.packed(3, [1]).int(5, 4).int(9, 1));
    expect(refusal(with17)).toContain('the OTLP 1.6/1.7 layout');
  });

  test('one old profile among those of today decides for all', () => {
    const bytes = toBinary(ExportProfilesServiceRequestSchema, smallRequest());
    const old = new WireBuilder().message(1, (one) =>
      one.message(2, (scope) => scope.message(2, (p) => p.bytes(8, new Uint8Array(16)))),
    );
    expect(refusal(bytes)).toBe('');
    expect(refusal(Buffer.concat([bytes, old.finish()]))).toContain('the OTLP 1.4 to 1.8 layout');
  });

  test('bytes that only today decode wrongly are told as an old layout, not as damage', () => {
    // 1.5: field 5 of Profile is a list of numbers, which are no fields.
    const request = withProfile((p) => p.packed(5, [0, 7, 300]).bytes(4, [1]));
    expect(refusal(request)).toContain('the OTLP 1.4/1.5 layout');
    expect(refusal(withProfile((p) => p.packed(5, [0, 7, 300])))).toMatch(/^malformed_protobuf/);
  });
});

test('1.9 samples with values and timestamps alone are betrayed by their attributes', () => {
  const request = smallRequest();
  const bytes = toBinary(
    ExportProfilesServiceRequestSchema,
    create(ExportProfilesServiceRequestSchema, { dictionary: request.dictionary as never }),
  );
  for (const values of [[10_000n], [0n], [1n, 1n], [1n, 2n]]) {
    const profile = new WireBuilder().message(1, (one) =>
      one.message(2, (scope) =>
        scope.message(2, (p) =>
          p
            .message(1, (type) => type.int(1, 1))
            .message(2, (s) =>
              s
                .int(1, 1)
                .packed(2, values)
                .bytes(5, new Uint8Array(8 * values.length)),
            ),
        ),
      ),
    );
    const message = refusal(Buffer.concat([bytes, profile.finish()]));
    expect(message).toMatch(/^malformed_profile: .*older than OTLP 1\.10/);
  }
});

test('fields of the current layout that come one by one, and unknown ones, are read', () => {
  const base = toBinary(
    ExportProfilesServiceRequestSchema,
    create(ExportProfilesServiceRequestSchema, { dictionary: smallRequest().dictionary as never }),
  );
  const more = new WireBuilder().message(1, (one) =>
    one.int(99, 1).message(2, (scope) =>
      scope.message(2, (p) =>
        p
          .message(1, (type) => type.int(1, 1).int(2, 2).text(9, 'new'))
          .message(2, (s) => {
            fixed(fixed(s.int(1, 1), 5), 5).text(7, 'new');
          }),
      ),
    ),
  );
  const { pushes, refused } = split(Buffer.concat([base, more.finish()]));
  expect(refused).toEqual([]);
  expect(pushes).toHaveLength(1);
});
