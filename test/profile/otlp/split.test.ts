import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  type ExportProfilesServiceRequest,
  ExportProfilesServiceRequestSchema,
} from '../../../src/gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import type {
  Profile,
  ProfilesDictionary,
} from '../../../src/gen/opentelemetry/proto/profiles/v1development/profiles_pb.ts';
import {
  AnyValueSchema,
  KeyValueSchema,
} from '../../../src/gen/opentelemetry/proto/common/v1/common_pb.ts';
import type { TephraError } from '../../../src/base/errors.ts';
import { OTLP_LIMITS } from '../../../src/profile/otlp/limits.ts';
import { PprofReader } from '../../../src/profile/pprof/read.ts';
import { plainOfPush, plainOfRequest } from './naive.ts';
import { anyRequest, smallRequest, split, type RequestInit } from './request.ts';

/** The one profile of a request. */
function profileOf(request: ExportProfilesServiceRequest): Profile {
  const profile = request.resourceProfiles[0]?.scopeProfiles[0]?.profiles[0];
  if (profile === undefined) throw new Error('no profile');
  return profile;
}

function dictionaryOf({ dictionary }: ExportProfilesServiceRequest): ProfilesDictionary {
  if (dictionary === undefined) throw new Error('no dictionary');
  return dictionary;
}

/** The request with its one profile changed. */
function changed(change: (profile: Profile) => void): ExportProfilesServiceRequest {
  const request = smallRequest();
  change(profileOf(request));
  return request;
}

function reasonOf(run: () => unknown): string {
  try {
    run();
    return 'none';
  } catch (thrown) {
    return (thrown as TephraError).message;
  }
}

