import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { create, fromBinary, toBinary, toJson } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import * as grpc from '@grpc/grpc-js';
import { TephraError } from '../../src/base/errors.ts';
import { createMetrics } from '../../src/base/metrics.ts';
import { ProfileSchema, type Profile } from '../../src/gen/google/v1/profile_pb.ts';
import {
  type ExportProfilesServiceRequest,
  ExportProfilesServiceRequestSchema,
  ExportProfilesServiceResponseSchema,
} from '../../src/gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import { startRealServer, type RealServer } from '../contract/port.ts';
import { smallRequest } from '../profile/otlp/request.ts';
import { FakeEngine, send } from './fixture.ts';

const PATH = '/v1development/profiles';
const EXPORT = '/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export';
const PROTOBUF = { 'content-type': 'application/x-protobuf' };
const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';

const bytesOf = (request: ExportProfilesServiceRequest): Uint8Array =>
  toBinary(ExportProfilesServiceRequestSchema, request);

/** The request of a service, now or `ageMs` ago. */
function requestOf(service: string, ageMs = 0): ExportProfilesServiceRequest {
  const request = smallRequest(Date.now() - ageMs);
  const [name] = request.resourceProfiles[0]?.resource?.attributes ?? [];
  if (name?.value !== undefined) name.value.value = { case: 'stringValue', value: service };
  return request;
}

/** Two profiles of two services, the second older than what is accepted. */
function halfRequest(service: string): ExportProfilesServiceRequest {
  const request = requestOf(service);
  request.resourceProfiles.push(...requestOf(`${service}-old`, 40 * 86_400_000).resourceProfiles);
  return request;
}

let it: RealServer;
let url: string;
const metrics = createMetrics();
beforeAll(async () => {
  it = await startRealServer({ metrics });
  url = `http://127.0.0.1:${it.port}`;
});
afterAll(() => it.stop());

const post = (body: Uint8Array | string, headers: Record<string, string>) =>
  send(`${url}${PATH}`, body, headers);

interface GrpcAnswer {
  readonly code: number;
  readonly message: string;
  readonly details: Uint8Array | undefined;
  readonly reply: Uint8Array | undefined;
}

function exportOverGrpc(port: number, body: Uint8Array, gzip = false): Promise<GrpcAnswer> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    'grpc.default_compression_algorithm': gzip ? 2 : 0,
  });
  const same = (value: Buffer): Buffer => value;
  return new Promise((resolve) => {
    client.makeUnaryRequest(EXPORT, same, same, Buffer.from(body), (error, reply) => {
      client.close();
      const [details] = error?.metadata.get('grpc-status-details-bin') ?? [];
      resolve({
        code: error?.code ?? 0,
        message: error?.details ?? '',
        details: details === undefined ? undefined : new Uint8Array(details as Buffer),
        reply,
      });
    });
  });
}

/** `google.rpc.Status`: code, message, types of the details. */
function statusOf(bytes: Uint8Array): { code: number; message: string; details: string[] } {
  const status = { code: 0, message: '', details: [] as string[] };
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [no, wireType] = reader.tag();
    if (no === 1) status.code = reader.int32();
    else if (no === 2) status.message = reader.string();
    else if (no === 3) {
      const any = new BinaryReader(reader.bytes());
      any.tag();
      status.details.push(any.string());
    } else reader.skip(wireType);
  }
  return status;
}

/** What is stored of a service, as a merge has it: values by stack, the leaf first. */
async function stored(service: string, selector = '', type = CPU): Promise<Record<string, bigint>> {
  const { bytes } = await it.engine.pprof({
    tenant: 'anonymous',
    selector: `{service_name="${service}"${selector}}`,
    profileType: type,
    startMs: Date.now() - 3_600_000,
    endMs: Date.now() + 600_000,
    maxNodes: undefined,
  });
  const profile: Profile = fromBinary(ProfileSchema, bytes);
  const text = (index: bigint): string => profile.stringTable[Number(index)] ?? '';
  const frame = (id: bigint): string => {
    const location = profile.location.find((one) => one.id === id);
    const mapping = profile.mapping.find((one) => one.id === location?.mappingId);
    const lines = (location?.line ?? []).map(({ functionId, line }) => {
      const fn = profile.function.find((one) => one.id === functionId);
      return `${text(fn?.name ?? 0n)} ${text(fn?.filename ?? 0n)}:${line}`;
    });
    const address = `${text(mapping?.filename ?? 0n)} ${text(mapping?.buildId ?? 0n)} ${location?.address}`;
    return lines.length === 0 ? address : lines.join('|');
  };
  return Object.fromEntries(
    profile.sample.map((one) => [one.locationId.map(frame).join(' < '), one.value[0] ?? 0n]),
  );
}

