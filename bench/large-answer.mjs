/**
 * Large answers to a reader that is slow: how much the memory of a server grows, over Connect, in binary and in
 * JSON, gRPC and `GET /pprof`, and with the largest flame graph and tree that may be asked for.
 *
 *     npm run build && node bench/large-answer.mjs [--quick] [--tiny] [--stacks 200000] [--depth 600] [--own 7] [way ...]
 *
 * Starts `tephra serve` in a process of its own, pushes stacks of that depth, each with so many nodes of its
 * own, starts it again (what pushes leave behind must not hide what queries take), and asks for one push of
 * them, in the same form: the dictionary is loaded then, with its names if they are asked for, and that is the
 * baseline. Then each way asks for all of them, reads
 * nothing for 10 s, and goes on at 20 MB/s. RSS is taken each 50 ms. All ways of one form must give the
 * same bytes. Loopback only; ends by itself, with exit code 1 if a growth is over 64 MB. `--quick`: small;
 * `--tiny`: smaller, by one server and without waiting for it, to see that it runs.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { startServer } from './own-server.mjs';
import { ProtoWriter } from './proto-writer.mjs';
import { seededUnit } from './random.mjs';

const args = process.argv.slice(2);
const option = (name, otherwise) => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(args.splice(at, 2)[1]);
};
const tiny = args.includes('--tiny');
const quick = tiny || args.includes('--quick');
const STACKS = option('stacks', tiny ? 2_000 : quick ? 20_000 : 200_000);
const DEPTH = option('depth', tiny ? 100 : 600);
const OWN = option('own', 7);
const STALL_MS = option('stall', tiny ? 20 : quick ? 500 : 10_000);
const BYTES_PER_SECOND = option('rate', quick ? 100e6 : 20e6);
const only = args.filter((arg) => !arg.startsWith('--'));
const GROWTH_MB_MOST = 64;
const LOCATIONS = 8_650;
const STACKS_A_PUSH = 1_000;
const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const MINUTE_MS = 60_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const folder = mkdtempSync(join(tmpdir(), 'tephra-large-'));
const startMs = Math.floor((Date.now() - 30 * MINUTE_MS) / MINUTE_MS) * MINUTE_MS;
let server;
let port;

async function start() {
  ({ server, port } = await startServer(join(folder, 'data')));
}

/** Waits until the server has done what it had to do: no more than 3 % of a core for two seconds. */
async function settled() {
  if (tiny) return;
  const ticks = () => {
    const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return Number(fields[11]) + Number(fields[12]);
  };
  for (let before = ticks(), tries = 0; tries < 60; tries++) {
    await sleep(2_000);
    const now = ticks();
    if (now - before <= 6) return;
    before = now;
  }
}

async function stop() {
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGTERM');
  await ended;
}

