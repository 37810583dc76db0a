import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cleanEnvironment, run, tell } from '../end-to-end/server-process.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PACK_MS = 60_000;
const INSTALL_MS = 300_000;
const SERVE_MS = 120_000;
/** The user `nobody`: root is not needed, so what root runs here is run without its rights. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/**
 * What a user gets: `npm pack`, installed in an empty folder by `npm install FILE`, with its
 * dependencies from wherever npm is told to take them. It is installed by who runs the test, then used
 * by an ordinary user who may write to a home and a data folder and to nothing of the package.
 */
describe('the package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tephra-package-'));
  const home = join(folder, 'home');
  const work = join(folder, 'work');
  let packed: readonly string[] = [];

  beforeAll(async () => {
    const begun = performance.now();
    chmodSync(folder, 0o755);
    for (const own of [home, work]) {
      mkdirSync(own);
      chmodSync(own, 0o777);
    }
    // dist/ is built: tests run after it. Packing without scripts keeps others from seeing it rebuilt.
    const output = execFileSync(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
      {
        cwd: ROOT,
        env: cleanEnvironment(),
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        timeout: PACK_MS,
      },
    );
    const [pack] = JSON.parse(output) as [
      { readonly filename: string; readonly files: readonly { readonly path: string }[] },
    ];
    packed = pack.files.map(({ path }) => path);
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    const args = ['install', '--prefer-offline', '--no-audit', '--no-fund', pack.filename];
    const { code, err } = await run('npm', args, { cwd: folder, timeoutMs: INSTALL_MS });
    if (code !== 0) throw new Error(err);
    tell(`packed and installed in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  }, PACK_MS + INSTALL_MS);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('has what it needs, and nothing of how it is made', () => {
    const wanted = [
      'bin/tephra.cjs',
      'bin/tephradb.cjs',
      'dist/cli/main.js',
      'dist/page/index.html',
      'docs/errors.md',
      'deploy/systemd/tephra.service',
      'proto/tephra/v1/query.proto',
      'LICENSE',
      'README.md',
      'CHANGELOG.md',
      'SECURITY.md',
    ];
    expect(packed).toEqual(expect.arrayContaining(wanted));
    const inner = packed.filter((path) => /^(?:src|test|bench|scripts)\/|\.test\./.test(path));
    expect(inner).toEqual([]);
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      exports: Record<string, string | Record<string, string>>;
    };
    const targets = Object.values(exports).flatMap((target) =>
      typeof target === 'string' ? [target] : Object.values(target),
    );
    for (const target of targets) expect(packed).toContain(target.replace('./', ''));
  });

  test('can be imported: client and agent', async () => {
    const script = `
      const { connect } = await import('tephradb/client');
      const { start } = await import('tephradb/agent');
      console.log(typeof connect, typeof start);`;
    const args = ['--input-type=module', '--eval', script];
    const { code, out, err } = await asUser(process.execPath, args);
    expect({ code, out, err }).toEqual({ code: 0, out: 'function function\n', err: '' });
  });

  test('is `tephra` without arguments: help', async () => {
    const { out, err } = await asUser(bin('tephra'), []);
    expect(out + err).toMatch(/Usage: tephra/);
  });

  test(
    'serves as `tephradb` without arguments, takes a push and answers a diff',
    async () => {
      const data = join(work, 'data');
      const server = spawn(bin('tephradb'), [], {
        ...NOBODY,
        cwd: work,
        env: { ...userEnvironment(), TEPHRA_LISTEN: '127.0.0.1:0' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const exit = once(server, 'exit') as Promise<[number | null]>;
      try {
        const url = await listeningAt(server);
        const tephra = async (...args: string[]): Promise<string> => {
          const { code, out, err } = await asUser(bin('tephra'), [...args, '--server', url]);
          expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
          return out;
        };
        writeFileSync(join(work, 'before.txt'), 'main;tax 10\nmain;render 30\n');
        writeFileSync(join(work, 'after.txt'), 'main;tax 50\nmain;render 30\n');
        await tephra('push', 'before.txt', '--service', 'shop', '--at', 'now-20m');
        await tephra('push', 'after.txt', '--service', 'shop');
        const range = ['--from', 'now-10m', '--base-from', 'now-30m', '--base-to', 'now-10m'];
        const diff = await tephra('query', 'diff', '--service', 'shop', ...range);
        expect(diff).toMatch(/\btax\b/);
        expect(diff).not.toMatch(/NaN|undefined/);
        const page = await fetch(`${url}/`);
        expect([page.status, await page.text()]).toEqual([200, expect.stringMatching(/<html/)]);
      } finally {
        server.kill('SIGTERM');
      }
      expect(await exit).toEqual([0, null]);
      // It wrote where it says that it does, and nowhere else.
      expect(existsSync(data)).toBe(true);
      expect(readdirSync(work).sort()).toEqual(['after.txt', 'before.txt', 'data']);
      expect(readdirSync(home)).toEqual([]);
    },
    SERVE_MS,
  );

  function bin(name: string): string {
    return join(folder, 'node_modules', '.bin', name);
  }

  function userEnvironment(): NodeJS.ProcessEnv {
    return { ...cleanEnvironment(), HOME: home, XDG_CONFIG_HOME: undefined };
  }

  async function asUser(
    command: string,
    args: readonly string[],
  ): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
    const child = spawn(command, args, {
      ...NOBODY,
      cwd: work,
      env: userEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const texts = { out: '', err: '' };
    child.stdout.on('data', (piece: Buffer) => (texts.out += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (texts.err += piece.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, ...texts };
  }
});

/** The address that a starting server tells in its log. */
async function listeningAt(server: ReturnType<typeof spawn>): Promise<string> {
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        const address = /"address":"([^"]+)".*"msg":"listening"/.exec(line)?.[1];
        if (address !== undefined) resolve(`http://${address}`);
      });
    }
    server.once('exit', (code) => {
      reject(new Error(`it ended with code ${code}:\n${said.join('\n')}`));
    });
  });
}
