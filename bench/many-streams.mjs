/**
 * Thousands of agents at once: 2,000 streams from one process, each a batch a second for a minute; 50 of
 * them stall (they send half a message and then nothing) and 50 never read what the server says.
 *
 *     npm run bench:many-streams [-- --streams 2000] [--warm-up 75] [--seconds 60] [--quick]
 *
 * Told are the server's memory before any stream, with all open, and at most in each third, its CPU, and how
 * long the acks of the others took. The thirds begin after a warm-up, in which LevelDB fills the write buffer
 * of the raw volume and hands it on for the first time: until it has filled two (`LIMITS.rawBufferBytes`, 16 MiB
 * each, of 0.5 MB a second at this load), memory grows by what is written. Before that V8 has collected in
 * full a few times, and the head was absorbed, at 512 fragments of a service, each few seconds.
 *
 * Ends with 1 where a well-behaved stream is not acknowledged in full, or where memory is not flat: in the
 * last third at most a tenth and 16 MB more than in the second.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { StreamResponseSchema } from '../dist/gen/tephra/v1/stream_pb.js';
import { serve } from './load/server.mjs';
import { ProtoWriter } from './proto-writer.mjs';
import { heading, numberFlag, single } from './spent.mjs';

const quick = process.argv.includes('--quick') || process.argv.includes('--tiny');
const STREAMS = numberFlag('streams', quick ? 40 : 2_000);
const SECONDS = numberFlag('seconds', quick ? 3 : 60);
const WARM_UP = numberFlag('warm-up', quick ? 0 : 75);
/** How long all are open and idle before the first batch. */
const IDLE_MS = quick ? 100 : 10_000;
const ODD = Math.min(50, Math.floor(STREAMS / 8));
const PER_CONNECTION = 100;
const ENTRIES = 20;
/** Of each so many streams the first two are odd. */
const KINDS = ['stalled', 'unread'];
const MB = 1_000_000;
/** Memory may differ by this much between thirds: garbage is collected when it pleases. */
const FLAT_BYTES = 16 * MB;
const FLAT_SHARE = 0.1;

const server = await serve(['--max-connection-rate', '1000']);
console.log(heading(`${STREAMS} streams, ${ODD} stalled, ${ODD} never reading`));
await sleep(IDLE_MS);
const empty = server.memory();
const streams = [];
for (let first = 0; first < STREAMS; first += PER_CONNECTION) {
  const session = connect(server.url);
  session.on('error', () => {});
  for (let i = first; i < Math.min(STREAMS, first + PER_CONNECTION); i++) {
    const kind = KINDS[i % Math.floor(STREAMS / ODD)] ?? 'good';
    streams.push(openStream(session, i, kind));
  }
  await sleep(50);
}
const good = streams.filter(({ kind }) => kind === 'good');
await Promise.all(good.map(({ welcome }) => welcome));
await sleep(IDLE_MS);
const before = server.memory();
const cpuBefore = server.cpuMs();
const started = performance.now();
let warming = 0;
const thirds = [0, 0, 0];
const watch = setInterval(() => {
  const { nowBytes } = server.memory();
  const second = (performance.now() - started) / 1_000 - WARM_UP;
  if (second < 0) {
    warming = Math.max(warming, nowBytes);
    return;
  }
  const third = Math.min(2, Math.floor((second / SECONDS) * 3));
  thirds[third] = Math.max(thirds[third], nowBytes);
}, 500);
await Promise.all(streams.map((stream, i) => sendEverySecond(stream, i)));
for (let waited = 0; waited < 200; waited++) {
  if (good.every((one) => one.settled === one.sent)) break;
  await sleep(100);
}
clearInterval(watch);
const cpuMs = server.cpuMs() - cpuBefore;
const sent = good.reduce((sum, stream) => sum + stream.sent, 0);
const behind = good.filter((stream) => stream.settled < stream.sent || stream.ended).length;
const latencies = good.flatMap((stream) => stream.latencies).sort((a, b) => a - b);
const at = (quantile) => latencies[Math.floor(quantile * (latencies.length - 1))] ?? Number.NaN;

