import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { create, toBinary } from '@bufbuild/protobuf';
import { SelectMergeStacktracesResponseSchema } from '../../src/gen/querier/v1/querier_pb.ts';
import { runIn } from './run.ts';

/** Another server than Tephra: it speaks querier.v1, says nothing of exactness and takes no files. */
const merge = toBinary(
  SelectMergeStacktracesResponseSchema,
  create(SelectMergeStacktracesResponseSchema, {
    flamegraph: { names: ['total'], levels: [{ values: [0n, 4n, 4n, 0n] }], total: 4n },
  }),
);
let ingestStatus = 404;
const server = createServer((request, response) => {
  request.resume();
  if (request.url?.startsWith('/ingest') === true) {
    response.writeHead(ingestStatus).end('<html>');
  } else if (request.url?.endsWith('SelectMergeStacktraces') === true) {
    response.writeHead(200, { 'content-type': 'application/proto' }).end(merge);
  } else response.writeHead(404).end();
});
let url = '';
beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const tephra = (...args: string[]) =>
  runIn({ environment: { TEPHRA_URL: url }, input: 'a;b 3\n' }, ...args);

describe('a server that is no Tephra', () => {
  test('is asked by querier.v1, and says nothing of exactness', async () => {
    const run = await tephra('query', 'merge', '--type', TYPE, '--json');
    expect([run.code, run.err]).toEqual([0, '']);
    expect(JSON.parse(run.out)).toMatchObject({ kind: 'merge', exact: null, total: 4 });
    const labels = await tephra('query', 'labels');
    expect([labels.code, labels.err]).toEqual([1, 'tephra: the server refused: HTTP 404\n']);
  });

  test('is not taken for one that stores files', async () => {
    const run = await tephra('push', '-');
    expect(run.code).toBe(1);
    expect(run.err).toBe(
      'tephra: -: the server answered 404 Not Found: is it a Tephra?\n' +
        'tephra: 1 of 1 files were not stored\n',
    );
  });

  test('may want a token', async () => {
    ingestStatus = 401;
    const run = await tephra('push', '-');
    expect([run.code, run.err]).toEqual([
      1,
      expect.stringMatching(/^tephra: the server wants a token: give it with --token, .*: http/),
    ]);
  });

  test('is asked nothing with a label that is given twice', async () => {
    const run = await tephra('push', '-', '--label', 'a=1', '--label', 'a=2');
    expect([run.code, run.err]).toEqual([2, 'tephra: --label: a is given twice\n']);
  });
});
