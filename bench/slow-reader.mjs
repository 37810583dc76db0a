/**
 * A large answer to a reader that does not read: how much the server's memory grows beyond the answer.
 * `node --expose-gc bench/slow-reader.mjs [MB] [http1|http2|grpc]`, in one process with a fake engine, so
 * that what is measured is the port alone.
 */
import http from 'node:http';
import http2 from 'node:http2';

const ROOT = process.env.TEPHRA_BUILD ?? new URL('../dist/', import.meta.url).href;
const load = (path) => import(new URL(path, ROOT).href);
const { startServer } = await load('server/server.js');
const { systemClock, systemTimers } = await load('base/clock.js');
const { silentLogger } = await load('base/logger.js');
const { createMetrics } = await load('base/metrics.js');
const { NO_NOTES } = await load('query/request.js');

const megabytes = Number(process.argv[2] ?? 200);
const way = process.argv[3] ?? 'http1';
const rssMb = () => process.memoryUsage().rss / 1e6;
let answered;
const answer = () => {
  // One string table of many strings: valid protobuf (field 6 of google.v1.Profile, 1 MB each).
  const one = Buffer.concat([Buffer.from([0x32, 0xc0, 0x84, 0x3d]), Buffer.alloc(1_000_000, 97)]);
  const bytes = new Uint8Array(one.length * megabytes);
  for (let i = 0; i < megabytes; i++) bytes.set(one, i * one.length);
  globalThis.gc?.();
  answered = rssMb();
  return { bytes, notes: NO_NOTES };
};
const server = await startServer({
  engine: { pprof: async () => answer() },
  listen: { host: '127.0.0.1', port: 0 },
  clock: systemClock,
  timers: systemTimers,
  logger: silentLogger,
  metrics: createMetrics(),
});
const { port } = server.address;
const path = '/querier.v1.QuerierService/SelectMergeProfile';
const fields = { profileTypeID: 'a:b:c:d:e', labelSelector: '{}', start: '1', end: '2' };
const { toBinary, create } = await import('@bufbuild/protobuf');
const { SelectMergeProfileRequestSchema } = await load('gen/querier/v1/querier_pb.js');
const message = toBinary(
  SelectMergeProfileRequestSchema,
  create(SelectMergeProfileRequestSchema, { ...fields, start: 1n, end: 2n }),
);
if (way === 'http1') {
  const request = http.request({
    port,
    path,
    method: 'POST',
    headers: { 'content-type': 'application/proto' },
  });
  request.on('response', (response) => response.pause());
  request.on('error', () => {});
  request.end(message);
} else {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  const type = way === 'grpc' ? 'application/grpc' : 'application/proto';
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': type });
  stream.on('error', () => {});
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.end(way === 'grpc' ? Buffer.concat([head, message]) : message);
}
let most = 0;
for (let i = 0; i < 40; i++) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  if (answered !== undefined) most = Math.max(most, rssMb());
}
globalThis.gc?.();
const rest = rssMb();
process.stdout.write(
  `${way}: ${megabytes} MB answer; RSS with it ${answered.toFixed(0)} MB, ` +
    `most +${(most - answered).toFixed(0)} MB, resting +${(rest - answered).toFixed(0)} MB\n`,
);
process.exit(0);
