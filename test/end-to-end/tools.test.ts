/**
 * Tools that print stacks, piped into `tephra stream`: all that they printed is stored, weight by weight. py-spy
 * and perf really run where the machine lets them; bpftrace by text in its documented form.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { connect } from '../../src/client/index.ts';
import { cleanEnvironment, Servers, tell, type ServerProcess } from './server-process.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const BUSY = join(import.meta.dirname, 'programs', 'busy.py');
const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const PY_SPY = 'py-spy==0.4.3';
const INSTALL_MS = 120_000;

/** The interpreter itself: `python3` may be a script that finds it. */
const python =
  spawnSync('python3', ['-c', 'import sys; print(sys.executable)'], {
    encoding: 'utf8',
  }).stdout?.trim() ?? 'python3';

jest.setTimeout(180_000);

const servers = new Servers();
const bin = servers.path('bin');
mkdirSync(bin);
let server: ServerProcess;

beforeAll(async () => {
  server = await servers.start('data');
  const program = join(bin, 'tephra');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${ROOT}/bin/tephra.cjs' "$@"\n`);
  chmodSync(program, 0o755);
});
afterAll(() => servers.end());

/** Pipes a tool into `tephra stream`; what the tool printed, and what is stored of the service. */
async function pipe(
  tool: string,
  service: string,
  flags = '',
): Promise<{ text: string; total: bigint; names: readonly string[] }> {
  const file = servers.path(`${service}.txt`);
  const line = `${tool} | tee '${file}' | tephra stream --service ${service} ${flags}`;
  const child = spawn('bash', ['-c', line], {
    env: {
      ...cleanEnvironment(),
      PATH: `${bin}:${process.env['PATH']}`,
      TEPHRA_URL: server.url,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (piece: Buffer) => (said += piece.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0 || !said.includes('stored')) throw new Error(`code ${code}: ${said}`);
  if (said.includes('not understood')) throw new Error(said);
  const client = connect({ url: server.url });
  try {
    const { flameGraph } = await client.flameGraph({
      profileType: CPU,
      selector: `{service_name="${service}"}`,
      from: 'now-1h',
    });
    return { text: readFileSync(file, 'utf8'), total: flameGraph.total, names: flameGraph.names };
  } finally {
    client.close();
  }
}

/** The numbers that the first group of a pattern finds, added up. */
function sumOf(text: string, pattern: RegExp): bigint {
  return [...text.matchAll(pattern)].reduce((sum, [, digits = '']) => sum + BigInt(digits), 0n);
}

/** Why py-spy cannot run here; '' = it can, from the folder of the test. */
function preparePySpy(): string {
  const run = (command: string, ...args: string[]): string => {
    const { status, stderr, error } = spawnSync(command, args, {
      encoding: 'utf8',
      timeout: INSTALL_MS,
    });
    if (status === 0) return '';
    return (error?.message ?? stderr.trim().split('\n').at(-1) ?? '').slice(0, 100) || 'failed';
  };
  const flags = ['--target', bin, '--only-binary', ':all:', '--no-deps', '--quiet'];
  const noPip = run('python3', '-m', 'pip', 'install', ...flags, PY_SPY);
  if (noPip !== '') return `no py-spy by pip: ${noPip}`;
  const tool = join(bin, 'bin', 'py-spy');
  return run(tool, 'record', '-f', 'raw', '-d', '1', '-o', '/dev/null', '--', python, BUSY);
}

function described(name: string, why: string): typeof describe {
  const run = why === '' ? describe : describe.skip;
  return ((_: string, body: () => void) =>
    run(why === '' ? name : `${name} (skipped: ${why})`, body)) as typeof describe;
}

const noPySpy = preparePySpy();
described('py-spy', noPySpy)('', () => {
  test('all samples of a busy Python program are stored', async () => {
    // What it says goes to standard output too, between its stacks.
    const record = `bin/py-spy record -f raw -r 100 -d 2 -o /dev/fd/3 -- '${python}' '${BUSY}'`;
    const { text, total, names } = await pipe(`'${bin}'/${record} 3>&1 >&2`, 'py-spy');
    const samples = sumOf(text, / (\d+)$/gm);
    expect(samples).toBeGreaterThan(50n);
    expect(total).toBe(samples * 10_000_000n);
    const functions = names.map((name) => name.replace(/ \(.*/, ''));
    expect(functions).toEqual(
      expect.arrayContaining(['<module>', 'sort_orders', 'descend', 'hash_blocks']),
    );
    tell(`py-spy: ${samples} samples, ${total} ns stored`);
  });
});

const probe = spawnSync('perf', ['record', '-q', '-g', '-e', 'cpu-clock', '-o', '-', 'true'], {
  encoding: 'utf8',
});
const [said = ''] = probe.error === undefined ? probe.stderr.split('\n') : [probe.error.message];
const noPerf = probe.status === 0 ? '' : `it cannot record here: ${said}`;
described('perf', noPerf)('', () => {
  test('all time of a busy program is stored', async () => {
    // So much to do, and not so long: on a busy machine a second may hold little of its work.
    const busy = `sh -c 'head -c 250000000 /dev/zero | sha256sum >&2'`;
    const tool = `perf record -q -F 99 -e cpu-clock -g -o - -- ${busy} | perf script -i -`;
    const { text, total, names } = await pipe(tool, 'perf', '--format perf-script');
    const time = sumOf(text, / (\d+) cpu-clock: *$/gm);
    expect(time).toBeGreaterThan(100_000_000n);
    expect(total).toBe(time);
    expect(names).toContain('sha256sum');
    tell(`perf: ${time} ns printed and stored`);
  });
});

/** As `print(@)` does it, with the stacks and the command as key. */
const PRINTED = `Attaching 2 probes...
@[
    finish_task_switch.isra.0+152
    __schedule+927
    schedule+94
    entry_SYSCALL_64_after_hwframe+114
, 
    0x7f2d1c0f4bd5
    epoll_wait+86
    uv__io_poll+1040
    node::SpinEventLoopInternal(node::Environment*)+328
    main+119
, node]: 3
@[
    0xffffffff9e000000
, , swapper/0]: 41
@[, 
    std::vector<int, std::allocator<int> >::push_back(int const&)+12
    main+33
, app]: 198
`;

describe('bpftrace, recorded', () => {
  test('all counts of maps that are printed and cleared are stored', async () => {
    const file = servers.path('bpftrace-recorded.txt');
    writeFileSync(file, PRINTED + PRINTED.split('\n').slice(1).join('\n'));
    const { text, total, names } = await pipe(`cat '${file}'`, 'bpftrace', '--format bpftrace');
    const counts = sumOf(text, /\]: (\d+)$/gm);
    expect(counts).toBe(484n);
    expect(total).toBe(counts * BigInt(Math.round(1e9 / 99)));
    expect(names).toEqual(
      expect.arrayContaining(['swapper/0', 'uv__io_poll', 'schedule', '[unknown]']),
    );
  });
});
