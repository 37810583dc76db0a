/**
 * Streams of samples against a server of our own (`tephra serve` over a data directory, absorb running):
 * what the server's process spends an entry, from the first batch until all are acknowledged.
 *
 *     npm run bench:stream [-- --seconds N] [--warmup N] [--streams N] [--entries N] [--workers N] [--quick]
 *
 * One batch is one series and minute: 537 entries of 2,438 stacks, one column of counts read by two types.
 * Acknowledgements are awaited and durable; at the end the sum of all values is asked for and compared. Batches are
 * not sent by `tephradb/client`: they are made beforehand, so that making them takes no core from the server.
 */
import assert from 'node:assert';
import { randomBytes } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import { connect } from 'tephradb/client';
import { StreamRequestSchema, StreamResponseSchema } from '../dist/gen/tephra/v1/stream_pb.js';
import { seededRandom } from '../dist/base/random.js';
import { serve } from './load/server.mjs';
import { heading, numberFlag, single } from './spent.mjs';

const quick = process.argv.includes('--quick');
const SECONDS = numberFlag('seconds', quick ? 0.5 : 10);
const STREAMS = numberFlag('streams', quick ? 2 : 8);
/** Until the code is compiled and each agent has sent its tables. */
const WARMUP_MS = 1_000 * numberFlag('warmup', quick ? 0.2 : 10);
const ENTRIES = numberFlag('entries', 537);
const STACKS = Math.max(2_438, 2 * ENTRIES);
const BODIES = 32;
const TYPES = [
  'process_cpu:samples:count:cpu:nanoseconds',
  'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
];
const random = seededRandom(7);
const below = (end) => Math.floor((random.u32() / 2 ** 32) * end);

