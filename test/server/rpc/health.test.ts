import { expect, test } from '@jest/globals';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import {
  Health,
  HealthCheckResponse_ServingStatus as State,
} from '../../../src/gen/grpc/health/v1/health_pb.ts';
import { startFixture } from '../fixture.ts';

test('a full disk takes ingest out of service, and leaves queries in; who watches is told', async () => {
  let hasRoom = true;
  const it = await startFixture({ takesPushes: () => hasRoom });
  const health = createClient(Health, createGrpcTransport({ baseUrl: it.url }));
  const stateOf = async (service: string): Promise<State> =>
    (await health.check({ service })).status;
  const watched: State[] = [];
  const watch = async (): Promise<void> => {
    for await (const { status } of health.watch({ service: 'ingest' })) {
      watched.push(status);
      if (watched.length === 1) hasRoom = false;
      if (watched.length === 2) hasRoom = true;
      if (watched.length === 3) return;
    }
  };
  await watch();
  expect(watched).toEqual([State.SERVING, State.NOT_SERVING, State.SERVING]);

  hasRoom = false;
  for (const service of [
    'ingest',
    'push.v1.PusherService',
    'tephra.v1.IngestService',
    'opentelemetry.proto.collector.profiles.v1development.ProfilesService',
  ]) {
    expect([service, await stateOf(service)]).toEqual([service, State.NOT_SERVING]);
  }
  for (const service of ['', 'query', 'querier.v1.QuerierService', 'tephra.v1.QueryService']) {
    expect([service, await stateOf(service)]).toEqual([service, State.SERVING]);
  }
  await it.server.stop(100);
});
