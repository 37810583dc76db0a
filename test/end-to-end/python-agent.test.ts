/**
 * The example agent in Python, written from docs/protocol/stream.md alone, profiles a busy program into a
 * real server that is killed and away for a while, behind a wire that loses acknowledgements; and into one that
 * forgets its tables while it streams. The server is away for a second, or TEPHRA_OUTAGE_SECONDS
 * (`npm run prove:agents`).
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { connect } from '../../src/client/index.ts';
import { TestEncoder } from '../support/stream-agent.ts';
import { samplePart, StreamServer } from '../support/stream-server.ts';
import { cleanEnvironment, Servers, tell } from './server-process.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const EXAMPLE = join(ROOT, 'examples', 'agent-python');
const INSTALL_MS = 120_000;
const OUTAGE_MS = Number(process.env['TEPHRA_OUTAGE_SECONDS'] ?? 1) * 1_000;
const folder = mkdtempSync(join(tmpdir(), 'tephra-agent-python-'));

jest.setTimeout(180_000 + OUTAGE_MS);

/** Why the agent cannot run here; '' = it can. Packages and stubs go to a folder of the test. */
function prepare(): string {
  const run = (...args: string[]): string => {
    const { status, stderr, error } = spawnSync('python3', args, {
      encoding: 'utf8',
      timeout: INSTALL_MS,
    });
    if (status === 0) return '';
    return (error?.message ?? stderr.trim().split('\n').at(-1) ?? '').slice(0, 100) || 'failed';
  };
  const isOld = run('-c', 'import sys; assert sys.version_info >= (3, 9)');
  if (isOld !== '') return `no Python 3.9: ${isOld}`;
  const packages = join(folder, 'packages');
  mkdirSync(packages);
  const flags = ['--target', packages, '--only-binary', ':all:', '--no-compile', '--quiet'];
  if (run('-c', 'import grpc_tools.protoc, grpc') !== '') {
    const install = run('-m', 'pip', 'install', ...flags, '-r', join(EXAMPLE, 'requirements.txt'));
    if (install !== '') return `no grpcio by pip: ${install}`;
  }
  const protos = ['label', 'stream', 'ingest'].map((name) => `tephra/v1/${name}.proto`);
  const outs = [`--python_out=${packages}`, `--grpc_python_out=${packages}`];
  const protoc = ['-I', join(ROOT, 'proto'), ...outs, ...protos];
  const runProtoc = `import sys; sys.path.insert(0, ${JSON.stringify(packages)}); from grpc_tools import protoc; sys.exit(protoc.main([''] + sys.argv[1:]))`;
  const stubs = run('-c', runProtoc, ...protoc);
  if (stubs !== '') throw new Error(`no stubs: ${stubs}`);
  return '';
}

/** A wire to a server, which can be deaf: then nothing comes back from the server. */
class Wire {
  port = 0;
  target = 0;
  isDeaf = false;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server = createServer((near) => {
    const far = dial(this.target, '127.0.0.1');
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        near.destroy();
        far.destroy();
        this.#sockets.delete(socket);
      });
    }
    near.pipe(far);
    far.on('data', (piece) => {
      if (!this.isDeaf) near.write(piece);
    });
  });

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as { port: number }).port;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  end(): void {
    this.#server.close();
    this.cut();
  }
}

const skipped = prepare();
const withPython = skipped === '' ? describe : describe.skip;
const reason = skipped === '' ? '' : ` (skipped: ${skipped})`;
const servers = new Servers();
const wire = new Wire();
const programs: ChildProcess[] = [];
let forgetful: StreamServer | undefined;

afterAll(async () => {
  for (const program of programs) program.kill('SIGKILL');
  wire.end();
  await forgetful?.stop();
  await servers.end();
  rmSync(folder, { recursive: true, force: true });
});

const SAMPLES = 'wall:samples:count:wall:nanoseconds';
const TIME = 'wall:wall:nanoseconds:wall:nanoseconds';

/** Sum of a type, and the names in its flame graph. */
async function ask(port: number, profileType: string, labels = ''): Promise<[bigint, string[]]> {
  const client = connect({ url: `http://127.0.0.1:${port}` });
  try {
    const { flameGraph } = await client.flameGraph({
      profileType,
      selector: `{service_name="busy"${labels}}`,
      from: 'now-1h',
    });
    return [flameGraph.total, [...flameGraph.names]];
  } finally {
    client.close();
  }
}

