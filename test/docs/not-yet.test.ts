/** What docs/sending.md says does not work yet, does not, in the way that it says. */
import { credentials, makeGenericClientConstructor, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ServerProcess, Servers } from '../end-to-end/server-process.ts';

const servers = new Servers();
let server: ServerProcess;

beforeAll(async () => {
  server = await servers.start('data');
}, 120_000);
afterAll(() => servers.end());

test.each(['jfr', 'trie', 'tree', 'speedscope'])('/ingest refuses %s', async (format) => {
  const url = `${server.url}/ingest?name=shop&format=${format}`;
  const answer = await fetch(url, { method: 'POST', body: 'anything' });
  expect([answer.status, await answer.text()]).toEqual([
    422,
    expect.stringContaining('unsupported_format'),
  ]);
});

test('pairs of cumulative profiles are refused', async () => {
  const body = new FormData();
  body.set('profile', new Blob(['anything']));
  body.set('prev_profile', new Blob(['anything']));
  const answer = await fetch(`${server.url}/ingest?name=shop`, { method: 'POST', body });
  expect([answer.status, await answer.text()]).toEqual([
    422,
    expect.stringContaining('unsupported_format'),
  ]);
});

test('OTLP of older layouts is refused by its name', async () => {
  const answer = await fetch(`${server.url}/v1development/profiles`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"stringTable":[]}',
  });
  expect([answer.status, await answer.text()]).toEqual([
    400,
    expect.stringContaining('otlp_layout'),
  ]);
});

test.each([
  '/parca.profilestore.v1alpha1.ProfileStoreService/WriteArrow',
  '/parca.profilestore.v1alpha1.ProfileStoreService/WriteRaw',
  '/debuginfo.v1alpha1.DebuginfoService/ShouldInitiateUpload',
])('gRPC %s is unimplemented', async (path) => {
  const Client = makeGenericClientConstructor({}, 'any');
  const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
  const bytes = (value: Buffer): Buffer => value;
  const code = await new Promise((resolve) => {
    client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), (error) => resolve(error?.code));
  });
  client.close();
  expect(code).toBe(status.UNIMPLEMENTED);
});