console.log(single('batches sent and acknowledged', sent, '', 0));
console.log(single('streams not acknowledged in full', behind, '', 0));
console.log(single('ack, p50', at(0.5), 'ms', 1));
console.log(single('ack, p99', at(0.99), 'ms', 1));
console.log(single('ack, most', at(1), 'ms', 1));
console.log(single('CPU of the server a batch', (cpuMs * 1_000) / sent, 'us', 0));
const idle = (before.nowBytes - empty.nowBytes) / STREAMS;
console.log(single('resident, no stream open', empty.nowBytes / MB, 'MB', 0));
console.log(single('resident, all open, nothing sent', before.nowBytes / MB, 'MB', 0));
console.log(single('an idle stream', idle / 1_000, 'kB', 1));
console.log(single('resident at most, warm-up', warming / MB, 'MB', 0));
for (const [i, bytes] of thirds.entries()) {
  console.log(single(`resident at most, third ${i + 1}`, bytes / MB, 'MB', 0));
}
const grown = thirds[2] - thirds[1];
const isFlat = grown <= FLAT_SHARE * thirds[1] + FLAT_BYTES;
console.log(single('more in the last third', grown / MB, 'MB', 0));
console.log(`${isFlat ? 'flat' : 'not flat'}, ${behind === 0 ? 'all' : 'not all'} acknowledged`);
if (behind > 0 || (!quick && !isFlat)) process.exitCode = 1;
for (const { close } of streams) close();
await server.stop();
process.exit();

/** One stream over raw HTTP/2, so that a client that does not read really does not. */
function openStream(session, index, kind) {
  const request = session.request({
    ':method': 'POST',
    ':path': '/tephra.v1.IngestService/Stream',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const stream = {
    kind,
    request,
    sent: 0,
    settled: 0,
    ended: false,
    latencies: [],
    sentMs: [],
    close: () => session.destroy(),
  };
  let rest = Buffer.alloc(0);
  stream.welcome = new Promise((resolve) => {
    if (kind === 'unread') return;
    request.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        const { message } = fromBinary(StreamResponseSchema, rest.subarray(5, end));
        rest = rest.subarray(end);
        if (message.case === 'welcome') resolve();
        else settle(stream, Number(message.value.settled));
      }
    });
  });
  request.on('error', () => {});
  request.on('close', () => (stream.ended = true));
  request.write(framed(openMessage(index)));
  return stream;
}

function settle(stream, settled) {
  const now = performance.now();
  while (stream.settled < settled) stream.latencies.push(now - stream.sentMs[stream.settled++]);
}

async function sendEverySecond(stream, index) {
  // Each at its own moment of the second.
  await sleep((index / STREAMS) * 1_000);
  for (let second = 0; second < WARM_UP + SECONDS && !stream.ended; second++) {
    const due = started + (index / STREAMS + second) * 1_000;
    await sleep(Math.max(0, due - performance.now()));
    const bytes = framed(batchMessage(second + 1, index));
    if (stream.kind === 'stalled' && second === 2) {
      stream.request.write(bytes.subarray(0, bytes.length >> 1));
      return;
    }
    stream.sentMs.push(performance.now());
    stream.sent++;
    stream.request.write(bytes);
  }
}

function framed(message) {
  const frame = Buffer.alloc(5 + message.byteLength);
  frame.writeUInt32BE(message.byteLength, 1);
  frame.set(message, 5);
  return frame;
}

function openMessage(index) {
  const instance = createHash('md5').update(`${process.pid}-${index}`).digest();
  const labels = [
    ['service_name', `many-${index % 10}`],
    ['pod', `pod-${index}`],
  ];
  return new ProtoWriter(256)
    .message(1, (open) => {
      open.uint(1, 1).bytes(2, instance);
      for (const [name, value] of labels) {
        open.message(4, (label) => label.text(1, name).text(2, value));
      }
      open.uint(5, 1);
    })
    .finish();
}

function batchMessage(sequence, index) {
  return new ProtoWriter(1_024)
    .message(2, (batch) => {
      batch.uint(1, sequence).uint(2, 1);
      if (sequence === 1) batch.message(3, writeAdditions);
      batch.message(4, (part) => {
        // Each stack id is one more than that before, and 1 is 2 as a zigzag.
        const ids = Array.from({ length: ENTRIES }, () => 2);
        part.uint(1, 1).uint(2, Date.now()).uint(3, 1_000);
        part.packed(4, ids);
        part.packed(
          5,
          ids.map((_, i) => 1 + ((i * 7 + index) % 5)),
        );
      });
    })
    .finish();
}

/** A function and a stack for each entry, all under one root. */
function writeAdditions(additions) {
  const names = Array.from({ length: ENTRIES }, (_, i) => `work${i}`);
  additions.uint(1, 1);
  for (const name of names) additions.text(2, name);
  additions.uint(3, 1).message(4, (frames) =>
    frames.packed(
      1,
      names.map((_, i) => i + 1),
    ),
  );
  additions.uint(5, 1);
  additions.packed(
    6,
    names.map(() => 0),
  );
  additions.packed(
    7,
    names.map((_, i) => i + 1),
  );
  additions.uint(8, 1).message(9, (series) => {
    series.message(2, (type) => {
      type.text(1, 'process_cpu:cpu:nanoseconds:cpu:nanoseconds').uint(2, 10_000_000);
    });
  });
}
