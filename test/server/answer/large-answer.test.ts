import { connect, constants } from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { createClient, type Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { LIMITS } from '../../../src/base/limits.ts';
import {
  QuerierService,
  SelectMergeStacktracesRequestSchema,
} from '../../../src/gen/querier/v1/querier_pb.ts';
import { startFixture, type Fixture } from '../fixture.ts';

let fixture: Fixture;
const names = Array.from({ length: 90_000 }, (_, i) => `a function with the number ${i}`);
const asked = { profileTypeID: 'a:b:c:d:e', labelSelector: '{}', start: 1n, end: 2n };

beforeAll(async () => {
  fixture = await startFixture();
  fixture.engine.flame.flamegraph = { ...fixture.engine.flame.flamegraph, names } as never;
});
afterAll(() => fixture.server.stop(0));

const transports: Record<string, (baseUrl: string) => Transport> = {
  'connect, HTTP/1.1': (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '1.1' }),
  'connect, HTTP/2': (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '2' }),
  'connect JSON, HTTP/1.1': (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: '1.1', useBinaryFormat: false }),
  'connect JSON, uncompressed': (baseUrl) =>
    createConnectTransport({
      baseUrl,
      httpVersion: '2',
      useBinaryFormat: false,
      acceptCompression: [],
    }),
  'connect, uncompressed': (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: '1.1', acceptCompression: [] }),
  'gRPC, HTTP/1.1': (baseUrl) => createGrpcTransport({ baseUrl, httpVersion: '1.1' } as never),
  'gRPC, HTTP/2': (baseUrl) => createGrpcTransport({ baseUrl }),
  'gRPC-Web, HTTP/1.1': (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }),
  'gRPC-Web, HTTP/2': (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: '2' }),
};

test.each(Object.keys(transports))('a large answer arrives whole by %s', async (name) => {
  const transport = transports[name]?.(fixture.url) as Transport;
  const answer = await createClient(QuerierService, transport).selectMergeStacktraces(asked);
  expect(answer.flamegraph?.names.length).toBe(names.length);
  expect(answer.flamegraph?.names.at(-1)).toBe(names.at(-1));
  expect(answer.flamegraph?.total).toBe(11n);
});

test('answers that nobody reads are refused for now beyond the share of an address', async () => {
  const session = connect(fixture.url, { settings: { initialWindowSize: 0 } });
  const message = toBinary(
    SelectMergeStacktracesRequestSchema,
    create(SelectMergeStacktracesRequestSchema, asked),
  );
  const size = names.reduce((sum, text) => sum + text.length + 2, 0);
  const room = Math.floor(LIMITS.answerBytesPerAddressMax / size);
  const statuses: number[] = [];
  for (let i = 0; i < Math.min(room + 4, LIMITS.queriesPerAddressMax + 4); i++) {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/querier.v1.QuerierService/SelectMergeStacktraces',
      'content-type': 'application/proto',
    });
    stream.on('error', () => {});
    stream.end(message);
    statuses.push(
      await new Promise<number>((resolve) => {
        stream.once('response', (headers) => resolve(Number(headers[':status'])));
      }),
    );
  }
  expect(new Set(statuses.slice(-4))).toEqual(new Set([429]));
  expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(room + 1);
  session.destroy();
  // What was held is free again at once.
  const transport = createConnectTransport({ baseUrl: fixture.url, httpVersion: '1.1' });
  await expect(
    createClient(QuerierService, transport).selectMergeStacktraces(asked),
  ).resolves.toBeDefined();
});
