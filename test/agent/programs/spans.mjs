/**
 * A program with the OpenTelemetry SDK and the agent in it: `fork('spans.mjs', [TEPHRA_URL, SERVICE, SPANS])`,
 * SPANS being `true`, or `default`. Two spans and work outside of any take turns, in callbacks of all
 * kinds. Sends back the ids of the spans, what the agent said, and whether all is stored.
 */
import { context, trace } from '@opentelemetry/api';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { start, stop } from '../../../dist/agent/index.js';

const [url, service, spans] = process.argv.slice(2);
const lines = [];
const log = { info: (text) => lines.push(text), warn: (text) => lines.push(text) };
await start({ url, service, log, heap: false, ...(spans === 'true' ? { spans: true } : {}) });
// As in a program that imports the agent first: the SDK comes later.
new NodeTracerProvider().register();
await pause(700);

const tracer = trace.getTracer('test');
const until = performance.now() + 2_000;
const works = [
  tracer.startActiveSpan('first', (span) => keepBusy(computeInFirst, span)),
  tracer.startActiveSpan('second', (span) => keepBusy(computeInSecond, span)),
  keepBusy(computeOutside),
];
const [first, second] = await Promise.all(works);
const isStored = await stop(10_000);
// Tracing goes on without the agent.
const answer = tracer.startActiveSpan('late', () => 42);
process.send({ first, second, isStored, lines, answer });
process.disconnect();

async function keepBusy(compute, span) {
  while (performance.now() < until) {
    compute();
    await pause(0);
    compute();
    await Promise.resolve();
    compute();
    // A span may be left for a while.
    if (span !== undefined) context.with(trace.deleteSpan(context.active()), computeOutside);
    await new Promise((resolve) => setImmediate(() => resolve(compute())));
  }
  span?.end();
  return span?.spanContext();
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function computeInFirst() {
  burn();
}

function computeInSecond() {
  burn();
}

function computeOutside() {
  burn();
}

function burn() {
  for (const end = performance.now() + 4; performance.now() < end;) Math.sqrt(end);
}