const server = await serve(['--workers', String(numberFlag('workers', 1))]);
const address = server.url.replace(/^http:\/\//, '');
console.log(heading(`stream, ${STREAMS} streams, ${ENTRIES} entries a batch`));
const streams = await Promise.all(Array.from({ length: STREAMS }, (_, i) => open(i)));
await run(WARMUP_MS);
const before = {
  cpuMs: server.cpuMs(),
  threads: server.threads(),
  sent: sum('settled'),
  bytes: sum('bytes'),
  written: server.written(),
};
const startedMs = performance.now();
await run(SECONDS * 1_000);
await Promise.all(streams.map((stream) => stream.idle()));
const wallMs = performance.now() - startedMs;
const cpuMs = server.cpuMs() - before.cpuMs;
const threads = [...server.threads()].map(([id, ms]) => [id, ms - (before.threads.get(id) ?? 0)]);
const batches = sum('settled') - before.sent;
const entries = batches * ENTRIES;
console.log(single('batches acknowledged', batches, '', 0));
console.log(single('bytes an entry on the wire', (sum('bytes') - before.bytes) / entries, 'B'));
const written = server.written() - before.written;
console.log(single('bytes written to the disk a batch', written / batches, 'B', 0));
console.log(single('CPU of the server a batch', (1_000 * cpuMs) / batches, 'us', 1));
const mainMs = threads.find(([id]) => id === 'main')[1];
const otherMs = threads.filter(([id]) => id !== 'main').map(([, ms]) => ms);
const workerMs = Math.max(...otherMs);
console.log(single('  of its main thread', (1_000 * mainMs) / batches, 'us', 1));
console.log(single('  of its busiest worker', (1_000 * workerMs) / batches, 'us', 1));
const restMs = otherMs.reduce((total, ms) => total + ms, 0) - workerMs;
console.log(single('  of all other threads', (1_000 * restMs) / batches, 'us', 1));
console.log(single('entries a second and core', entries / cpuMs / 1_000, 'M'));
console.log(single('entries a second, wall', entries / wallMs / 1_000, 'M'));
console.log(single('cores of the server in use', cpuMs / wallMs, ''));
await compare();
await Promise.all(streams.map((stream) => stream.close()));
await server.stop();

function sum(field) {
  return streams.reduce((total, stream) => total + stream[field], 0);
}

async function run(ms) {
  const endMs = performance.now() + ms;
  await Promise.all(streams.map((stream) => stream.until(endMs)));
}

/** One agent: a connection, a stream, bodies of batches that it sends in turn. */
async function open(index) {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  const asIs = (bytes) => bytes;
  const call = client.makeBidiStreamRequest('/tephra.v1.IngestService/Stream', asIs, asIs);
  let window;
  let wake = () => {};
  let next = 1;
  const told = () => new Promise((resolve) => (wake = resolve));
  const stream = { settled: 0, bytes: 0, value: 0 };
  call.on('data', (bytes) => {
    const { message } = fromBinary(StreamResponseSchema, bytes);
    assert.strictEqual(message.value.refused?.length ?? 0, 0);
    window = message.value.window;
    stream.settled = Number(message.value.settled);
    wake();
  });
  call.on('error', (error) => {
    throw error;
  });
  const message = (value) =>
    Buffer.from(toBinary(StreamRequestSchema, create(StreamRequestSchema, { message: value })));
  const labels = [
    { name: 'service_name', value: 'bench' },
    { name: 'pod', value: `pod-${index}` },
  ];
  call.write(
    message({
      case: 'open',
      value: { version: 1, instance: randomBytes(16), agent: 'bench', labels, firstSequence: 1n },
    }),
  );
  await told();
  const frames = Array.from({ length: 1_500 }, (_, i) => `function${i}`);
  const additions = {
    firstString: 1,
    strings: frames,
    firstFrame: 1,
    frames: { function: frames.map((_, i) => i + 1) },
    firstStack: 1,
    stackParent: Array.from({ length: STACKS }, (_, i) => (i % 40 === 0 ? 0 : i)),
    stackFrame: Array.from({ length: STACKS }, (_, i) => 1 + ((i * 7 + (i % 40)) % 1_500)),
    firstSeries: 1,
    series: [
      {
        types: TYPES.map((profileType, t) => ({ profileType, period: t === 0 ? 0n : 10_000_000n })),
      },
    ],
  };
  const bodies = Array.from({ length: BODIES }, () => {
    const chosen = new Set();
    while (chosen.size < ENTRIES) chosen.add(1 + below(STACKS));
    const ids = [...chosen].sort((a, b) => a - b);
    const values = ids.map(() => BigInt(1 + Math.floor(below(1_000) ** 2 / 60_000)));
    const part = {
      series: 1,
      startMs: BigInt(Math.floor(Date.now() / 60_000) * 60_000),
      durationMs: 60_000,
      stackDelta: ids.map((id, i) => id - (ids[i - 1] ?? 0)),
      values,
      typeColumn: [0, 0],
      typeScale: [1n, 10_000_000n],
    };
    return { part, value: values.reduce((total, value) => total + Number(value), 0) };
  });
  /** Part as bytes; the rest of a message is made around it for each batch. */
  const encoded = bodies.map(({ part }) => {
    const whole = message({ case: 'batch', value: { parts: [part] } });
    return whole.subarray(whole.indexOf(0x22));
  });
  const sizes = [];
  let unsettledBytes = 0;
  const write = (bytes, value) => {
    sizes.push(bytes.length);
    unsettledBytes += bytes.length;
    stream.bytes += bytes.length;
    stream.value += value;
    next++;
    return call.write(bytes);
  };
  write(message({ case: 'batch', value: { sequence: 1n, epoch: 1, additions } }), 0);
  let forgotten = 0;
  const mayWrite = () => {
    while (forgotten < stream.settled) unsettledBytes -= sizes[forgotten++];
    return next - 1 - stream.settled < window.batches && unsettledBytes < Number(window.bytes);
  };
  return Object.assign(stream, {
    async until(endMs) {
      while (performance.now() < endMs) {
        while (mayWrite()) {
          const which = next % BODIES;
          const head = [0x08, ...varint(next), 0x10, 1];
          const size = head.length + encoded[which].length;
          const bytes = Buffer.concat([
            Buffer.from([0x12, ...varint(size), ...head]),
            encoded[which],
          ]);
          if (!write(bytes, bodies[which].value)) {
            await new Promise((done) => call.once('drain', done));
          }
        }
        await told();
      }
    },
    async idle() {
      while (stream.settled < next - 1) await told();
    },
    async close() {
      call.end();
      await new Promise((done) => call.once('end', done));
      client.close();
    },
  });
}

function varint(value) {
  const bytes = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** The sum of everything that was sent is what the server answers. */
async function compare() {
  const asked = connect({ url: server.url });
  const range = { selector: '{service_name="bench"}', to: Date.now() + 60_000 };
  for (const [t, profileType] of TYPES.entries()) {
    const { root, exactness } = await asked.tree({ profileType, ...range });
    const expected = BigInt(sum('value')) * (t === 0 ? 1n : 10_000_000n);
    assert.deepEqual([root.total, exactness.total], [expected, expected], profileType);
  }
  asked.close();
  console.log('the sum of all values is what was sent');
}
