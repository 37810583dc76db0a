import { systemTimers } from '../../src/base/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DescMethod, Message } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { createMetrics } from '../../src/base/metrics.ts';
import { Readiness } from '../../src/server/rpc/health.ts';
import { rpcMethods } from '../../src/server/rpc/methods.ts';
import { makeCertificate } from '../support/certificate.ts';
import { FakeEngine } from '../server/fixture.ts';
import { smallRequest } from '../profile/otlp/request.ts';
import { otlpReceiver } from '../support/otlp-receiver.ts';
import {
  allWays,
  codeName,
  cpuProfile,
  startRealServer,
  type Outcome,
  type RealServer,
} from './port.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const engine = new FakeEngine();
const metrics = createMetrics();
const METHODS = rpcMethods(
  engine,
  metrics,
  new Readiness({ timers: systemTimers }),
  otlpReceiver(engine, metrics),
).map(({ desc }): DescMethod => desc);
const identity = makeCertificate();
const servers = new Map<boolean, RealServer>();
const counts = { calls: 0, refusals: 0 };

beforeAll(async () => {
  servers.set(false, await startRealServer());
  servers.set(true, await startRealServer({ tls: identity }));
});
afterAll(async () => {
  for (const server of servers.values()) await server.stop();
  const ways = allWays().length;
  process.stdout.write(
    `port contract: ${ways} ways (protocol x HTTP version x TLS) x ${METHODS.length} methods: ` +
      `${counts.calls} calls answered, ${counts.refusals} refusals\n`,
  );
});

const range = () => ({ start: BigInt(Date.now() - 600_000), end: BigInt(Date.now() + 60_000) });
const data = (service: string, fields: object = {}) => ({
  profileTypeID: CPU,
  labelSelector: `{service_name="${service}"}`,
  ...range(),
  ...fields,
});

const selection = (service: string) => {
  const { start, end } = range();
  const selector = `{service_name="${service}"}`;
  return { profileType: CPU, selector, startMs: start, endMs: end };
};

interface Case {
  readonly request: (service: string) => object;
  /** What must be in the first answer. */
  readonly has: (reply: Message, service: string) => void;
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item));
const holds =
  (...parts: (string | ((service: string) => string))[]) =>
  (reply: Message, service: string) => {
    for (const part of parts) {
      expect(text(reply)).toContain(typeof part === 'string' ? part : part(service));
    }
  };
const its = (service: string): string => `"${service}"`;

const OTLP_EXPORT = 'opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export';

/** An OTLP request of a service, without ids of spans: proto3 JSON has them in base64, OTLP/JSON does not. */
function withoutIds(request: ReturnType<typeof smallRequest>, service: string): object {
  const [, link] = request.dictionary?.linkTable ?? [];
  const none = new Uint8Array(0);
  if (link !== undefined) Object.assign(link, { traceId: none, spanId: none });
  const [name] = request.resourceProfiles[0]?.resource?.attributes ?? [];
  if (name?.value !== undefined) name.value.value = { case: 'stringValue', value: service };
  return request;
}