describe('splitting a request', () => {
  test('gives what a naive reader of the generated messages finds', () => {
    const reader = new PprofReader();
    fc.assert(
      fc.property(anyRequest, (request) => {
        const { pushes, refused, profiles } = split(request);
        expect(refused).toEqual([]);
        expect(pushes.map(plainOfPush)).toEqual(plainOfRequest(request));
        const all = request.resourceProfiles.flatMap((one) =>
          one.scopeProfiles.flatMap((scope) => scope.profiles),
        );
        expect(profiles).toBe(all.length);
        // What is written is a profile to the reader that gets it.
        for (const { payload } of pushes) reader.read(payload);
      }),
      { numRuns: 75 },
    );
  });

  test('counts timestamps where there are no values, and makes time of counts', () => {
    const [push] = split(smallRequest()).pushes.map(plainOfPush);
    expect(push?.types).toBe('cpu:nanoseconds:cpu:nanoseconds');
    expect(push?.labels['__name__']).toBe('process_cpu');
    expect(push?.samples).toEqual([
      {
        frames: ['  0 main||main.go|0|4|0'],
        labels: ['thread.name=worker', `span_id=${'09'.repeat(8)}`, `trace_id=${'07'.repeat(16)}`],
        value: 100_000_000n,
      },
      {
        frames: ['libc.so.6 abcdef 4660', '  0 work||main.go|3|9|2', '  0 main||main.go|0|4|0'],
        labels: [],
        value: 50_000_000n,
      },
    ]);
  });

  test.each<[string, string, string, bigint, string]>([
    ['samples:count', 'cpu:nanoseconds', 'process_cpu', 7n, 'cpu:nanoseconds:cpu:nanoseconds'],
    ['samples:count', 'cpu:nanoseconds', 'cpu', 0n, 'samples:count:cpu:nanoseconds'],
    ['off_cpu:nanoseconds', '', 'off_cpu', 0n, 'off_cpu:nanoseconds::'],
    ['events:count', '', 'events', 0n, 'events:count::'],
    ['alloc_space:bytes', 'space:bytes', 'space', 512n, 'alloc_space:bytes:space:bytes'],
    ['9-lives:count', '', '_9_lives', 0n, '9-lives:count::'],
    ['', '', 'profile', 0n, ':::'],
  ])('names the type %s of period %s "%s"', (sample, periodType, name, period, types) => {
    const strings = ['', ...sample.split(':'), ...periodType.split(':')];
    const request = changed((profile) => {
      const index = (at: number): number => (strings[at] === undefined ? 0 : 20 + at);
      profile.sampleType = {
        ...profile.sampleType,
        typeStrindex: index(1),
        unitStrindex: index(2),
      } as never;
      const at = 1 + sample.split(':').length;
      profile.periodType = {
        ...profile.periodType,
        typeStrindex: index(at),
        unitStrindex: index(at + 1),
      } as never;
      profile.period = period;
    });
    const table = request.dictionary?.stringTable ?? [];
    strings.forEach((text, i) => (table[20 + i] = text));
    for (let i = 0; i < table.length; i++) table[i] ??= '';
    const [push] = split(request).pushes.map(plainOfPush);
    expect([push?.labels['__name__'], push?.types]).toEqual([name, types]);
  });

  test('gives samples to the service that they name', () => {
    const request = changed((profile) => {
      (profile.samples[1] as { attributeIndices: number[] }).attributeIndices = [3];
    });
    const { pushes, profiles } = split(request);
    expect(profiles).toBe(1);
    expect(
      pushes
        .map(plainOfPush)
        .map(({ profile, labels, samples }) => [
          profile,
          labels['service_name'],
          labels['service.name'],
          samples.map(({ value }) => value),
        ]),
    ).toEqual([
      [0, 'shop', 'shop', [100_000_000n]],
      [0, 'cart', 'cart', [50_000_000n]],
    ]);
  });

  test('makes no label of attributes that are to be dropped', () => {
    const labels = (droppedAttributes: string[]) =>
      Object.fromEntries(split(smallRequest(), { droppedAttributes }).pushes[0]?.labels ?? []);
    expect(labels([])).toEqual({
      __name__: 'process_cpu',
      __otel__: 'true',
      service_name: 'shop',
      'service.name': 'shop',
      'host.cores': '8',
      'process.pid': '4711',
    });
    expect(labels(['process.pid'])).not.toHaveProperty(['process.pid']);
  });

  test('tells profiles of two processes apart whose labels and samples are the same', () => {
    const request = smallRequest();
    const other = smallRequest().resourceProfiles[0];
    const pid = other?.resource?.attributes[2];
    if (other === undefined || pid === undefined) throw new Error('no attribute');
    pid.value = create(AnyValueSchema, { value: { case: 'intValue', value: 4712n } });
    request.resourceProfiles.push(other);
    const { pushes } = split(request, { droppedAttributes: ['process.pid'] });
    const [a, b] = pushes;
    expect(a?.labels).toEqual(b?.labels);
    expect(a?.payload).not.toEqual(b?.payload);
    // The very same twice is two, and the same request again is the same.
    request.resourceProfiles.push(other);
    const bytes = toBinary(ExportProfilesServiceRequestSchema, request);
    const all = split(bytes).pushes.map(({ payload }) => Buffer.from(payload).toString('hex'));
    expect(new Set(all).size).toBe(3);
    expect(split(bytes).pushes.map(({ payload }) => Buffer.from(payload).toString('hex'))).toEqual(
      all,
    );
  });

  test('an inline key wins over a reference, and a reference is resolved', () => {
    const request = smallRequest();
    const attributes = request.resourceProfiles[0]?.resource?.attributes ?? [];
    (attributes[1] as { keyStrindex: number }).keyStrindex = 9_999;
    attributes.push(
      create(KeyValueSchema, {
        keyStrindex: 8,
        value: { value: { case: 'stringValueStrindex', value: 5 } },
      }),
    );
    const labels = Object.fromEntries(split(request).pushes[0]?.labels ?? []);
    expect(labels).toMatchObject({ 'host.cores': '8', 'thread.name': 'main' });
  });

  test('an empty request holds nothing, a dictionary alone is refused', () => {
    const none = { profiles: 0, pushes: [], refused: [], bytes: 0 };
    expect(split(new Uint8Array(0))).toEqual(none);
    expect(split(create(ExportProfilesServiceRequestSchema, { dictionary: {} }))).toEqual(none);
    const init: RequestInit = { resourceProfiles: [{ scopeProfiles: [{}] }] };
    expect(split(create(ExportProfilesServiceRequestSchema, init))).toEqual(none);
    const { dictionary } = smallRequest();
    const alone = create(ExportProfilesServiceRequestSchema, { dictionary: dictionary as never });
    expect(reasonOf(() => split(alone))).toMatch(/^empty_request/);
  });
});

