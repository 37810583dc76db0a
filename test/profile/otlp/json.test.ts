import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toJson, type JsonValue } from '@bufbuild/protobuf';
import { atOnce } from '../../../src/base/steps.ts';
import { TephraError } from '../../../src/base/errors.ts';
import {
  type ExportProfilesServiceRequest,
  ExportProfilesServiceRequestSchema,
} from '../../../src/gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import { otlpJsonToBinary } from '../../../src/profile/otlp/json.ts';
import { OTLP_LIMITS } from '../../../src/profile/otlp/limits.ts';
import { plainOfPush } from './naive.ts';
import { anyRequest, smallRequest, split } from './request.ts';

/** A request as OTLP/JSON: proto3 JSON, but ids are hexadecimal. */
function otlpJson(request: ExportProfilesServiceRequest, names: boolean, hexIds: boolean): string {
  const json = toJson(ExportProfilesServiceRequestSchema, request, {
    useProtoFieldName: names,
    alwaysEmitImplicit: names,
  });
  return JSON.stringify(json, (key, value: JsonValue) => {
    const isId = /^(?:traceId|spanId|trace_id|span_id)$/.test(key);
    const isProfileId = hexIds && /^(?:profileId|profile_id)$/.test(key);
    if (!(isId || isProfileId) || typeof value !== 'string') return value;
    const hex = Buffer.from(value, 'base64').toString('hex');
    return names ? hex.toUpperCase() : hex;
  });
}

const read = (text: string | Uint8Array): unknown => {
  const bytes = typeof text === 'string' ? new Uint8Array(Buffer.from(text)) : text;
  return split(bytes, { isJson: true }).pushes.map(plainOfPush);
};

const reasonOf = (text: string | Uint8Array): string => {
  try {
    read(text);
    return 'none';
  } catch (thrown) {
    if (!(thrown instanceof TephraError)) throw thrown;
    return thrown.message;
  }
};

describe('OTLP/JSON', () => {
  test('says the same as protobuf', () => {
    fc.assert(
      fc.property(anyRequest, fc.boolean(), fc.boolean(), (request, names, hexIds) => {
        const expected = split(request).pushes.map(plainOfPush);
        expect(read(otlpJson(request, names, hexIds))).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  test('a request of the layout as the Collector writes it', () => {
    const expected = split(smallRequest()).pushes.map(plainOfPush);
    const text = otlpJson(smallRequest(), false, true);
    expect(read(text)).toEqual(expected);
    // Spaces, unknown members of any kind, and nothing where a value may be absent.
    const loose = text
      .replaceAll(',', ' ,\n\t')
      .replace('{', '{"more":[{"a":[1,-2.5e3,"\\u00e9\\"",null,true,[],{}]}],"dictionary":null,');
    expect(read(loose)).toEqual(expected);
  });

  test('numbers of 64 bits are exact, as text or not', () => {
    const binary = (json: string): Uint8Array =>
      atOnce(otlpJsonToBinary(new Uint8Array(Buffer.from(json)), OTLP_LIMITS));
    const request = (value: string): string =>
      `{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"period":${value}}]}]}]}`;
    expect(binary(request('9223372036854775807'))).toEqual(
      binary(request('"9223372036854775807"')),
    );
    expect(binary(request('1e3'))).toEqual(binary(request('"1000"')));
    expect(binary(request('-1'))).toEqual(binary(request('"-1"')));
  });

  test.each([
    ['', 'malformed_json'],
    ['[]', 'malformed_json'],
    ['{', 'malformed_json'],
    ['{}x', 'malformed_json'],
    ['{"a"}', 'malformed_json'],
    ['{"a":1,}', 'malformed_json'],
    ['{"a":nul}', 'malformed_json'],
    ['{"a":[1,]}', 'malformed_json'],
    ['{"a":{"b":}}', 'malformed_json'],
    ['{"a":{"b":1]}', 'malformed_json'],
    ['{"a":"', 'malformed_json'],
    ['{"a":"\\"', 'malformed_json'],
    ['{"a":01}', 'malformed_json'],
    ['{"dictionary":[]}', 'malformed_json'],
    ['{"dictionary":{"stringTable":["\\x"]}}', 'malformed_json'],
    ['{"dictionary":{"stringTable":[1]}}', 'malformed_json'],
    ['{"dictionary":{"stringTable":{}}}', 'malformed_json'],
    ['{"dictionary":{"locationTable":[{"address":-1}]}}', 'malformed_json'],
    ['{"dictionary":{"locationTable":[{"address":1.5}]}}', 'malformed_json'],
    ['{"dictionary":{"locationTable":[{"mappingIndex":2147483648}]}}', 'malformed_json'],
    ['{"dictionary":{"functionTable":[{"startLine":"x"}]}}', 'malformed_json'],
    ['{"dictionary":{"linkTable":[{"traceId":"xy"}]}}', 'malformed_json'],
    ['{"dictionary":{"attributeTable":[{"value":{"boolValue":1}}]}}', 'malformed_json'],
    ['{"dictionary":{"attributeTable":[{"value":{"bytesValue":"*"}}]}}', 'malformed_json'],
    [`{"a":${'['.repeat(1_000)}`, 'nesting_too_deep'],
  ])('%s is refused: %s', (text, reason) => {
    const message = reasonOf(text);
    expect(message.split(':')[0]).toBe(reason);
  });

  test('text that is no UTF-8', () => {
    expect(reasonOf(Uint8Array.of(0x7b, 0xff, 0x7d))).toMatch(/^invalid_utf8/);
  });

  test('a text that ends early', () => {
    const text = otlpJson(smallRequest(), false, true);
    for (let end = 0; end < text.length; end += 7) {
      expect(reasonOf(text.slice(0, end))).toMatch(/^malformed_json/);
    }
  });

  test.each([
    ['{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"sample":[]}]}]}]}', '1.4 to 1.8'],
    ['{"dictionary":{"locationTable":[{"line":[]}]}}', '1.4 to 1.8'],
    [
      '{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"commentStrindices":[]}]}]}]}',
      '1.4 to 1.8',
    ],
    [
      '{"resource_profiles":[{"scope_profiles":[{"profiles":[{"comment_strindices":[]}]}]}]}',
      '1.4 to 1.8',
    ],
    [
      '{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"sampleType":{"aggregationTemporality":1}}]}]}]}',
      '1.4 to 1.8',
    ],
    [
      '{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"locationIndices":[]}]}]}]}',
      '1.4 to 1.7',
    ],
    ['{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"stringTable":[]}]}]}]}', '1.4/1.5'],
    ['{"stringTable":[]}', '1.4 to 1.6'],
    ['{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{}]}]}]}', '1.4 to 1.6'],
  ])('an old layout is refused: %s', (text, layout) => {
    expect(reasonOf(text)).toContain(`the OTLP ${layout} layout`);
  });
});
