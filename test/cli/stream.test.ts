/** `tephra stream` with real pipes into a real server. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { connect } from '../../src/client/index.ts';
import { cleanEnvironment, type ServerProcess, Servers } from '../end-to-end/server-process.ts';
import { runIn } from './run.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const TICK = 10_000_000n;

jest.setTimeout(180_000);

const servers = new Servers();
let server: ServerProcess;
let bin = '';

beforeAll(async () => {
  server = await servers.start('data');
  bin = servers.path('bin');
  mkdirSync(bin);
  const program = join(bin, 'tephra');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${ROOT}/bin/tephra.cjs' "$@"\n`);
  chmodSync(program, 0o755);
});
afterAll(() => servers.end());

interface Ended {
  readonly code: number | null;
  readonly err: string;
}

function begin(line: string, url = server.url): { child: ChildProcess; end: Promise<Ended> } {
  const child = spawn('bash', ['-c', `set -o pipefail; ${line}`], {
    env: { ...cleanEnvironment(), PATH: `${bin}:${process.env['PATH']}`, TEPHRA_URL: url },
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true,
  });
  let err = '';
  child.stderr?.on('data', (piece: Buffer) => (err += piece.toString()));
  const end = once(child, 'close').then(([code]) => ({ code: code as number | null, err }));
  return { child, end };
}

/** Pipes bytes into a command line. */
function feed(line: string, input: string | Uint8Array, url?: string): Promise<Ended> {
  const { child, end } = begin(line, url);
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  return end;
}

/** Stacks of a service, `root;…;leaf` with their own value. */
async function stacksOf(
  service: string,
  profileType = CPU,
  selector = `{service_name="${service}"}`,
): Promise<Map<string, bigint>> {
  const client = connect({ url: server.url });
  try {
    const stacks = new Map<string, bigint>();
    const { root } = await client.tree({ profileType, selector, from: 'now-1h' });
    const walk = (node: typeof root, path: readonly string[]): void => {
      if (node.self > 0n) stacks.set(path.join(';'), node.self);
      for (const child of node.children) walk(child, [...path, child.name]);
    };
    walk(root, []);
    return stacks;
  } finally {
    client.close();
  }
}

async function total(service: string): Promise<bigint> {
  return [...(await stacksOf(service)).values()].reduce((sum, value) => sum + value, 0n);
}

const PERF = `app  43 16070.8: 10101010 cpu-clock: 
	 1145 inner+0xc (/tmp/app)
	 1197 main+0x1e (/tmp/app)

`;
const MAP = '@[\n    vfs_read+1\n, \n    main+2\n, curl]: 7\n';

