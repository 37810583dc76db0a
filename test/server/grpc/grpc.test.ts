import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { TephraError } from '../../../src/base/errors.ts';
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from '../../../src/gen/grpc/health/v1/health_pb.ts';
import { PushRequestSchema } from '../../../src/gen/push/v1/push_pb.ts';
import {
  SelectMergeStacktracesRequestSchema,
  SelectMergeStacktracesResponseSchema,
} from '../../../src/gen/querier/v1/querier_pb.ts';
import { startFixture, type Fixture } from '../fixture.ts';

interface Answer {
  readonly code: number;
  readonly details: string;
  readonly bytes: Buffer | undefined;
  readonly trailer: grpc.Metadata | undefined;
}

let it: Fixture;
let client: grpc.Client;
beforeAll(async () => {
  it = await startFixture({
    bodyBytesMax: 100_000,
    inFlightBytesMax: 300_000,
    inFlightWaitMs: 200,
  });
  client = new grpc.Client(`127.0.0.1:${it.port}`, grpc.credentials.createInsecure(), {
    'grpc.default_compression_algorithm': 2,
  });
});
afterAll(async () => {
  client.close();
  await it.server.stop(1_000);
});
afterEach(() => {
  it.engine.fail = undefined;
  it.engine.pushed.length = 0;
});

function call(path: string, bytes: Uint8Array, options: grpc.CallOptions = {}): Promise<Answer> {
  return new Promise((resolve) => {
    let trailer: grpc.Metadata | undefined;
    const request = client.makeUnaryRequest(
      path,
      (value: Buffer) => value,
      (value: Buffer) => value,
      Buffer.from(bytes),
      new grpc.Metadata(),
      { deadline: Date.now() + 5_000, ...options },
      (error, value) => {
        setImmediate(() =>
          resolve({
            code: error?.code ?? 0,
            details: error?.details ?? '',
            bytes: value,
            trailer: trailer ?? error?.metadata,
          }),
        );
      },
    );
    request.on('status', (status) => {
      trailer = status.metadata;
    });
  });
}

const PUSH = '/push.v1.PusherService/Push';
const pushBytes = (size: number) =>
  toBinary(
    PushRequestSchema,
    create(PushRequestSchema, {
      series: [{ labels: [], samples: [{ rawProfile: new Uint8Array(size).fill(7), ID: 'x' }] }],
    }),
  );
const mergeBytes = toBinary(
  SelectMergeStacktracesRequestSchema,
  create(SelectMergeStacktracesRequestSchema, {
    profileTypeID: 'a:b:c:d:e',
    labelSelector: '{}',
    start: 1n,
    end: 2n,
  }),
);

describe('gRPC on the same port', () => {
  test('pushes, compressed by the client', async () => {
    expect((await call(PUSH, pushBytes(1_000))).code).toBe(grpc.status.OK);
    expect(it.engine.pushed[0]?.payload.byteLength).toBe(1_000);
    expect(it.engine.pushed[0]?.profileId).toBe('x');
  });

  test('tells the health of each service that it serves, by the names of the health protocol', async () => {
    for (const service of [
      '',
      'ingest',
      'query',
      'push.v1.PusherService',
      'querier.v1.QuerierService',
      'tephra.v1.IngestService',
      'tephra.v1.QueryService',
    ]) {
      const asked = toBinary(
        HealthCheckRequestSchema,
        create(HealthCheckRequestSchema, { service }),
      );
      const { code, bytes } = await call('/grpc.health.v1.Health/Check', asked);
      expect([service, code]).toEqual([service, grpc.status.OK]);
      expect(fromBinary(HealthCheckResponseSchema, bytes ?? new Uint8Array()).status).toBe(1);
    }
  });

  test('passes an encoded answer through, with notes in the trailer', async () => {
    const answer = await call('/querier.v1.QuerierService/SelectMergeStacktraces', mergeBytes);
    expect(answer.code).toBe(grpc.status.OK);
    expect(
      fromBinary(SelectMergeStacktracesResponseSchema, answer.bytes ?? new Uint8Array()).flamegraph,
    ).toEqual(it.engine.flame.flamegraph);
    expect(answer.trailer?.get('tephra-exact')).toEqual(['true']);
  });

  test.each([
    [
      'undecodable bytes',
      PUSH,
      Uint8Array.of(0x0a, 0x7f),
      grpc.status.INVALID_ARGUMENT,
      'malformed_protobuf',
    ],
    ['no profiles', PUSH, new Uint8Array(), grpc.status.INVALID_ARGUMENT, 'empty_request'],
    [
      'a message over our limit',
      PUSH,
      pushBytes(100_000),
      grpc.status.INVALID_ARGUMENT,
      'body_size_limit',
    ],
    [
      'a message over twice our limit',
      PUSH,
      pushBytes(300_000),
      grpc.status.INVALID_ARGUMENT,
      'body_size_limit',
    ],
    [
      'an unknown method',
      '/querier.v1.QuerierService/Nope',
      new Uint8Array(),
      grpc.status.UNIMPLEMENTED,
      '',
    ],
    ['an unknown service', '/no.v1.Service/Nope', new Uint8Array(), grpc.status.UNIMPLEMENTED, ''],
  ] as const)('%s', async (_case, path, bytes, code, told) => {
    const answer = await call(path, bytes);
    expect(answer.code).toBe(code);
    expect(answer.details).toContain(told);
  });

  test('a refusal for now is UNAVAILABLE with a delay', async () => {
    it.engine.fail = new TephraError('write_unknown', 'the put failed');
    const answer = await call(PUSH, pushBytes(1));
    expect([answer.code, answer.trailer?.get('retry-after')]).toEqual([
      grpc.status.UNAVAILABLE,
      ['2'],
    ]);
  });

  test('waits for room in flight, then refuses', async () => {
    let open = (): void => {};
    it.engine.gate = new Promise((resolve) => {
      open = resolve;
    });
    const before = it.engine.calls.length;
    const first = call(PUSH, pushBytes(90_000));
    while (it.engine.calls.length === before) await new Promise((resolve) => setImmediate(resolve));
    const second = await call(PUSH, pushBytes(1));
    expect([second.code, second.details]).toEqual([
      grpc.status.UNAVAILABLE,
      expect.stringContaining('overloaded'),
    ]);
    open();
    it.engine.gate = Promise.resolve();
    expect((await first).code).toBe(grpc.status.OK);
    expect((await call(PUSH, pushBytes(1))).code).toBe(grpc.status.OK);
  });

  test('a client that cancels gives its credits back', async () => {
    let open = (): void => {};
    it.engine.gate = new Promise((resolve) => {
      open = resolve;
    });
    const late = await call(PUSH, pushBytes(90_000), { deadline: Date.now() + 100 });
    expect(late.code).toBe(grpc.status.DEADLINE_EXCEEDED);
    open();
    it.engine.gate = Promise.resolve();
    while (!(await it.metrics.text()).includes('tephra_in_flight_bytes 0')) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
});