describe('a profile that contradicts itself is refused alone', () => {
  test.each<[string, (profile: Profile) => void, string]>([
    ['no samples', (p) => (p.samples = []), 'empty_profile'],
    ['no type', (p) => (p.sampleType = undefined as never), 'malformed_profile'],
    [
      'several values without timestamps',
      (p) => Object.assign(p.samples[0] as object, { values: [1n, 2n], timestampsUnixNano: [] }),
      'malformed_profile',
    ],
    [
      'other numbers of values and timestamps',
      (p) => Object.assign(p.samples[0] as object, { values: [1n], timestampsUnixNano: [1n, 2n] }),
      'malformed_profile',
    ],
    [
      'a value beyond int64',
      (p) => Object.assign(p.samples[0] as object, { values: [2n ** 62n], timestampsUnixNano: [] }),
      'malformed_profile',
    ],
  ])('%s', (_, change, reason) => {
    const request = changed(change);
    request.resourceProfiles.push(smallRequest().resourceProfiles[0] as never);
    const { pushes, refused } = split(request);
    expect(refused.map(({ profile, error }) => [profile, error.reason])).toEqual([[0, reason]]);
    expect(pushes.map(({ profile }) => profile)).toEqual([1]);
  });
});

describe('an index that is wrong refuses the request', () => {
  type Change = (request: ExportProfilesServiceRequest) => void;
  const sample = (request: ExportProfilesServiceRequest) =>
    request.resourceProfiles[0]?.scopeProfiles[0]?.profiles[0]?.samples[0] as {
      stackIndex: number;
      linkIndex: number;
      attributeIndices: number[];
    };
  const d = (request: ExportProfilesServiceRequest) =>
    request.dictionary as never as Record<string, object[]>;
  const set =
    (table: string, row: number, fields: object): Change =>
    (request) =>
      Object.assign(d(request)[table]?.[row] as object, fields);
  const changes: Record<string, (index: number) => Change> = {
    stack: (i) => (r) => (sample(r).stackIndex = i),
    link: (i) => (r) => (sample(r).linkIndex = i),
    attribute: (i) => (r) => (sample(r).attributeIndices = [i]),
    'stack location': (i) => set('stackTable', 1, { locationIndices: [i] }),
    'location mapping': (i) => set('locationTable', 1, { mappingIndex: i }),
    'location attribute': (i) => set('locationTable', 1, { attributeIndices: [i] }),
    'line function': (i) => (r) =>
      Object.assign(dictionaryOf(r).locationTable[1]?.lines[0] ?? {}, { functionIndex: i }),
    'function name': (i) => set('functionTable', 1, { nameStrindex: i }),
    'system name': (i) => set('functionTable', 1, { systemNameStrindex: i }),
    'function file': (i) => set('functionTable', 1, { filenameStrindex: i }),
    'mapping file': (i) => set('mappingTable', 1, { filenameStrindex: i }),
    'mapping attribute': (i) => set('mappingTable', 1, { attributeIndices: [i] }),
    'attribute key': (i) => set('attributeTable', 1, { keyStrindex: i }),
    'attribute unit': (i) => set('attributeTable', 1, { unitStrindex: i }),
    string_value_strindex: (i) => (r) =>
      Object.assign(dictionaryOf(r).attributeTable[2]?.value?.value ?? {}, { value: i }),
    'profile attribute': (i) => (r) => (profileOf(r).attributeIndices = [i]),
    'type or unit': (i) => (r) =>
      Object.assign(profileOf(r).sampleType as object, { unitStrindex: i }),
    key_strindex: (i) => (r) =>
      Object.assign(r.resourceProfiles[0]?.resource?.attributes[0] as object, {
        key: '',
        keyStrindex: i,
      }),
  };
  test.each(Object.keys(changes))('%s', (name) => {
    for (const index of [100, -1, -(2 ** 31), 2 ** 31 - 1]) {
      const request = smallRequest();
      changes[name]?.(index)(request);
      const message = reasonOf(() => split(request));
      expect([name, message]).toEqual([name, expect.stringMatching(/^malformed_profile: /)]);
      expect(message).toContain(name);
      expect(message).toContain(String(index));
    }
  });

  test.each<[string, Change]>([
    ['string 0 that is not empty', (r) => (dictionaryOf(r).stringTable[0] = 'x')],
    ['a trace id of 15 bytes', set('linkTable', 1, { traceId: new Uint8Array(15) })],
    ['a span id of 16 bytes', set('linkTable', 1, { spanId: new Uint8Array(16) })],
    ['a profile id of 8 bytes', (r) => (profileOf(r).profileId = new Uint8Array(8))],
    ['attribute 0 on a sample', (r) => (sample(r).attributeIndices = [0])],
    ['two attributes of one key', (r) => (sample(r).attributeIndices = [1, 2])],
    ['two services', (r) => (sample(r).attributeIndices = [3, 3])],
  ])('%s', (_, change) => {
    const request = smallRequest();
    change(request);
    expect(reasonOf(() => split(request))).toMatch(/^malformed_profile: /);
  });
});