const WHOLE = {
  'main main.go:4': 100_000_000n,
  'libc.so.6 abcdef 4660 < work main.go:9 < main main.go:4': 50_000_000n,
};

describe('profiles are stored as they were sent', () => {
  const service = 'sent';
  const json = (request: ExportProfilesServiceRequest): string =>
    JSON.stringify(toJson(ExportProfilesServiceRequestSchema, request), (key, value: unknown) =>
      key === 'traceId' || key === 'spanId'
        ? Buffer.from(String(value), 'base64').toString('hex')
        : value,
    );
  const ways: Record<string, (one: ExportProfilesServiceRequest) => Promise<number>> = {
    'HTTP, protobuf': async (one) => (await post(bytesOf(one), PROTOBUF)).status,
    'HTTP, application/protobuf, gzip': async (one) => {
      const headers = { 'content-type': 'application/protobuf', 'content-encoding': 'gzip' };
      return (await post(gzipSync(bytesOf(one)), headers)).status;
    },
    'HTTP, JSON': async (one) =>
      (await post(json(one), { 'content-type': 'application/json; charset=utf-8' })).status,
    gRPC: async (one) => (await exportOverGrpc(it.port, bytesOf(one))).code + 200,
    'gRPC, gzip': async (one) => (await exportOverGrpc(it.port, bytesOf(one), true)).code + 200,
  };
  test.each(Object.entries(ways))('%s', async (name, way) => {
    const own = `${service}-${name.replaceAll(/\W+/g, '-')}`;
    const request = requestOf(own);
    expect(await way(request)).toBe(200);
    expect(await stored(own)).toEqual(WHOLE);
    // Again, as after an answer that was lost.
    expect(await way(request)).toBe(200);
    expect(await stored(own)).toEqual(WHOLE);
    // Labels of the resource and of samples, and the span.
    const labels = ',host.cores="8"'.replace('host.cores', '"host.cores"');
    expect(await stored(own, labels)).toEqual(WHOLE);
    expect(await stored(own, ',"thread.name"="worker"')).toEqual({
      'main main.go:4': 100_000_000n,
    });
    expect(await stored(own, ',"process.pid"=~".+"')).toEqual({});
  });

  test('under each service that samples name', async () => {
    const request = requestOf('one');
    const [, second] = request.resourceProfiles[0]?.scopeProfiles[0]?.profiles[0]?.samples ?? [];
    if (second !== undefined) second.attributeIndices = [3];
    expect((await post(bytesOf(request), PROTOBUF)).status).toBe(200);
    expect(Object.values(await stored('one'))).toEqual([100_000_000n]);
    expect(Object.values(await stored('cart'))).toEqual([50_000_000n]);
  });

  test('two processes of a service both count', async () => {
    const request = requestOf('two');
    const [other] = requestOf('two').resourceProfiles;
    const pid = other?.resource?.attributes[2];
    if (other === undefined || pid?.value === undefined) throw new Error('no attribute');
    pid.value.value = { case: 'intValue', value: 1n };
    const [profile] = request.resourceProfiles[0]?.scopeProfiles[0]?.profiles ?? [];
    if (profile !== undefined) other.scopeProfiles[0]?.profiles.splice(0, 1, profile);
    request.resourceProfiles.push(other);
    expect((await post(bytesOf(request), PROTOBUF)).status).toBe(200);
    expect((await stored('two'))['main main.go:4']).toBe(200_000_000n);
  });
});