/** A request to each method, by its name, and what must be in the answer. */
const CASES: Readonly<Record<string, Case>> = {
  'push.v1.PusherService/Push': {
    request: (service) => ({
      series: [
        {
          labels: [
            { name: '__name__', value: 'process_cpu' },
            { name: 'service_name', value: service },
          ],
          samples: [{ rawProfile: cpuProfile(), ID: '' }],
        },
      ],
    }),
    has: holds('push.v1.PushResponse'),
  },
  'querier.v1.QuerierService/ProfileTypes': { request: range, has: holds(CPU) },
  'querier.v1.QuerierService/LabelNames': { request: range, has: holds('"service_name"') },
  'querier.v1.QuerierService/LabelValues': {
    request: () => ({ name: 'service_name', ...range() }),
    has: holds(its),
  },
  'querier.v1.QuerierService/Series': {
    request: (service) => ({ matchers: [`{service_name="${service}"}`], ...range() }),
    has: holds(its, '"service_name"'),
  },
  'querier.v1.QuerierService/SelectSeries': {
    request: (service) => data(service, { step: 15, groupBy: ['service_name'] }),
    has: holds(its, '"value":30000000'),
  },
  'querier.v1.QuerierService/SelectMergeStacktraces': {
    request: (service) => data(service),
    has: holds('"main"', '"work"', '"total":"30000000"'),
  },
  'querier.v1.QuerierService/SelectMergeProfile': {
    request: (service) => data(service),
    has: holds('"work"', '20000000'),
  },
  'querier.v1.QuerierService/Diff': {
    request: (service) => ({ left: data(service), right: data(service) }),
    has: holds('"work"', '30000000'),
  },
  'querier.v1.QuerierService/SelectMergeSpanProfile': {
    request: (service) => data(service, { spanSelector: ['0'.repeat(16)] }),
    has: holds('"names":["total"]'),
  },
  'querier.v1.QuerierService/SelectHeatmap': {
    request: (service) => data(service, { step: 60, groupBy: ['service_name'] }),
    has: holds(its, '"counts":[1,0', '"yMin":[30000000,'),
  },
  'querier.v1.QuerierService/GetProfileStats': {
    request: () => ({}),
    has: holds('"dataIngested":true'),
  },
  'querier.v1.QuerierService/AnalyzeQuery': {
    request: (service) => ({ ...range(), query: `${CPU}{service_name="${service}"}` }),
    has: holds('"profileCount":"1"'),
  },
  'tephra.v1.QueryService/Merge': {
    request: (service) => ({ selection: selection(service) }),
    has: holds('"work"', '"total":"30000000"', '"exact":true'),
  },
  'tephra.v1.QueryService/MergeStream': {
    request: (service) => ({ selection: selection(service) }),
    has: holds('"nodeCount":3', '"total":"30000000"'),
  },
  'tephra.v1.QueryService/Diff': {
    request: (service) => ({ left: selection(service), right: selection(service) }),
    has: holds('"work"', '"exact":true'),
  },
  'tephra.v1.QueryService/Series': {
    request: (service) => ({
      selection: selection(service),
      stepMs: 60_000n,
      groupBy: ['service_name'],
    }),
    has: holds(its, '"sum":"30000000"', '"exact":true'),
  },
  'tephra.v1.QueryService/TopFunctions': {
    request: (service) => ({ selection: selection(service) }),
    has: holds('"work"', '"self":"20000000"', '"exact":true'),
  },
  'tephra.v1.QueryService/Labels': {
    request: () => {
      const { start, end } = range();
      return { startMs: start, endMs: end, name: 'service_name' };
    },
    has: holds(its),
  },
  'tephra.v1.IngestService/Push': {
    request: (service) => ({
      profiles: [
        {
          labels: [
            { name: '__name__', value: 'process_cpu' },
            { name: 'service_name', value: `${service}-own` },
          ],
          payload: { case: 'pprof', value: cpuProfile() },
        },
        { labels: [] },
      ],
    }),
    has: holds('"outcome":1', '"reason":"empty_request"'),
  },
  [OTLP_EXPORT]: {
    request: (service) => withoutIds(smallRequest(Date.now()), `${service}-otlp`),
    has: holds('ExportProfilesServiceResponse'),
  },
  'grpc.health.v1.Health/Check': {
    request: () => ({ service: 'query' }),
    has: holds('"status":1'),
  },
  'grpc.health.v1.Health/Watch': { request: () => ({}), has: holds('"status":1') },
  'version.v1.Version/Version': { request: () => ({}), has: holds('"QuerierAPI":"1"') },
  'capabilities.v1.FeatureFlagsService/GetFeatureFlags': {
    request: () => ({}),
    has: holds('"featureFlags":[]'),
  },
};