/** Waits until more samples are stored than `before`; resolves with how many. */
async function moreThan(port: number, before: bigint): Promise<bigint> {
  for (;;) {
    const [total] = await ask(port, SAMPLES);
    if (total > before) return total;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

interface Said {
  out: string;
  err: string;
}

/** Starts the busy program with its agent. */
function begin(url: string): { program: ChildProcess; said: Said; exit: Promise<unknown[]> } {
  const program = spawn('python3', [join(EXAMPLE, 'busy.py'), url], {
    env: {
      ...cleanEnvironment(),
      PYTHONPATH: join(folder, 'packages'),
      PYTHONDONTWRITEBYTECODE: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  programs.push(program);
  const said = { out: '', err: '' };
  program.stdout?.on('data', (piece: Buffer) => (said.out += piece.toString()));
  program.stderr?.on('data', (piece: Buffer) => (said.err += piece.toString()));
  return { program, said, exit: once(program, 'close') };
}

/** Ends it by SIGTERM; what its agent counted. */
async function end(
  program: ChildProcess,
  said: Said,
  exit: Promise<unknown[]>,
): Promise<Record<string, number>> {
  program.kill('SIGTERM');
  const [code] = (await exit) as [number | null];
  if (code !== 0 || said.err.includes('Traceback')) throw new Error(`code ${code}: ${said.err}`);
  return JSON.parse(said.out) as Record<string, number>;
}

withPython(`the agent in Python${reason}`, () => {
  test('what it was told is stored is stored once, over a lost acknowledgement and a killed server', async () => {
    let server = await servers.start('data');
    await wire.listen();
    wire.target = server.port;
    const { program, said, exit } = begin(`http://127.0.0.1:${wire.port}`);

    const first = await moreThan(server.port, 0n);
    wire.isDeaf = true;
    const unacknowledged = await moreThan(server.port, first);
    wire.cut();
    wire.isDeaf = false;
    // The same server still has the tables: the agent goes on with its epoch.
    const again = await moreThan(server.port, unacknowledged);
    wire.isDeaf = true;
    const unknown = await moreThan(server.port, again);
    await server.stop('SIGKILL');
    wire.cut();
    await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
    server = await servers.start('data');
    wire.target = server.port;
    wire.isDeaf = false;
    await moreThan(server.port, unknown);
    const stats = await end(program, said, exit);
    expect(stats).toMatchObject({ settled: stats['written'], refused: 0, dropped: 0, epochs: 2 });
    expect(stats['opened']).toBeGreaterThanOrEqual(3);
    const [samples, names] = await ask(server.port, SAMPLES);
    expect(samples).toBe(BigInt(stats['settled'] ?? -1));
    expect((await ask(server.port, TIME))[0]).toBe(samples * 10_000_000n);
    expect(names).toEqual(expect.arrayContaining(['hash_blocks', 'descend', 'sort_orders']));
    expect(names.join(' ')).not.toMatch(/channel_spin|_requests/);
    const [tagged] = await ask(server.port, SAMPLES, ',endpoint="checkout",region="eu"');
    expect([tagged > 0n, tagged < samples]).toEqual([true, true]);
    tell(
      `python agent: ${samples} samples in ${stats['opened']} calls and ${stats['epochs']} epochs`,
    );
  });

  test('goes on within the call where the server has forgotten its tables', async () => {
    // No memory for tables: each batch of another stream ends the epoch.
    const server = (forgetful = await StreamServer.start({}, { streamStateBytes: 1 }));
    const { program, said, exit } = begin(`http://127.0.0.1:${server.port}`);
    const { call } = await server.opened('other');
    let encoder = new TestEncoder(1);
    while ((said.err.match(/epoch \d+ ended/g) ?? []).length < 3) {
      if (program.exitCode !== null) throw new Error(said.err);
      const settled = call.acks.at(-1)?.settled ?? 0n;
      const ended = call.acks.findLast(({ epochEnd }) => epochEnd !== undefined)?.epochEnd;
      if (ended?.epoch === encoder.epoch) encoder = new TestEncoder(encoder.epoch + 1);
      call.stream.write(encoder.batch(Number(settled) + 1, [samplePart({ 'main;other': 1 })]));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const stats = await end(program, said, exit);
    call.stream.cancel();
    expect(stats).toMatchObject({ settled: stats['written'], refused: 0, dropped: 0, opened: 1 });
    expect(stats['epochs']).toBeGreaterThanOrEqual(4);
    const { total } = await server.merged('{service_name="busy"}', SAMPLES);
    expect(total).toBe(BigInt(stats['settled'] ?? -1));
    tell(`python agent: ${stats['epochs']} epochs in one call, ${total} samples`);
  });
});