describe('limits', () => {
  test.each<[string, Partial<typeof OTLP_LIMITS>]>([
    ['profiles_limit', { otlpProfilesMax: 0 }],
    ['samples_limit', { samplesPerProfileMax: 1 }],
    ['strings_limit', { stringsPerProfileMax: 11 }],
    ['functions_limit', { functionsPerProfileMax: 2 }],
    ['mappings_limit', { mappingsPerProfileMax: 1 }],
    ['locations_limit', { locationsPerProfileMax: 3 }],
    ['location_lines_limit', { linesPerProfileMax: 1 }],
    ['location_lines_limit', { linesPerLocationMax: 0 }],
    ['otlp_table_limit', { otlpRowsMax: 4 }],
    ['stack_depth', { stackDepthMax: 2 }],
    ['total_frames_limit', { framesPerProfileMax: 3 }],
    ['sample_labels_limit', { labelsPerSampleMax: 0 }],
  ])('%s of %j', (reason, limits) => {
    const message = reasonOf(() => split(smallRequest(), {}, { ...OTLP_LIMITS, ...limits }));
    expect(message).toMatch(new RegExp(`^${reason}: `));
  });

  test('profiles that share a large dictionary do not become large memory', () => {
    const request = smallRequest();
    dictionaryOf(request).stringTable[5] = 'x'.repeat(60_000);
    const profile = profileOf(request);
    const [scope] = request.resourceProfiles[0]?.scopeProfiles ?? [];
    for (let i = 0; i < 2_000; i++) scope?.profiles.push(profile);
    const message = reasonOf(() => split(request, { bytesMax: 1_000_000 }));
    expect(message).toMatch(/^decompressed_size: /);
  });

  test('so do samples that share a deep stack', () => {
    const request = changed((profile) => {
      profile.samples = Array.from({ length: 200 }, () => ({
        ...(profile.samples[1] as Profile['samples'][0]),
      }));
    });
    Object.assign(request.dictionary?.stackTable[2] as object, {
      locationIndices: Array.from({ length: 20_000 }, () => 1),
    });
    const message = reasonOf(() => split(request, { bytesMax: 1_000_000 }));
    expect(message).toMatch(/^decompressed_size: /);
  });

  test('values of an attribute that are nested too deep', () => {
    const nested = (levels: number): object =>
      levels === 0
        ? { case: 'intValue', value: 1n }
        : { case: 'arrayValue', value: { values: [{ value: nested(levels - 1) }] } };
    const request = (levels: number) =>
      create(ExportProfilesServiceRequestSchema, {
        resourceProfiles: [
          { resource: { attributes: [{ key: 'a', value: { value: nested(levels) } }] } },
        ],
      } as RequestInit);
    expect(reasonOf(() => split(request(32)))).toBe('none');
    expect(reasonOf(() => split(request(33)))).toMatch(/^nesting_too_deep/);
  });

  test('texts that are too long for a label are cut', () => {
    const request = smallRequest();
    const [attribute] = request.resourceProfiles[0]?.resource?.attributes ?? [];
    Object.assign(attribute as object, {
      value: create(AnyValueSchema, { value: { case: 'stringValue', value: 'é'.repeat(2_000) } }),
    });
    const labels = Object.fromEntries(split(request).pushes[0]?.labels ?? []);
    expect(labels['service_name']).toBe('é'.repeat(1_024));
  });
});