const statusMb = (field) => {
  const text = readFileSync(`/proc/${server.pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)[1]) / 1_024;
};

/** Sends a message and resolves with what `read` makes of the response. */
function post(path, type, body, read) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': type, 'content-length': body.length };
    const method = body.length === 0 ? 'GET' : 'POST';
    const request = http.request({ port, path, method, headers }, (response) => {
      if (response.statusCode === 200) {
        resolve(read(response));
        return;
      }
      const refused = (bytes) => reject(new Error(`${path}: ${bytes.toString()}`));
      collect(response).then(refused, reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** Reads nothing for a while, then so many bytes a second; resolves with how many there were and their hash. */
async function slowly(stream, through = stream) {
  const hash = createHash('sha256');
  let bytes = 0;
  let first = true;
  let due = 0;
  await sleep(STALL_MS);
  if (through !== stream) stream.pipe(through);
  for await (const part of through) {
    if (first) due = performance.now();
    first = false;
    hash.update(part);
    bytes += part.length;
    due += (part.length / BYTES_PER_SECOND) * 1_000;
    const waitMs = due - performance.now();
    if (waitMs > 5) await sleep(waitMs);
  }
  return { bytes, hash: hash.digest('hex').slice(0, 12) };
}

const request = (selector, more = (m) => m) =>
  more(
    new ProtoWriter(256)
      .text(1, TYPE)
      .text(2, selector)
      .uint(3, BigInt(startMs))
      .uint(4, BigInt(startMs + 2 * MINUTE_MS)),
  ).finish();
const ALL = '{service_name="large"}';
const QUERIER = '/querier.v1.QuerierService/';
const connect = (method, body) => post(`${QUERIER}${method}`, 'application/proto', body, slowly);

/** The one message of a gRPC answer, without its five bytes. */
async function grpc(method, body) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const stream = session.request({
    ':method': 'POST',
    ':path': `${QUERIER}${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  stream.end(Buffer.concat([head, body]));
  let status;
  stream.on('trailers', (trailers) => (status = trailers['grpc-status']));
  const hash = createHash('sha256');
  let bytes = -5;
  let due = 0;
  await sleep(STALL_MS);
  for await (const part of stream) {
    if (due === 0) due = performance.now();
    hash.update(bytes < 0 ? part.subarray(5) : part);
    bytes += part.length;
    due += (part.length / BYTES_PER_SECOND) * 1_000;
    const waitMs = due - performance.now();
    if (waitMs > 5) await sleep(waitMs);
  }
  session.close();
  if (status !== '0') throw new Error(`grpc-status ${status}`);
  return { bytes, hash: hash.digest('hex').slice(0, 12) };
}

const jsonRequest = () =>
  Buffer.from(
    JSON.stringify({
      profileTypeID: TYPE,
      labelSelector: ALL,
      start: String(startMs),
      end: String(startMs + 2 * MINUTE_MS),
    }),
  );
const nodes = (format) => (m) => m.uint(5, 1_048_576).uint(6, format);
const pprofUrl = () => {
  const query = encodeURIComponent(`${TYPE}${ALL}`);
  return `/pprof?query=${query}&from=${startMs}&until=${startMs + 2 * MINUTE_MS}`;
};
/** By name: the form of the answer, and how it is asked for. */
const WAYS = {
  connect: ['pprof', () => connect('SelectMergeProfile', request(ALL))],
  grpc: ['pprof', () => grpc('SelectMergeProfile', request(ALL))],
  'get-pprof': [
    'pprof',
    () => post(pprofUrl(), '', Buffer.alloc(0), (body) => slowly(body, createGunzip())),
  ],
  json: [
    'pprof in JSON',
    () => post(`${QUERIER}SelectMergeProfile`, 'application/json', jsonRequest(), slowly),
  ],
  'flame-graph': ['flame graph', () => connect('SelectMergeStacktraces', request(ALL, nodes(1)))],
  tree: ['tree', () => connect('SelectMergeStacktraces', request(ALL, nodes(2)))],
};
const STACKTRACES = `${QUERIER}SelectMergeStacktraces`;
/** Forms by function names, and their numbers: the dictionary has to fold its frames to names once. */
const FORMS = { 'flame graph': 1, tree: 2 };

/** Stacks, leaf first, each leaving an older one some frames before its leaf. */
function* stacksOf() {
  const random = seededUnit(7);
  const below = (n) => Math.floor(random() * n);
  const stacks = [];
  for (let i = 0; i < STACKS; i++) {
    const stack = new Uint16Array(DEPTH);
    const tail = i === 0 ? DEPTH : 1 + below(2 * OWN - 1);
    if (i > 0) stack.set(stacks[below(stacks.length)]);
    for (let at = 0; at < tail; at++) stack[at] = below(LOCATIONS);
    stacks.push(stack);
    yield stack;
  }
}

/** A pprof of some stacks; locations, functions and lines are the same in each. */
function profileOf(stacks) {
  const w = new ProtoWriter(stacks.length * DEPTH * 3 + LOCATIONS * 64);
  w.message(1, (m) => m.uint(1, 1).uint(2, 2));
  for (const stack of stacks) {
    w.message(2, (m) =>
      m
        .packed(
          1,
          [...stack].map((id) => id + 1),
        )
        .packed(2, [10_000_000]),
    );
  }
  for (let id = 1; id <= LOCATIONS; id++) {
    w.message(4, (m) => m.uint(1, id).message(4, (line) => line.uint(1, id).uint(2, id % 900)));
  }
  for (let id = 1; id <= LOCATIONS; id++) w.message(5, (m) => m.uint(1, id).uint(2, id + 2));
  w.text(6, '').text(6, 'cpu').text(6, 'nanoseconds');
  for (let id = 1; id <= LOCATIONS; id++) {
    w.text(6, `github.com/shop/internal/package${id % 97}.(*Handler${id % 1_013}).method${id}`);
  }
  w.uint(9, BigInt(startMs) * 1_000_000n).uint(10, 10_000_000_000n);
  w.message(11, (m) => m.uint(1, 1).uint(2, 2)).uint(12, 10_000_000);
  return w.finish();
}

async function push(number, stacks) {
  const payload = profileOf(stacks);
  const labels = { __name__: 'process_cpu', service_name: 'large', part: String(number) };
  const body = new ProtoWriter(payload.length + 512);
  body.message(1, (series) => {
    for (const [name, value] of Object.entries(labels)) {
      series.message(1, (label) => label.text(1, name).text(2, value));
    }
    series.message(2, (sample) => sample.bytes(1, payload));
  });
  await post('/push.v1.PusherService/Push', 'application/proto', body.finish(), collect);
  return payload.length;
}

/** RSS each 50 ms while `work` runs, and the kernel's own mark of the most. */
async function watched(work) {
  const samples = [];
  // Sets the kernel's mark to what there is now.
  writeFileSync(`/proc/${server.pid}/clear_refs`, '5');
  const timer = setInterval(() => samples.push(statusMb('VmRSS')), 50);
  try {
    return { ...(await work()), most: Math.max(statusMb('VmHWM'), ...samples), samples };
  } finally {
    clearInterval(timer);
  }
}

let failed = false;
try {
  await start();
  const began = performance.now();
  let stacks = [];
  let pushed = 0;
  let pushes = 0;
  for (const stack of stacksOf()) {
    stacks.push(stack);
    if (stacks.length < STACKS_A_PUSH) continue;
    pushed += await push(pushes++, stacks);
    stacks = [];
  }
  const seconds = ((performance.now() - began) / 1_000).toFixed(0);
  console.log(`${STACKS} stacks of depth ${DEPTH}, ${OWN} nodes of each its own`);
  console.log(`pushed ${(pushed / 1e6).toFixed(0)} MB in ${pushes} profiles, ${seconds} s`);
  await settled();
  await stop();
  await start();
  await settled();

  const hashes = new Map();
  for (const [way, [form, ask]] of Object.entries(WAYS)) {
    if (only.length > 0 && !only.includes(way)) continue;
    // Each way has a process of its own: nothing that an earlier one left may serve it.
    if (!tiny) {
      await stop();
      await start();
    }
    const one = '{service_name="large",part="1"}';
    await post(`${QUERIER}SelectMergeProfile`, 'application/proto', request(one), collect);
    await settled();
    const loaded = statusMb('VmRSS');
    if (form in FORMS) {
      await post(STACKTRACES, 'application/proto', request(one, nodes(FORMS[form])), collect);
      await settled();
    }
    const before = statusMb('VmRSS');
    const { bytes, hash, most, samples } = await watched(ask);
    const left = readdirSync(join(folder, 'data')).includes('answers')
      ? readdirSync(join(folder, 'data', 'answers')).length
      : 0;
    const growth = most - before;
    const same = (hashes.get(form) ?? hash) === hash && left === 0;
    hashes.set(form, hash);
    const over = growth > GROWTH_MB_MOST;
    failed ||= over || !same;
    console.log(
      `${way}: ${(bytes / 1e6).toFixed(1)} MB (${hash}); RSS before ${before.toFixed(0)} MB ` +
        `(names +${(before - loaded).toFixed(0)}), ` +
        `most +${growth.toFixed(0)} MB, at the end +${(samples.at(-1) - before).toFixed(0)} MB` +
        `${over ? ` (over ${GROWTH_MB_MOST})` : ''}${same ? '' : ' DIFFERS'}`,
    );
  }
  await stop();
} finally {
  server.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