describe('answers', () => {
  test('success is an empty message, in the type of the request', async () => {
    const proto = await post(bytesOf(requestOf('a')), PROTOBUF);
    expect([proto.headers['content-type'], proto.body.byteLength]).toEqual([
      'application/x-protobuf',
      0,
    ]);
    const json = await post('{}', { 'content-type': 'application/json' });
    expect([json.headers['content-type'], String(json.body)]).toEqual(['application/json', '{}']);
    const { reply } = await exportOverGrpc(it.port, new Uint8Array(0));
    expect(reply?.byteLength).toBe(0);
  });

  test('a profile that is refused does not keep the others from being stored', async () => {
    const { status, body } = await post(bytesOf(halfRequest('half')), PROTOBUF);
    expect(status).toBe(200);
    const { partialSuccess } = fromBinary(ExportProfilesServiceResponseSchema, body);
    expect(partialSuccess?.rejectedProfiles).toBe(1n);
    expect(partialSuccess?.errorMessage).toMatch(
      /^1 of 2 profiles were refused \(1 x not_in_ingestion_window\), the others are stored; first: /,
    );
    expect(await stored('half')).toEqual(WHOLE);
    const { reply } = await exportOverGrpc(it.port, bytesOf(halfRequest('half')));
    const told = fromBinary(ExportProfilesServiceResponseSchema, reply ?? new Uint8Array(0));
    expect(told.partialSuccess?.rejectedProfiles).toBe(1n);
  });

  test('where no profile is stored, the request is refused', async () => {
    const old = bytesOf(requestOf('old', 40 * 86_400_000));
    const { status, headers, body } = await post(old, PROTOBUF);
    expect([status, headers['content-type']]).toEqual([400, 'application/x-protobuf']);
    expect(statusOf(body)).toEqual({
      code: 3,
      message: expect.stringMatching(/^not_in_ingestion_window: /),
      details: ['type.googleapis.com/google.rpc.BadRequest'],
    });
    const answer = await exportOverGrpc(it.port, old);
    expect([answer.code, answer.reply]).toEqual([3, undefined]);
    expect(statusOf(answer.details ?? new Uint8Array(0)).details).toEqual([
      'type.googleapis.com/google.rpc.BadRequest',
    ]);
  });

  test('an old layout is named, and counted', async () => {
    const { body } = await post('{"stringTable":[]}', { 'content-type': 'application/json' });
    expect(JSON.parse(String(body))).toEqual({
      code: 3,
      message: expect.stringContaining('profiles in the OTLP 1.4 to 1.6 layout'),
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.BadRequest',
          fieldViolations: [{ description: expect.any(String) }],
        },
      ],
    });
    expect(await metrics.text()).toContain('tephra_otlp_old_layouts_total{layout="1.4 to 1.6"} 1');
  });

  test.each<[string, number, number, string | undefined, string]>([
    ['overloaded', 503, 14, '2', 'RetryInfo'],
    ['draining', 503, 14, '2', 'RetryInfo'],
    ['storage_full', 503, 14, '2', 'RetryInfo'],
    ['series_limit', 429, 8, '2', 'RetryInfo'],
    ['internal', 500, 13, undefined, ''],
  ])('%s: %d', async (reason, http, code, retryAfter, detail) => {
    const engine = new FakeEngine();
    engine.outcome = () => ({
      outcome: 'refused',
      error: { reason: reason as never, detail: 'x' },
    });
    const other = await startRealServer({ engine });
    const request = bytesOf(requestOf('x'));
    const sent = await send(`http://127.0.0.1:${other.port}${PATH}`, request, PROTOBUF);
    const details = detail === '' ? [] : [`type.googleapis.com/google.rpc.${detail}`];
    expect([sent.status, sent.headers['retry-after']]).toEqual([http, retryAfter]);
    expect(statusOf(sent.body)).toMatchObject({ code, details });
    const answer = await exportOverGrpc(other.port, request);
    expect(answer.code).toBe(code);
    expect(statusOf(answer.details ?? new Uint8Array(0))).toMatchObject({ code, details });
    await other.stop();
  });

  test('one part that should be sent again makes the sender send all again', async () => {
    const engine = new FakeEngine();
    engine.outcome = (_, index) =>
      index === 0
        ? { outcome: 'refused', error: new TephraError('write_unknown', 'x').toWire() }
        : { outcome: 'stored', entries: 1 };
    const other = await startRealServer({ engine });
    const { code, message } = await exportOverGrpc(other.port, bytesOf(halfRequest('x')));
    expect([code, message]).toEqual([14, expect.stringContaining('1 of 2 profiles were refused')]);
    await other.stop();
  });
});

test('what no request may become in memory is refused, for good', async () => {
  const request = requestOf('large');
  const [scope] = request.resourceProfiles[0]?.scopeProfiles ?? [];
  const [profile] = scope?.profiles ?? [];
  if (request.dictionary === undefined || profile === undefined) throw new Error('no profile');
  request.dictionary.stringTable[5] = 'x'.repeat(60_000);
  for (let i = 0; i < 2_000; i++) scope?.profiles.push(profile);
  const { status, body } = await post(bytesOf(request), PROTOBUF);
  expect([status, statusOf(body).message]).toEqual([
    413,
    expect.stringMatching(/^decompressed_size: /),
  ]);
  // More than is likely, and less than is allowed.
  const less = create(ExportProfilesServiceRequestSchema, request);
  scope?.profiles.splice(20);
  profile.samples.splice(1);
  expect((await post(bytesOf(less), PROTOBUF)).status).toBe(200);
});
