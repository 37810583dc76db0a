/** Row 90 of the catalogue of bad inputs: a client leaves, and the engine hears of it, by every way. */
import { expect, test } from '@jest/globals';
import { create, toBinary, toJsonString } from '@bufbuild/protobuf';
import { SelectMergeStacktracesRequestSchema } from '../../../src/gen/querier/v1/querier_pb.ts';
import { startFixture } from '../../server/fixture.ts';
import { RAW_WAYS, RawClient } from './raw-ways.ts';

const request = create(SelectMergeStacktracesRequestSchema, {
  profileTypeID: 'a:b:c:d:e',
  labelSelector: '{}',
  start: 1n,
  end: 2n,
});

test.each(RAW_WAYS.map((way) => [way.name, way] as const))('row 90: by %s', async (_, way) => {
  const { engine, server, port } = await startFixture();
  let open = (): void => {};
  engine.gate = new Promise((resolve) => (open = resolve));
  const client = new RawClient(port);
  const message =
    way.codec === 'proto'
      ? toBinary(SelectMergeStacktracesRequestSchema, request)
      : Buffer.from(toJsonString(SelectMergeStacktracesRequestSchema, request));
  const name = 'querier.v1.QuerierService/SelectMergeStacktraces';
  const answer = client.call(way, name, message).catch(() => undefined);
  while (engine.calls.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const [asked] = engine.calls[0]?.args ?? [];
  const { signal } = asked as { signal: AbortSignal };
  expect(signal.aborted).toBe(false);
  const left = new Promise((resolve) => signal.addEventListener('abort', resolve));
  client.close();
  await left;
  expect(signal.reason).toMatchObject({ reason: 'canceled' });
  open();
  await answer;
  await server.stop(1_000);
});
