/**
 * A load over the wire, then questions about it:
 *
 *     npm run bench:load -- [--load fleet-100|one-30d] [--target URL] [--pids 12,13] [--folders DIR,DIR]
 *       [--via push|stream|both [--batch-minutes 1]] [--in-flight 64] [--rate PROFILES_A_SECOND] [--minutes N] [--runs 25] [--quick]
 *       [--json FILE] [--markdown FILE] [--keep-caches]
 *
 * Without `--target` it starts a Tephra of its own over a temporary directory. When all is sent it starts it
 * again without its cache of pages: what waits is then absorbed at once, and answers are read from the store.
 * `--keep-caches` leaves it alone. With `--target`, any server that speaks push.v1 and querier.v1
 * over Connect is measured; name its processes and folders to have its CPU, memory and disk told.
 * `--via both` sends the same to a server each, one after the other, and ends with an error unless both then give
 * equal trees, frames and points.
 * CPU a profile counts until everything is absorbed, the second start included; a server that is left alone
 * takes up to ten minutes for late data.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ask } from './ask.mjs';
import { assertEqual, contentsOf } from './compare.mjs';
import { LOADS } from './loads.mjs';
import { asMarkdown, asTable, resultOf } from './report.mjs';
import { sendByStream } from './send-stream.mjs';
import { send } from './send.mjs';
import { attach, serve, settled } from './server.mjs';

const SETTLED_WITHIN_MS = 15 * 60_000;

const { values } = parseArgs({
  options: {
    load: { type: 'string', default: 'fleet-100' },
    via: { type: 'string' },
    'batch-minutes': { type: 'string', default: '1' },
    target: { type: 'string' },
    pids: { type: 'string', default: '' },
    folders: { type: 'string', default: '' },
    'in-flight': { type: 'string', default: '64' },
    rate: { type: 'string' },
    minutes: { type: 'string' },
    runs: { type: 'string' },
    quick: { type: 'boolean', default: false },
    tiny: { type: 'boolean', default: false },
    json: { type: 'string' },
    markdown: { type: 'string' },
    'keep-caches': { type: 'boolean', default: false },
  },
});
const { tiny } = values;
const quick = values.quick || tiny;
const own = values.target === undefined;
const via = values.via ?? (quick && own ? 'both' : 'push');
const ways = via === 'both' ? ['push', 'stream'] : [via];
if (ways.length > 1 && !own) {
  console.error('--via both needs servers of its own');
  process.exit(2);
}
const makeLoad = LOADS[values.load];
if (makeLoad === undefined) {
  console.error(`--load is one of ${Object.keys(LOADS).join(', ')}`);
  process.exit(2);
}

const load = makeLoad(Date.now(), { quick, minutes: numberOr(values.minutes, undefined) });
const results = [];
for (const way of ways) results.push(await measure(way));
if (ways.length > 1) {
  assertEqual(results);
  console.log(`${ways.join(' and ')} give the same:`);
  for (const [what, is] of results[0].contents) console.log(`  ${what}  ${is}`);
}
const reports = results.map(({ result }) => result);
const json = reports.length === 1 ? reports[0] : reports;
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(json, null, 2));
if (values.markdown !== undefined) {
  writeFileSync(values.markdown, reports.map(asMarkdown).join('\n'));
}

/** Sends the load by one way and asks; with several ways also for what the server then holds. */
async function measure(way) {
  const server = own
    ? await serve(['--scrub-rate', '0'])
    : attach(values.target, list(values.pids).map(Number), list(values.folders));
  try {
    const cpuBefore = server.cpuMs();
    const sent = await sendLoad(way, server);
    let spentMs = server.cpuMs() - cpuBefore;
    const peakBytes = server.memory()?.peakBytes ?? 0;
    progress('waiting until everything is absorbed');
    // A start takes a second of CPU: a tiny run shows it once.
    const restarted = own && !values['keep-caches'] && (!tiny || way === 'push');
    const cpuThen = restarted ? 0 : server.cpuMs();
    if (restarted) await server.restart(['--page-cache', '0']);
    const done = quick ? false : await settled(server, SETTLED_WITHIN_MS);
    spentMs += server.cpuMs() - cpuThen;
    const disk = server.disk();
    const runs = numberOr(values.runs, tiny ? 1 : quick ? 2 : 25);
    const asked = await ask(load, { server, runs, warm: tiny ? 0 : 3, progress });
    const memory = server.memory();
    progress('');
    const result = resultOf({
      name: values.load,
      via: way,
      load,
      target: own ? 'Tephra' : values.target,
      sent,
      cpuMs: Number.isNaN(spentMs) ? undefined : spentMs,
      settled: done,
      memory: memory && { ...memory, peakBytes: Math.max(peakBytes, memory.peakBytes) },
      disk,
      asked,
    });
    console.log(asTable(result));
    return { result, contents: ways.length > 1 ? await contentsOf(load, server.url) : undefined };
  } finally {
    await server.stop();
  }
}

function sendLoad(way, server) {
  if (way === 'stream') {
    return sendByStream(load, { server, batchMinutes: Number(values['batch-minutes']), progress });
  }
  return send(load, {
    url: server.url,
    inFlight: Number(values['in-flight']),
    rate: numberOr(values.rate, undefined),
    progress,
  });
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

function numberOr(text, fallback) {
  return text === undefined ? fallback : Number(text);
}

function list(text) {
  return text.split(',').filter(Boolean);
}
