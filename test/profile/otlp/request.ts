import fc from 'fast-check';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type ExportProfilesServiceRequest,
  ExportProfilesServiceRequestSchema,
} from '../../../src/gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import { atOnce } from '../../../src/base/steps.ts';
import {
  splitOtlp,
  type OtlpSplit,
  type OtlpSplitOptions,
} from '../../../src/profile/otlp/split.ts';
import type { OtlpLimits } from '../../../src/profile/otlp/limits.ts';

/** A request as it is given to `create`. */
export type RequestInit = MessageInitShape<typeof ExportProfilesServiceRequestSchema>;

const OPTIONS: OtlpSplitOptions = { isJson: false, bytesMax: 1 << 26, droppedAttributes: [] };

/** What the reader makes of a request. */
export function split(
  request: Uint8Array | ExportProfilesServiceRequest,
  options: Partial<OtlpSplitOptions> = {},
  limits?: OtlpLimits,
): OtlpSplit {
  const bytes =
    request instanceof Uint8Array ? request : toBinary(ExportProfilesServiceRequestSchema, request);
  return atOnce(splitOtlp(bytes, { ...OPTIONS, ...options }, limits));
}

/** A request of two stacks over three frames, as an eBPF profiler would send it; `timeMs` is when. */
export function smallRequest(timeMs = 1_700_000_000_000): ExportProfilesServiceRequest {
  const timeUnixNano = BigInt(timeMs) * 1_000_000n;
  return create(ExportProfilesServiceRequestSchema, {
    dictionary: {
      stringTable: [
        '',
        'samples',
        'count',
        'cpu',
        'nanoseconds',
        'main',
        'work',
        'main.go',
        'thread.name',
        'service.name',
        'process.executable.build_id.gnu',
        'libc.so.6',
      ],
      functionTable: [
        {},
        { nameStrindex: 5, filenameStrindex: 7 },
        { nameStrindex: 6, filenameStrindex: 7, startLine: 3n },
      ],
      mappingTable: [{}, { filenameStrindex: 11, attributeIndices: [4] }],
      locationTable: [
        {},
        { lines: [{ functionIndex: 1, line: 4n }] },
        { lines: [{ functionIndex: 2, line: 9n, column: 2n }] },
        { mappingIndex: 1, address: 0x1234n },
      ],
      stackTable: [{}, { locationIndices: [1] }, { locationIndices: [3, 2, 1] }],
      linkTable: [{}, { traceId: new Uint8Array(16).fill(7), spanId: new Uint8Array(8).fill(9) }],
      attributeTable: [
        {},
        { keyStrindex: 8, value: { value: { case: 'stringValue', value: 'worker' } } },
        { keyStrindex: 8, value: { value: { case: 'stringValueStrindex', value: 6 } } },
        { keyStrindex: 9, value: { value: { case: 'stringValue', value: 'cart' } } },
        { keyStrindex: 10, value: { value: { case: 'stringValue', value: 'abcdef' } } },
      ],
    },
    resourceProfiles: [
      {
        resource: {
          attributes: [
            { key: 'service.name', value: { value: { case: 'stringValue', value: 'shop' } } },
            { key: 'host.cores', value: { value: { case: 'intValue', value: 8n } } },
            { key: 'process.pid', value: { value: { case: 'intValue', value: 4711n } } },
          ],
        },
        scopeProfiles: [
          {
            scope: { name: 'profiler', version: '1' },
            profiles: [
              {
                sampleType: { typeStrindex: 1, unitStrindex: 2 },
                periodType: { typeStrindex: 3, unitStrindex: 4 },
                period: 50_000_000n,
                timeUnixNano,
                durationNano: 5_000_000_000n,
                samples: [
                  {
                    stackIndex: 1,
                    attributeIndices: [1],
                    linkIndex: 1,
                    timestampsUnixNano: [timeUnixNano, timeUnixNano + 5n],
                  },
                  { stackIndex: 2, timestampsUnixNano: [timeUnixNano + 9n] },
                ],
              },
            ],
          },
        ],
      },
    ],
  });
}

const KEYS = [
  'thread.name',
  'service.name',
  'process.executable.build_id.gnu',
  'process.executable.build_id.go',
  'process.executable.build_id.htlhash',
  'process.executable.name',
  'k1',
  'k2',
];
const WORDS = ['', ...KEYS, 'samples', 'count', 'cpu', 'nanoseconds', 'off_cpu', 'é', 'main'];

const int64 = fc.oneof(fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: 0n, max: 2n ** 50n }));
const line = fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1)).map(BigInt);
const bytes = (size: number): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    fc.constant(new Uint8Array(0)),
    fc.constant(new Uint8Array(size)),
    fc.uint8Array({ minLength: size, maxLength: size }),
  );

