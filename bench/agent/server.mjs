/**
 * The server of main.mjs: handles orders, and takes turns in what profiles it. `fork('server.mjs', [URL])`;
 * answers each `{kind, warm, count}` with the CPU of each of so many requests, `{flushes, cold}` with the cost of a
 * flush of what it saw in `{recordMs}`.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createServer } from 'node:http';
import { context, trace } from '@opentelemetry/api';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { heapParts, timeParts } from '../../dist/agent/convert.js';
import { hasContextFrame } from '../../dist/agent/context.js';
import { loadProfiler } from '../../dist/agent/profiler.js';
import { startAgent } from '../../dist/agent/start.js';
import { systemTimers } from '../../dist/base/clock.js';
import { systemRandom } from '../../dist/base/random.js';
import { SampleStream } from '../../dist/client/stream/stream.js';
import { handleOrder } from '../../examples/shop.mjs';
import { spread } from '../spent.mjs';

const AWAITS = 10;
const [, , url] = process.argv;
const profiler = await loadProfiler();
const useCPED = hasContextFrame();
// The program has its own, as most have, so that what Node does for these is not on our account.
const requestIds = new AsyncLocalStorage();
new NodeTracerProvider().register();
const tracer = trace.getTracer('bench');

let agent;
let requests = 0;
let wanted;
let isTraced = false;
let hasLabels = false;
let recorded;

const server = createServer((incoming, response) => {
  if (++requests === wanted?.requests) wanted.resolve();
  requestIds.run({ id: requests }, () => {
    if (isTraced) tracer.startActiveSpan('order', (span) => label(incoming, response, span));
    else label(incoming, response);
  });
});

function label(incoming, response, span) {
  if (!hasLabels) void handle(incoming, response, span);
  else agent.withLabels({ endpoint: incoming.url }, () => handle(incoming, response, span));
}

/** As handlers are: some work, and a few waits for promises and callbacks. */
async function handle(incoming, response, span) {
  const order = Number(incoming.headers['x-order']);
  let length = handleOrder(order, false);
  for (let i = 0; i < AWAITS; i++) length += await lookUp(i);
  await new Promise((resolve) => setImmediate(resolve));
  if (span !== undefined) context.with(trace.setSpan(context.active(), span), () => span.end());
  response.end(String(length + handleOrder(7, false)));
}

async function lookUp(i) {
  return i;
}

server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit());
process.on('message', (question) => {
  void answerTo(question).then((answer) => process.send(answer));
});

function answerTo(question) {
  if (question.recordMs !== undefined) return record(question);
  return question.flushes === undefined ? runSlice(question) : ownCost(question);
}

async function runSlice({ kind, warm, count }) {
  await begin(kind);
  await handled(warm);
  const cpu = process.cpuUsage();
  await handled(count);
  const { user, system } = process.cpuUsage(cpu);
  await end(kind);
  return { cpuUs: (user + system) / count };
}

/** Resolves when so many requests more have come. */
function handled(count) {
  return new Promise((resolve) => {
    wanted = { requests: requests + count, resolve };
  });
}

async function begin(kind) {
  if (kind.startsWith('profiler')) startProfiler();
  if (kind.startsWith('agent')) {
    const spans = kind.includes('spans');
    agent = await startAgent({ url, service: 'overhead', spans, log: console });
  }
  isTraced = kind.includes('traced');
  hasLabels = kind.includes('labels');
}

async function end(kind) {
  isTraced = false;
  hasLabels = false;
  if (kind.startsWith('profiler')) stopProfiler();
  await agent?.stop();
  agent = undefined;
}

function startProfiler() {
  profiler.time.start({
    intervalMicros: 10_000,
    durationMillis: 120_000,
    withContexts: true,
    collectCpuTime: true,
    useCPED,
  });
  profiler.heap.start(512 * 1024, 64);
}

function stopProfiler() {
  const memory = profiler.heap.profile();
  profiler.heap.stop();
  return { wall: profiler.time.stop(false, () => ({})), memory };
}

/** What a flush would have: profiles of the server while it is busy. */
async function record({ recordMs }) {
  startProfiler();
  await pause(recordMs);
  recorded = stopProfiler();
  return {};
}

/** CPU of what the agent does with them, again and again; nobody asks the server meanwhile. */
async function ownCost({ flushes, cold }) {
  const { wall, memory } = recorded;
  const stream = new SampleStream(
    { url, tls: {}, headers: {} },
    { labels: { service_name: 'own' } },
    { timers: systemTimers, random: systemRandom },
  );
  const costs = [];
  let entries = 0;
  for (let flush = 0; flush < flushes; flush++) {
    const before = process.cpuUsage();
    const taken = { startMs: Date.now(), durationMs: 15_000 };
    const parts = [
      ...timeParts(wall, stream.tables, {}, taken),
      ...heapParts(memory, stream.tables, {}, { ...taken, durationMs: 0 }),
    ];
    stream.write(parts);
    await stream.flush(10_000);
    const { user, system } = process.cpuUsage(before);
    costs.push((user + system) / 1_000);
    entries = parts.reduce((sum, { stacks }) => sum + stacks.length, 0);
  }
  await stream.close(1_000);
  // The first ones connect, and are not compiled yet.
  return { flushMs: spread(costs.slice(cold)).median, entries };
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
