/** The server and the command line as people meet them: processes, signals, sockets, exit codes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { fromBinary } from '@bufbuild/protobuf';
import { ProfileSchema } from '../../src/gen/google/v1/profile_pb.ts';
import { expectSame } from './check.ts';
import { sumsOfFlameGraph } from './naive-graph.ts';
import {
  describeStack,
  readAnswerNaively,
  readFileNaively,
  type Sums,
  sumsByName,
  totalOf,
} from './naive-profile.ts';
import { type ServerProcess, Servers, tell, tephra } from './server-process.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const CPU_FILE = join(import.meta.dirname, '..', 'data', 'pprof', 'gocompile.cpu.pb.gz');
const DAY_MS = 86_400_000;
/** Of all threads. Generous: a busy machine has cold caches, and shares its cores between two threads. */
const READY_CPU_MS_MAX = 4_000;

// Generous: the machine may be busy with other suites.
jest.setTimeout(90_000);

const servers = new Servers(3);
/** Where it does not matter how many there are: each takes its time to start. */
const ONE = ['--workers', '1'];
afterAll(() => servers.end());

/** Own values of CPU profiles of a service, by names joined with a line feed. */
async function stacksOf(server: ServerProcess, service: string): Promise<Sums> {
  const { flamegraph } = await server.querier.selectMergeStacktraces({
    profileTypeID: CPU,
    labelSelector: `{service_name="${service}"}`,
    start: BigInt(Date.now() - 2 * DAY_MS),
    end: BigInt(Date.now() + 60_000),
    maxNodes: 1_048_576n,
  });
  return flamegraph === undefined ? new Map() : sumsOfFlameGraph(flamegraph);
}