describe('what comes by a pipe is stored', () => {
  test('folded, with lines that are none told and the others stored', async () => {
    const text = 'main;parse 12\nmain;render 30\nnonsense\nmain;parse 1\n';
    const line = 'tephra stream --service folded --label region=eu --rate 100';
    expect(await feed(line, text)).toEqual({
      code: 0,
      err: expect.stringMatching(
        /^1 line was not understood:\n {2}line 3: .*"nonsense"\nstored 43 samples in 2 entries of folded\n/,
      ),
    });
    const stored = new Map([
      ['main;parse', 13n * TICK],
      ['main;render', 30n * TICK],
    ]);
    expect(await stacksOf('folded')).toEqual(stored);
    expect(await stacksOf('', CPU, '{region="eu"}')).toEqual(stored);
  });

  test('UTF-16 with CRLF, of memory', async () => {
    const text = Buffer.from('\ufeffmain;größe 4096\r\n', 'utf16le');
    await feed('tephra stream --service memory --type alloc_space', text);
    expect(await stacksOf('memory', 'memory:alloc_space:bytes::')).toEqual(
      new Map([['main;größe', 4_096n]]),
    );
  });

  test('perf script, with the time that it tells', async () => {
    const line = 'cat | tephra stream --format perf-script --service perf';
    expect((await feed(line, PERF + PERF)).code).toBe(0);
    expect(await stacksOf('perf')).toEqual(new Map([['app;main;inner', 20_202_020n]]));
  });

  test('maps of bpftrace, which it prints when it is interrupted', async () => {
    const print = `printf '${MAP.replaceAll('\n', '\\n')}'`;
    const tool = `trap "${print}; exit 0" INT; ${print}; while :; do sleep 0.05; done`;
    writeFileSync(join(bin, 'tool'), `#!/bin/bash\n${tool}\n`);
    chmodSync(join(bin, 'tool'), 0o755);
    const line = 'tool | tephra stream --format bpftrace --service trace --interval 100ms';
    const { child, end } = begin(line);
    await waitUntil(async () => (await total('trace')) > 0n);
    process.kill(-(child.pid as number), 'SIGINT');
    expect((await end).err).toContain('stored 14 samples in 2 entries of trace');
    expect(await stacksOf('trace')).toEqual(
      new Map([['curl;main;vfs_read', 14n * BigInt(Math.round(1e9 / 99))]]),
    );
  });

  const probe = spawnSync('perf', ['record', '-q', '-g', '-e', 'cpu-clock', '-o', '-', 'true']);
  const hasPerf = probe.status === 0;
  const withPerf = hasPerf ? describe : describe.skip;
  withPerf(`perf${hasPerf ? '' : ' (skipped: it cannot record here)'}`, () => {
    test('itself', async () => {
      const busy = 'perf record -q -F 99 -e cpu-clock -g -o - -- timeout 0.5 sha256sum /dev/zero';
      const { code, err } = await feed(
        `(${busy} || true) | perf script -i - | tephra stream --format perf-script --service live`,
        '',
      );
      expect([code, err]).toEqual([0, expect.stringContaining('stored')]);
      expect(await total('live')).toBeGreaterThan(0n);
    });
  });
});

async function waitUntil(isThere: () => Promise<boolean>): Promise<void> {
  while (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, 50));
}

describe('over time', () => {
  test('each sample is stored once, over a killed server and while it is away', async () => {
    const port = String(server.port);
    const { child, end } = begin('tephra stream --service restarted --interval 100ms');
    child.stdin?.write('a;b 1\n');
    await waitUntil(async () => (await total('restarted')) === TICK);
    child.stdin?.write('a;c 2\n');
    await server.stop('SIGKILL');
    child.stdin?.write('a;b 4\n');
    server = await servers.start('data', '--listen', `127.0.0.1:${port}`);
    child.stdin?.write('a;c 8\n');
    await waitUntil(async () => (await total('restarted')) >= 15n * TICK);
    child.stdin?.end('a;d 16\n');
    expect((await end).code).toBe(0);
    expect(await total('restarted')).toBe(31n * TICK);
  });

  test('many stacks are several batches', async () => {
    const lines = Array.from({ length: 60_000 }, (_, i) => `main;handle${i % 977};query${i} 1\n`);
    const { code, err } = await feed('tephra stream --service many', lines.join(''));
    expect([code, err]).toEqual([0, expect.stringContaining('stored 60000 samples')]);
    expect(await total('many')).toBe(60_000n * TICK);
  });
});

describe('what cannot be done', () => {
  test('is told: no server, no stacks', async () => {
    const nowhere = feed('tephra stream', 'a;b 1\n', 'http://127.0.0.1:1');
    const binary = await feed('tephra stream --service binary', Buffer.alloc(60_000, 0x0ad0ff00));
    expect(binary).toEqual({ code: 1, err: expect.stringContaining('1 line: is it folded?') });
    expect(await feed('tephra stream', '')).toEqual({ code: 0, err: 'no stacks came\n' });
    expect(await nowhere).toEqual({
      code: 1,
      err: expect.stringContaining(
        'no server took the stream at http://127.0.0.1:1: 1 entry is lost',
      ),
    });
  });

  test.each([
    ['--format', 'pprof'],
    ['--type', 'disk'],
    ['--rate', '0'],
    ['--interval', '10'],
    ['--interval', '1ms'],
    ['--label', 'novalue'],
    ['--label', '__name__=x'],
    ['--server', 'nowhere'],
  ])('is told before it begins: %s %s', async (flag, value) => {
    const { code, err } = await runIn({}, 'stream', flag, value);
    expect([code, err]).toEqual([2, expect.stringContaining(flag)]);
  });
});
