/** Rows 71 to 92 of the catalogue of bad inputs: by every way, to both interfaces where both take them. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fromBinary, fromJson, fromJsonString, toBinary, toJson } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import type { MergeResponse } from '../../../src/gen/tephra/v1/query_pb.ts';
import type { SelectMergeStacktracesResponse } from '../../../src/gen/querier/v1/querier_pb.ts';
import { smallPprof } from '../../support/small-pprof.ts';
import { startRealServer, type RealServer } from '../port.ts';
import { httpOf } from './push-bench.ts';
import { QUERY_ROWS, type QueryRow } from './query-rows.ts';
import { RAW_WAYS, RawClient, type RawAnswer, type RawWay } from './raw-ways.ts';

let server: RealServer;
let client: RawClient;
beforeAll(async () => {
  server = await startRealServer({}, { flushLingerMs: 0 });
  client = new RawClient(server.port);
  const path = '/ingest?format=pprof&name=xb';
  const { status } = await client.http('1.1', 'POST', path, {}, smallPprof());
  if (status !== 200) throw new Error(`nothing to ask for: ${status}`);
});
afterAll(async () => {
  client.close();
  await server.stop();
});

test.each(
  QUERY_ROWS.map(
    (row) => [row.row, row.what, row.method.name, row.refused?.[0] ?? 'answered', row] as const,
  ),
)('row %s: %s to %s is %s', async (_row, _what, _method, _outcome, row) => {
  const ways = RAW_WAYS.filter(({ codec }) => row.on === undefined || codec === row.on);
  const cpuBefore = process.cpuUsage();
  await Promise.all(
    ways.map(async (way) => {
      const name = `${row.method.parent.typeName}/${row.method.name}`;
      expectAnswer(row, way, await client.call(way, name, requestOf(row, way)));
    }),
  );
  // Ten calls; what backtracks or unfolds takes minutes.
  expect(process.cpuUsage(cpuBefore).user).toBeLessThan(5_000_000);
});

function requestOf({ method, request, on }: QueryRow, { codec }: RawWay): Uint8Array {
  if (on === 'json') return Buffer.from(JSON.stringify(request));
  const message = fromJson(method.input, request);
  return codec === 'proto'
    ? toBinary(method.input, message)
    : Buffer.from(JSON.stringify(toJson(method.input, message)));
}

function expectAnswer(row: QueryRow, way: RawWay, answer: RawAnswer): void {
  if (row.refused !== undefined) {
    const [reason, says] = row.refused;
    expect([way.name, answer.code, answer.http, answer.message]).toEqual([
      way.name,
      Code.InvalidArgument,
      httpOf(way, Code.InvalidArgument),
      expect.stringMatching(new RegExp(`^${reason}: .*${says.source}`, 's')),
    ]);
    expect(answer.message.length).toBeLessThan(400);
    return;
  }
  expect([way.name, answer.code, answer.http]).toEqual([way.name, 0, 200]);
  if (row.total === undefined) return;
  const { output } = row.method;
  const message =
    way.codec === 'proto'
      ? fromBinary(output, answer.body)
      : fromJsonString(output, answer.body.toString());
  expect([way.name, totalOf(message as MergeResponse | SelectMergeStacktracesResponse)]).toEqual([
    way.name,
    row.total,
  ]);
}

function totalOf(message: MergeResponse | SelectMergeStacktracesResponse): bigint {
  if (message.$typeName === 'querier.v1.SelectMergeStacktracesResponse') {
    return message.flamegraph?.total ?? 0n;
  }
  return message.exactness?.total ?? 0n;
}