describe('tephra serve', () => {
  test('is ready after about a second of CPU on an empty directory', async () => {
    const server = await servers.start('empty');
    // Where there is no /proc, only that it is ready at all.
    const cpuMs = server.cpuMs();
    expect(await server.stop()).toBe(0);
    tell(`ready on an empty directory after ${Math.round(server.readyMs)} ms, ${cpuMs} ms of CPU`);
    expect(cpuMs ?? 0).toBeLessThan(READY_CPU_MS_MAX);
  });

  test('refuses a directory that another server holds, and names that one', async () => {
    const holder = await servers.start('held', ...ONE);
    const directory = servers.path('held');
    const second = await tephra('serve', '--data-dir', directory, '--listen', '127.0.0.1:0');
    expect(second.code).toBe(1);
    expect(second.err).toContain('data_dir_in_use');
    expect(second.err).toContain(`pid ${holder.pid} `);
    expect(second.err).toContain(`(listening on 127.0.0.1:${holder.port})`);
    // The holder is none the worse for it, and its directory is free once it has ended.
    expect((await fetch(`${holder.url}/readyz`)).status).toBe(200);
    expect(await holder.stop('SIGKILL')).toBe(null);
    const next = await servers.start('held', ...ONE);
    expect(await next.stop()).toBe(0);
  });

  test('refuses to listen beyond loopback unless told that this is meant', async () => {
    const args = ['serve', '--data-dir', servers.path('open'), '--listen', '0.0.0.0:0'];
    const refused = await tephra(...args);
    expect(refused.code).not.toBe(0);
    expect(refused.err).toContain('insecure_listen');
    expect(refused.err).toContain('--insecure-no-auth');
    const open = await servers.start('open', ...ONE, '--listen', '0.0.0.0:0', '--insecure-no-auth');
    expect((await fetch(`http://127.0.0.1:${open.port}/healthz`)).status).toBe(200);
    expect(await open.stop()).toBe(0);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)(
    '%s in a storm of pushes loses none that was acknowledged',
    async (signal) => {
      const first = await servers.start(signal);
      const acknowledged: number[] = [];
      const push = async (index: number): Promise<void> => {
        const query = 'name=storm.cpu&sampleRate=100';
        const response = await fetch(`${first.url}/ingest?${query}`, {
          method: 'POST',
          body: `main;push_${index} 1\n`,
        });
        // Only the whole answer is an acknowledgement.
        await response.arrayBuffer();
        if (response.status === 200) acknowledged.push(index);
        else expect(response.status).toBe(503);
      };
      const pushes: Promise<unknown>[] = [];
      for (let index = 0; index < 400; index++) {
        // Connections that the stop cuts or refuses acknowledge nothing.
        pushes.push(push(index).catch((error: unknown) => expect(error).toBeDefined()));
        if (index % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      while (acknowledged.length < 20) await new Promise((resolve) => setTimeout(resolve, 1));
      const code = await first.stop(signal);
      expect(code).toBe(signal === 'SIGKILL' ? null : 0);
      await Promise.all(pushes);

      const second = await servers.start(signal, ...ONE);
      const stored = await stacksOf(second, 'storm');
      for (const index of acknowledged) {
        expect([index, stored.get(`main\npush_${index}`)]).toEqual([index, 10_000_000n]);
      }
      // What was stored and not told may be there, once.
      for (const value of stored.values()) expect(value).toBe(10_000_000n);
      tell(`${signal}: ${acknowledged.length} of 400 acknowledged, ${stored.size} stored`);
      expect(await second.stop()).toBe(0);
    },
  );
});

describe('a running server', () => {
  let server: ServerProcess;
  const bytes = readFileSync(CPU_FILE);
  const profile = readFileNaively(bytes);
  const cpu = profile.types.findIndex(({ type }) => type === 'cpu');
  const expected = profile.series[0]?.sums[cpu] as Sums;
  beforeAll(async () => {
    server = await servers.start('running');
  });

  /** Waits until the jobs have published a counter that `condition` takes. */
  async function counter(name: string, condition: (value: number) => boolean): Promise<number> {
    for (;;) {
      const value = await server.engineCounter(name);
      if (value !== undefined && condition(value)) return value;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  test('known stacks never walk the tree', async () => {
    const noonMs = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS / 2;
    const push = async (atMs: number): Promise<void> => {
      const query = new URLSearchParams({ name: 'walks', format: 'pprof', from: `${atMs}` });
      const response = await fetch(`${server.url}/ingest?${query.toString()}`, {
        method: 'POST',
        body: bytes,
      });
      expect(response.status).toBe(200);
    };
    await push(noonMs);
    const walks = await counter('stack_walks', (value) => value > 0);
    // Two series share their stacks: a walk is made for each distinct stack, and no other.
    expect(walks).toBe(expected.size);
    const hits = (await server.engineCounter('stack_hits')) ?? 0;
    for (let minute = 1; minute <= 3; minute++) await push(noonMs + minute * 60_000);
    const later = await counter('stack_hits', (value) => value >= hits + 3 * expected.size);
    expect(await server.engineCounter('stack_walks')).toBe(walks);
    expect(totalOf(await stacksOf(server, 'walks'))).toBe(4n * totalOf(expected));
    tell(`stacks: ${walks} walks for the first push, 0 for three more (${later - hits} hits)`);
  });

  test('tephra push and query merge, top and diff agree with the file', async () => {
    const at = ['--server', server.url, '--service', 'shop'];
    const nowMs = Date.now();
    const iso = (ms: number): string => new Date(ms).toISOString();
    for (const ms of [nowMs - 7_200_000, nowMs - 60_000, nowMs - 30_000]) {
      const pushed = await tephra('push', CPU_FILE, ...at, '--at', iso(ms));
      expect([pushed.code, pushed.err]).toEqual([0, expect.stringContaining('stored 1 profile')]);
    }
    const twice: Sums = new Map();
    for (const [names, value] of sumsByName(expected)) {
      twice.set(names.replaceAll(';', ':').replaceAll('\n', ';'), 2n * value);
    }
    const range = ['--from', iso(nowMs - 120_000), '--to', iso(nowMs)];
    const ask = async (...args: string[]): Promise<string> => {
      const { code, out, err } = await tephra('query', ...args, ...at, ...range);
      expect([code, args, err]).toEqual([0, args, expect.any(String)]);
      return out.toString();
    };

    const folded = await ask('merge', '--format', 'folded');
    expectSame(sumsOfLines(folded), twice, 'folded', (names) => names);

    const file = servers.path('merge.pb.gz');
    await ask('merge', '--format', 'pprof', '--out', file);
    const answer = fromBinary(ProfileSchema, gunzipSync(readFileSync(file)));
    const doubled = new Map([...expected].map(([stack, value]) => [stack, 2n * value]));
    expectSame(readAnswerNaively(answer), doubled, 'pprof', describeStack);

    const tree = await ask('merge');
    expect(tree).toContain('call tree');
    expect(tree).toContain('main.main');

    const flat = new Map<string, bigint>();
    for (const [names, value] of twice) {
      const leaf = names.split(';').at(-1) as string;
      flat.set(leaf, (flat.get(leaf) ?? 0n) + value);
    }
    const [hottest] = [...flat].reduce((a, b) => (b[1] > a[1] ? b : a));
    const top = (await ask('top')).split('\n');
    expect(top.findIndex((line) => line.endsWith(hottest))).toBe(1);

    const base = ['--base-from', iso(nowMs - 7_260_000), '--base-to', iso(nowMs - 7_140_000)];
    const difference = await ask('diff', ...base, '--format', 'folded');
    const lines = difference.trimEnd().split('\n');
    expect(lines).toHaveLength(twice.size);
    for (const line of lines) {
      const [, names = '', before, after] = /^(.*) (\d+) (\d+)$/.exec(line) ?? [];
      expect([names, Number(before) * 2, after]).toEqual([
        names,
        Number(after),
        String(twice.get(names)),
      ]);
    }
    expect(await ask('diff', ...base)).toContain(hottest);
  });

  test('tephra push says what was refused, and exits with 1', async () => {
    const file = servers.path('broken.pb.gz');
    writeFileSync(file, bytes.subarray(0, 1_000));
    const pushed = await tephra('push', file, '--server', server.url, '--service', 'shop');
    expect([pushed.code, pushed.err]).toEqual([1, expect.stringContaining('malformed_gzip')]);
  });
});

/** Folded text as sums. */
function sumsOfLines(text: string): Sums {
  const sums: Sums = new Map();
  for (const line of text.trimEnd().split('\n')) {
    const at = line.lastIndexOf(' ');
    sums.set(line.slice(0, at), BigInt(line.slice(at + 1)));
  }
  return sums;
}
