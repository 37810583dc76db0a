/**
 * The example agent in Python, written from docs/protocol/stream.md alone, profiles a busy program into a
 * real server that is killed in between, behind a wire that loses acknowledgements.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { connect } from '../../src/client/index.ts';
import { cleanEnvironment, Servers, tell } from './server-process.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const EXAMPLE = join(ROOT, 'examples', 'agent-python');
const INSTALL_MS = 120_000;
const folder = mkdtempSync(join(tmpdir(), 'tephra-agent-python-'));

jest.setTimeout(180_000);

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
let busy: ChildProcess | undefined;

afterAll(async () => {
  busy?.kill('SIGKILL');
  wire.end();
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

withPython(`the agent in Python${reason}`, () => {
  test('what it was told is stored is stored once, over a lost acknowledgement and a killed server', async () => {
    let server = await servers.start('data');
    await wire.listen();
    wire.target = server.port;
    busy = spawn('python3', [join(EXAMPLE, 'busy.py'), `http://127.0.0.1:${wire.port}`], {
      env: {
        ...cleanEnvironment(),
        PYTHONPATH: join(folder, 'packages'),
        PYTHONDONTWRITEBYTECODE: '1',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { out: '', err: '' };
    busy.stdout?.on('data', (piece: Buffer) => (said.out += piece.toString()));
    busy.stderr?.on('data', (piece: Buffer) => (said.err += piece.toString()));
    const exit = once(busy, 'close');

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
    server = await servers.start('data');
    wire.target = server.port;
    wire.isDeaf = false;
    await moreThan(server.port, unknown);
    busy.kill('SIGTERM');
    const [code] = (await exit) as [number | null];
    expect([code, said.err.includes('Traceback')]).toEqual([0, false]);

    const stats = JSON.parse(said.out) as Record<string, number>;
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
});
