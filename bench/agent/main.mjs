/**
 * What the agent costs beyond its profiler, in CPU time of the process that it is in:
 * `npm run bench:agent [-- --seconds 300 --slice 1000] [--quick]`.
 *
 * One server in a process of its own (server.mjs) answers a client in this one without pause. In slices of a
 * thousand requests it runs with nothing, with `@datadog/pprof` alone, with the agent, and with labels or
 * spans on every request; CPU a request is compared in fours, ABBA, so that what else the machine does meets both
 * sides alike. The median of many rounds and its confidence interval are told. Slices are shorter than
 * flushes, so those are measured by themselves: CPU of converting, encoding, sending and waiting for the ack of
 * one.
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { heading, line, numberFlag, single } from '../spent.mjs';
import { medianWithInterval } from './paired.mjs';

const quick = process.argv.includes('--quick');
const seconds = numberFlag('seconds', quick ? 1 : 300);
const count = numberFlag('slice', quick ? 50 : 1_000);
const FLUSH_SECONDS = 15;
const CLIENTS = 4;
/** The profiler has its price, and so have traces; neither is the agent's. */
const COMPARISONS = [
  { base: 'nothing', kind: 'profiler' },
  { base: 'profiler', kind: 'agent' },
  { base: 'profiler', kind: 'agent, labels' },
  { base: 'profiler, traced', kind: 'agent, spans, traced' },
];

const folder = mkdtempSync(join(tmpdir(), 'tephra-agent-'));
const tephra = fileURLToPath(new URL('../../bin/tephra.cjs', import.meta.url));
const flags = ['serve', '--no-self-profile', '--listen', '127.0.0.1:0', '--data-dir', folder];
const store = spawn(process.execPath, [tephra, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
const url = await new Promise((resolve) => {
  store.stdout.on('data', (chunk) => {
    const found = /"address":"([^"]+)"/.exec(String(chunk))?.[1];
    if (found !== undefined) resolve(`http://${found}`);
  });
});
const server = fork(fileURLToPath(new URL('server.mjs', import.meta.url)), [url]);
const [{ port }] = await once(server, 'message');
console.log(heading(`agent overhead, ${seconds} s in slices of ${count} requests`));

const asking = { wanted: true };
const keepAlive = new Agent({ keepAlive: true });
const clients = Array.from({ length: CLIENTS }, () => askOn());

/** By comparison, in us: CPU a request before and with it, and by how much it is more in each round. */
const results = COMPARISONS.map(() => ({ before: [], after: [], more: [] }));
for (const until = performance.now() + seconds * 1_000; performance.now() < until;) {
  for (const [i, { kind, base }] of COMPARISONS.entries()) {
    // ABBA: what grows or shrinks meanwhile meets both sides alike.
    const [first, second, third, fourth] = [
      await costOf(base),
      await costOf(kind),
      await costOf(kind),
      await costOf(base),
    ];
    const before = (first + fourth) / 2;
    const after = (second + third) / 2;
    const result = results[i];
    result.before.push(before);
    result.after.push(after);
    result.more.push((after / before - 1) * 100);
  }
}
await ask({ recordMs: quick ? 200 : FLUSH_SECONDS * 1_000 });
asking.wanted = false;
await Promise.all(clients);
const own = await ask({ flushes: quick ? 5 : 60, cold: quick ? 2 : 10 });

for (const [i, { kind, base }] of COMPARISONS.entries()) {
  const { before, after, more } = results[i];
  const { median, low, high } = medianWithInterval(more);
  console.log(line(`CPU a request: ${base}`, before, 'us'));
  console.log(line(`  ${kind}`, after, 'us'));
  console.log(single(`  more, median of ${more.length} rounds`, median, '%'));
  console.log(`    95 % interval ${low.toFixed(2)} to ${high.toFixed(2)} %`);
}
console.log(single(`a flush, of ${own.entries} entries`, own.flushMs, 'ms CPU'));
const share = (own.flushMs / (FLUSH_SECONDS * 1_000)) * 100;
console.log(single(`  of a core, one each ${FLUSH_SECONDS} s`, share, '%', 3));

server.disconnect();
store.kill();
await Promise.all([once(server, 'exit'), once(store, 'exit')]);
rmSync(folder, { recursive: true, force: true });

/** CPU a request in us, over a slice. */
async function costOf(kind) {
  const { cpuUs } = await ask({ kind, warm: Math.ceil(count / 2), count });
  return cpuUs;
}

async function ask(question) {
  server.send(question);
  const [answer] = await once(server, 'message');
  return answer;
}

/** Asks until enough is known. */
async function askOn() {
  for (let order = 0; asking.wanted; order++) {
    const headers = { 'x-order': String(order) };
    const question = request({ port, path: '/cart', agent: keepAlive, headers }).end();
    const [answer] = await once(question, 'response');
    answer.resume();
    await once(answer, 'end');
  }
}
