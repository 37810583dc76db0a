/** Requests and answers are compressed on every way where the client says so, and are the same then. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { gunzipSync, gzipSync } from 'node:zlib';
import { create, toBinary, toJsonString } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { compressionGzip, createGrpcTransport } from '@connectrpc/connect-node';
import { SelectMergeStacktracesRequestSchema } from '../../src/gen/querier/v1/querier_pb.ts';
import { QueryService } from '../../src/gen/tephra/v1/query_pb.ts';
import { startRealServer, type RealServer } from './port.ts';
import { RAW_WAYS, RawClient, type RawWay } from './rows/raw-ways.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const METHOD = 'querier.v1.QuerierService/SelectMergeStacktraces';
const HEALTH = 'grpc.health.v1.Health/Check';
/** A merge of them is far above what is worth compressing. */
const STACKS = Array.from({ length: 500 }, (_, i) => `main;handler number ${i};leaf ${i % 7} ${i}`);

const nowMs = Date.now();
const range = { start: BigInt(nowMs - 600_000), end: BigInt(nowMs + 600_000) };
const request = create(SelectMergeStacktracesRequestSchema, {
  profileTypeID: CPU,
  labelSelector: '{}',
  ...range,
});
let it: RealServer;
let client: RawClient;
beforeAll(async () => {
  it = await startRealServer();
  client = new RawClient(it.port);
  const lines = Buffer.from(STACKS.join('\n'));
  await client.http('1.1', 'POST', '/ingest?name=big.cpu', {}, lines);
});
afterAll(async () => {
  client.close();
  await it.stop();
});

const accepts = (way: RawWay): Record<string, string> =>
  way.protocol === 'connect' ? { 'accept-encoding': 'gzip' } : { 'grpc-accept-encoding': 'gzip' };
const encodingOf = (way: RawWay, headers: Readonly<Record<string, unknown>>): unknown =>
  headers[way.protocol === 'connect' ? 'content-encoding' : 'grpc-encoding'];

test.each(RAW_WAYS.map((way) => [way.name, way] as const))('%s', async (_, way) => {
  const message =
    way.codec === 'json'
      ? Buffer.from(toJsonString(SelectMergeStacktracesRequestSchema, request))
      : toBinary(SelectMergeStacktracesRequestSchema, request);
  const plain = await client.call(way, METHOD, message);
  expect([plain.code, plain.body.includes('handler number 7')]).toEqual([0, true]);
  expect([undefined, 'identity']).toContain(encodingOf(way, plain.headers));

  const packed = await client.call(way, METHOD, gzipSync(message), {
    encoding: 'gzip',
    headers: accepts(way),
  });
  expect([packed.code, encodingOf(way, packed.headers)]).toEqual([0, 'gzip']);
  expect(packed.body.byteLength).toBeLessThan(plain.body.byteLength / 2);
  expect(gunzipSync(packed.body).equals(plain.body)).toBe(true);

  // Not worth it: whoever takes gzip takes this too.
  const small = way.codec === 'json' ? Buffer.from('{}') : Buffer.alloc(0);
  const answer = await client.call(way, HEALTH, small, { headers: accepts(way) });
  const expected = way.codec === 'json' ? '{"status":"SERVING"}' : '\x08\x01';
  expect([answer.code, answer.body.toString()]).toEqual([0, expected]);
});

test.each([
  ['gzip;q=0.5', true],
  ['br, GZIP', true],
  ['gzip;q=0', false],
  ['gzip; q=0.0, br', false],
  ['identity', false],
])('a Connect answer knows the weight of "%s"', async (accept, isPacked) => {
  for (const way of RAW_WAYS.filter(({ protocol }) => protocol === 'connect')) {
    const message =
      way.codec === 'json'
        ? Buffer.from(toJsonString(SelectMergeStacktracesRequestSchema, request))
        : toBinary(SelectMergeStacktracesRequestSchema, request);
    const { code, headers } = await client.call(way, METHOD, message, {
      headers: { 'accept-encoding': accept },
    });
    const expected = [way.name, 0, isPacked ? 'gzip' : undefined];
    expect([way.name, code, encodingOf(way, headers)]).toEqual(expected);
  }
});

test('a stream of answers over gRPC', async () => {
  const baseUrl = `http://127.0.0.1:${it.port}`;
  const read = async (packed: boolean): Promise<readonly unknown[]> => {
    const acceptCompression = packed ? [compressionGzip] : [];
    const transport = createGrpcTransport({ baseUrl, acceptCompression });
    const selection = { profileType: CPU, selector: '{}', startMs: range.start, endMs: range.end };
    const chunks: unknown[] = [];
    for await (const chunk of createClient(QueryService, transport).mergeStream({ selection })) {
      chunks.push([chunk.nodeCount, chunk.names, chunk.parent, chunk.total]);
    }
    return chunks;
  };
  const chunks = await read(true);
  expect(chunks.length).toBeGreaterThan(1);
  expect(chunks).toEqual(await read(false));
});