/** What must be refused, by every way alike. */
const REFUSALS: readonly (readonly [string, object, Code, string])[] = [
  ['push.v1.PusherService/Push', {}, Code.InvalidArgument, 'empty_request'],
  [
    'push.v1.PusherService/Push',
    {
      series: [
        {
          labels: [{ name: '__name__', value: 'process_cpu' }],
          samples: [{ rawProfile: Uint8Array.of(10, 200), ID: '' }],
        },
      ],
    },
    Code.InvalidArgument,
    'malformed',
  ],
  [
    'querier.v1.QuerierService/SelectMergeStacktraces',
    data('x', { labelSelector: '' }),
    Code.InvalidArgument,
    'parse_error',
  ],
  [
    'querier.v1.QuerierService/SelectMergeStacktraces',
    data('x', { labelSelector: '{a="b' }),
    Code.InvalidArgument,
    'parse_error',
  ],
  [
    'querier.v1.QuerierService/SelectMergeStacktraces',
    data('x', { labelSelector: `{a="${'a'.repeat(126)}\u{1f525}\u{1f525}` }),
    Code.InvalidArgument,
    'parse_error',
  ],
  [
    'querier.v1.QuerierService/SelectSeries',
    data('x', { labelSelector: '{a=~"("}', step: 1 }),
    Code.InvalidArgument,
    'invalid_regex',
  ],
  [
    'querier.v1.QuerierService/SelectMergeProfile',
    data('x', { profileTypeID: 'cpu' }),
    Code.InvalidArgument,
    'invalid_profile_type',
  ],
  [
    'querier.v1.QuerierService/SelectMergeStacktraces',
    data('x', { start: 2n, end: 1n }),
    Code.InvalidArgument,
    'invalid_time_range',
  ],
  [
    OTLP_EXPORT,
    { resourceProfiles: [{ scopeProfiles: [{ profiles: [{}] }] }] },
    Code.InvalidArgument,
    'otlp_layout',
  ],
  [
    OTLP_EXPORT,
    { dictionary: { stringTable: ['x'] }, resourceProfiles: [{}] },
    Code.InvalidArgument,
    'malformed_profile',
  ],
  ['querier.v1.QuerierService/LabelNames', {}, Code.InvalidArgument, 'missing_time_range'],
  ['grpc.health.v1.Health/Check', { service: 'nope' }, Code.NotFound, 'not_found'],
];

function methodOf(name: string): DescMethod {
  const found = METHODS.find((method) => nameOf(method) === name);
  if (found === undefined) throw new RangeError(`no method ${name}`);
  return found;
}

function nameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/** Methods without a case here: their own tests know what is right; here, that it is no fault of ours. */
function isSound({ code }: Outcome): boolean {
  return !['Internal', 'Unknown', 'DeadlineExceeded'].includes(codeName(code));
}

describe.each(allWays().map((way) => [way.name, way] as const))('%s', (_name, way) => {
  const service = `s-${way.name.replaceAll(/[^a-z0-9]/gi, '-')}`;
  const open = () => way.open(servers.get(way.tls)!.port, identity.cert);

  test('reaches every method', async () => {
    const caller = open();
    for (const method of METHODS) {
      const known = CASES[nameOf(method)];
      const outcome = await caller.call(method, known?.request(service) ?? {});
      const told = `${nameOf(method)}: ${codeName(outcome.code)} ${outcome.message}`;
      counts.calls++;
      if (known === undefined) {
        expect([told, isSound(outcome)]).toEqual([told, true]);
        continue;
      }
      expect(told).toBe(`${nameOf(method)}: ok `);
      known.has(outcome.replies[0]!, service);
    }
    caller.close();
  });

  test('is refused alike', async () => {
    const caller = open();
    for (const [name, request, code, reason] of REFUSALS) {
      const outcome = await caller.call(methodOf(name), request);
      counts.refusals++;
      expect([name, codeName(outcome.code)]).toEqual([name, codeName(code)]);
      expect(outcome.message).toContain(reason);
    }
    caller.close();
  });
});