/** Requests that are right in every way but the sense of their values. */
export const anyRequest: fc.Arbitrary<ExportProfilesServiceRequest> = fc
  .record({
    texts: fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 10 }),
    functions: fc.nat(5),
    mappings: fc.nat(3),
    locations: fc.nat(6),
    stacks: fc.nat(5),
    links: fc.nat(3),
    attributes: fc.nat(8),
  })
  .chain(({ texts, functions, mappings, locations, stacks, links, attributes }) => {
    const strings = [...WORDS, ...texts];
    const text = fc.nat(strings.length - 1);
    const table = <T>(rows: number, row: fc.Arbitrary<T>): fc.Arbitrary<(T | object)[]> =>
      fc
        .array(row, { minLength: rows, maxLength: rows })
        .map((list) => (list.length === 0 ? [] : [{}, ...list]));
    const value = fc.oneof(
      fc.constantFrom(...WORDS, ...texts).map((one) => ({ case: 'stringValue', value: one })),
      text.map((one) => ({ case: 'stringValueStrindex', value: one })),
      int64.map((one) => ({ case: 'intValue', value: one })),
      fc.boolean().map((one) => ({ case: 'boolValue', value: one })),
      fc.double().map((one) => ({ case: 'doubleValue', value: one })),
      text.map((one) => ({
        case: 'arrayValue',
        value: { values: [{ value: { case: 'stringValueStrindex', value: one } }] },
      })),
    );
    const keyValue = fc.record({
      key: fc.constantFrom('', ...KEYS),
      keyStrindex: fc.constantFrom(0, ...KEYS.map((_, i) => i + 1)),
      value: fc.record({ value }),
    });
    const attributeRow = fc.nat(attributes);
    const someAttributes = fc.uniqueArray(attributeRow, { maxLength: 3 });
    const valueType = fc.oneof(
      fc.constant({ typeStrindex: WORDS.indexOf('samples'), unitStrindex: WORDS.indexOf('count') }),
      fc.constant({
        typeStrindex: WORDS.indexOf('cpu'),
        unitStrindex: WORDS.indexOf('nanoseconds'),
      }),
      fc.record({ typeStrindex: text, unitStrindex: text }),
    );
    const counts = fc.oneof(
      fc.record({
        timestampsUnixNano: fc.array(int64, { minLength: 1, maxLength: 4 }),
      }),
      fc.record({ values: fc.tuple(int64) }),
      fc.nat(3).chain((n) =>
        fc.record({
          values: fc.array(int64, { minLength: n + 1, maxLength: n + 1 }),
          timestampsUnixNano: fc.array(int64, { minLength: n + 1, maxLength: n + 1 }),
        }),
      ),
    );
    return fc
      .record({
        functionTable: table(
          functions,
          fc.record({
            nameStrindex: text,
            systemNameStrindex: text,
            filenameStrindex: text,
            startLine: line,
          }),
        ),
        mappingTable: table(
          mappings,
          fc.record({ filenameStrindex: text, attributeIndices: someAttributes }),
        ),
        locationTable: table(
          locations,
          fc.record({
            mappingIndex: fc.nat(mappings),
            address: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
            lines: fc.array(fc.record({ functionIndex: fc.nat(functions), line, column: line }), {
              maxLength: 3,
            }),
            attributeIndices: someAttributes,
          }),
        ),
        stackTable: table(
          stacks,
          fc.record({ locationIndices: fc.array(fc.nat(locations), { maxLength: 6 }) }),
        ),
        linkTable: table(links, fc.record({ traceId: bytes(16), spanId: bytes(8) })),
        attributeTable: table(
          attributes,
          fc.record({
            keyStrindex: fc.constantFrom(...KEYS.map((_, i) => i + 1)),
            value: fc.record({ value }),
            unitStrindex: text,
          }),
        ),
        resourceProfiles: fc.array(
          fc.record({
            resource: fc.option(fc.record({ attributes: fc.array(keyValue, { maxLength: 4 }) }), {
              nil: undefined,
            }),
            scopeProfiles: fc.array(
              fc.record({
                scope: fc.option(fc.record({ attributes: fc.array(keyValue, { maxLength: 3 }) }), {
                  nil: undefined,
                }),
                profiles: fc.array(
                  fc.record({
                    sampleType: valueType,
                    periodType: fc.option(valueType, { nil: undefined }),
                    period: fc.oneof(
                      fc.constant(0n),
                      fc.constant(-5n),
                      int64.map((v) => v % 1000n),
                    ),
                    timeUnixNano: int64,
                    durationNano: fc.bigInt({ min: 0n, max: 86_400_000_000_000n }),
                    profileId: bytes(16),
                    attributeIndices: someAttributes,
                    samples: fc.array(
                      fc
                        .tuple(
                          fc.record({
                            stackIndex: fc.nat(stacks),
                            linkIndex: fc.nat(links),
                            attributeIndices: fc.uniqueArray(attributeRow, { maxLength: 3 }),
                          }),
                          counts,
                        )
                        .map(([a, b]) => ({ ...a, ...b })),
                      { minLength: 1, maxLength: 4 },
                    ),
                  }),
                  { maxLength: 3 },
                ),
              }),
              { maxLength: 2 },
            ),
          }),
          { minLength: 1, maxLength: 3 },
        ),
      })
      .map(({ resourceProfiles, ...tables }) =>
        withUniqueKeys(
          create(ExportProfilesServiceRequestSchema, {
            dictionary: { ...tables, stringTable: strings },
            resourceProfiles,
          } as RequestInit),
        ),
      );
  });

/** Attributes of a sample have keys of their own, and row 0 is none. */
function withUniqueKeys(request: ExportProfilesServiceRequest): ExportProfilesServiceRequest {
  const table = request.dictionary?.attributeTable ?? [];
  for (const { scopeProfiles } of request.resourceProfiles) {
    for (const { profiles } of scopeProfiles) {
      for (const { samples } of profiles) {
        for (const sample of samples) {
          const seen = new Set<number>();
          sample.attributeIndices = sample.attributeIndices.filter((index) => {
            const key = table[index]?.keyStrindex ?? 0;
            if (index === 0 || seen.has(key)) return false;
            seen.add(key);
            return true;
          });
        }
      }
    }
  }
  return request;
}
