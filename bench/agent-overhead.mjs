/**
 * What the agent costs beyond its profiler, in CPU time of the process that it is in:
 * `npm run bench:agent [-- --seconds 30 --rounds 3] [--quick]`.
 *
 * A busy HTTP server answers one client without pause. Its CPU a request is measured without
 * anything, with `@datadog/pprof` alone (profiles are taken as often and thrown away), with the agent
 * streaming to a Tephra in another process, and with labels on every request. That ratio is as good as the
 * machine is quiet. So what the agent spends by itself is measured directly too: CPU of converting, encoding,
 * sending and waiting for the ack of one flush, while the process does nothing else.
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { heapParts, timeParts } from '../dist/agent/convert.js';
import { loadProfiler } from '../dist/agent/profiler.js';
import { startAgent } from '../dist/agent/start.js';
import { SampleStream } from '../dist/client/stream/stream.js';
import { systemTimers } from '../dist/base/clock.js';
import { systemRandom } from '../dist/base/random.js';
import { handleOrder } from '../examples/shop.mjs';
import { heading, line, numberFlag, single, spread } from './spent.mjs';

const quick = process.argv.includes('--quick');
const FLUSH_MS = quick ? 500 : 15_000;
const FLUSHES = quick ? 5 : 60;
const COLD_FLUSHES = quick ? 2 : 10;
const WARM_MS = quick ? 100 : 1_000;
const kinds = ['nothing', 'profiler', 'agent', 'agent with labels'];

const [, , role, childKind, childUrl, childSeconds] = process.argv;
if (role === 'child') await runChild(childKind, childUrl, Number(childSeconds));
else await runAll();

async function runAll() {
  const seconds = numberFlag('seconds', quick ? 0.5 : 30);
  const rounds = numberFlag('rounds', quick ? 1 : 3);
  const folder = mkdtempSync(join(tmpdir(), 'tephra-agent-'));
  const program = fileURLToPath(new URL('../bin/tephra.cjs', import.meta.url));
  const flags = ['serve', '--no-self-profile', '--listen', '127.0.0.1:0', '--data-dir', folder];
  const server = spawn(process.execPath, [program, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const address = await new Promise((resolve) => {
    server.stdout.on('data', (chunk) => {
      const found = /"address":"([^"]+)"/.exec(String(chunk))?.[1];
      if (found !== undefined) resolve(found);
    });
  });
  console.log(heading(`agent overhead, ${rounds} rounds of ${seconds} s`));
  const spent = Object.fromEntries(kinds.map((kind) => [kind, []]));
  let own;
  for (let round = 0; round < rounds; round++) {
    // All at once: what else the machine does meets all of them alike.
    const results = kinds.map(async (kind) => {
      const args = [
        'child',
        kind,
        `http://${address}`,
        String(seconds),
        ...(quick ? ['--quick'] : []),
      ];
      const child = fork(fileURLToPath(import.meta.url), args);
      const [result] = await once(child, 'message');
      spent[kind].push(result.cpuUsPerRequest);
      own = result.own ?? own;
    });
    await Promise.all(results);
  }
  for (const kind of kinds) console.log(line(`CPU a request: ${kind}`, spent[kind], 'us'));
  for (const kind of kinds) {
    const more = spent[kind].map((cost, round) => (cost / spent.profiler[round] - 1) * 100);
    console.log(line(`  against the profiler alone: ${kind}`, more, '%', 1));
  }
  console.log(single('agent itself: convert and send a flush', own.flushMs, 'ms CPU'));
  console.log(single('  entries of the flush', own.entries, '', 0));
  console.log(
    single(
      `  of a core, flushing each ${FLUSH_MS / 1_000} s`,
      (own.flushMs / FLUSH_MS) * 100,
      '%',
      3,
    ),
  );
  server.kill();
  await once(server, 'exit');
  rmSync(folder, { recursive: true, force: true });
}

/** One process: a server that is busy for so many seconds. */
async function runChild(kind, url, seconds) {
  const profiler = await loadProfiler();
  let agent;
  let timer;
  if (kind.startsWith('agent')) {
    const options = { url, service: 'overhead', firstFlushMs: 5_000, flushMs: FLUSH_MS };
    agent = await startAgent({ ...options, log: console });
  } else if (kind === 'profiler') {
    startProfiler(profiler);
    timer = setInterval(() => takeProfiles(profiler), FLUSH_MS);
    setTimeout(() => takeProfiles(profiler), 5_000);
  }
  const labels = kind === 'agent with labels';
  const server = createServer((request, response) => {
    const handle = () => {
      handleOrder(Number(request.headers['x-order']), false);
      setImmediate(() => response.end(String(handleOrder(7, false))));
    };
    if (labels) agent.withLabels({ endpoint: request.url }, handle);
    else handle();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const target = `http://127.0.0.1:${server.address().port}/cart`;
  const ask = async (until) => {
    let requests = 0;
    for (; performance.now() < until; requests++) {
      const answer = await fetch(target, { headers: { 'x-order': String(requests) } });
      await answer.text();
    }
    return requests;
  };
  await ask(performance.now() + WARM_MS);
  const before = process.cpuUsage();
  const requests = await ask(performance.now() + seconds * 1_000);
  const { user, system } = process.cpuUsage(before);
  let own;
  if (kind === 'profiler') {
    clearInterval(timer);
    own = await ownCost(profiler, url, ask);
  }
  await agent?.stop();
  process.send({ cpuUsPerRequest: (user + system) / requests, own });
  process.disconnect();
  server.close();
  server.closeAllConnections();
  process.exit();
}

function startProfiler({ time, heap }) {
  time.start({
    intervalMicros: 10_000,
    durationMillis: 120_000,
    withContexts: true,
    collectCpuTime: true,
    useCPED: false,
  });
  heap.start(512 * 1024, 64);
}

function takeProfiles({ time, heap }) {
  return { wall: time.stop(true, () => ({})), memory: heap.profile() };
}

/** CPU of what the agent does with the profiles of one flush: the same ones, again and again. */
async function ownCost(profiler, url, ask) {
  takeProfiles(profiler);
  await ask(performance.now() + FLUSH_MS);
  const { wall, memory } = takeProfiles(profiler);
  profiler.time.stop(false, () => ({}));
  profiler.heap.stop();
  const target = { url, tls: {}, headers: {} };
  const deps = { timers: systemTimers, random: systemRandom };
  const stream = new SampleStream(target, { labels: { service_name: 'own' } }, deps);
  const costs = [];
  let entries = 0;
  for (let flush = 0; flush < FLUSHES; flush++) {
    const before = process.cpuUsage();
    const taken = { startMs: Date.now(), durationMs: FLUSH_MS };
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
  return { flushMs: spread(costs.slice(COLD_FLUSHES)).median, firstMs: costs[0], entries };
}
