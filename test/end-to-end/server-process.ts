import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { get as getByTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Client, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { PusherService } from '../../src/gen/push/v1/push_pb.ts';
import { QuerierService } from '../../src/gen/querier/v1/querier_pb.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PROGRAM = join(ROOT, 'bin', 'tephra.cjs');
const START_MS = 60_000;

/** A program that ran to its end. */
export interface Finished {
  readonly code: number | null;
  readonly out: Buffer;
  readonly err: string;
}

/** The environment of the test without what configures Tephra; servers do not profile themselves. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('TEPHRA_'));
  return { ...Object.fromEntries(others), TEPHRA_SELF_PROFILE: 'false' };
}

/** Runs a program to its end. */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly timeoutMs?: number } = {},
): Promise<Finished> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out: Buffer.concat(out), err: Buffer.concat(err).toString() };
}

/** Runs the command line of the built program. */
export function tephra(...args: string[]): Promise<Finished> {
  return run(process.execPath, [PROGRAM, ...args]);
}

/** A server in a process of its own, built from `dist/`. */
export class ServerProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** From the start of the process until `/ready` answered 200. */
  readonly readyMs: number;
  readonly pusher: Client<typeof PusherService>;
  readonly querier: Client<typeof QuerierService>;
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;

  constructor(child: ChildProcess, exit: Promise<number | null>, url: string, readyMs: number) {
    this.#child = child;
    this.#exit = exit;
    this.url = url;
    this.port = Number(new URL(this.url).port);
    this.pid = child.pid ?? 0;
    this.readyMs = readyMs;
    const transport = createConnectTransport({
      baseUrl: this.url,
      httpVersion: '1.1',
      useBinaryFormat: true,
      nodeOptions: { rejectUnauthorized: false },
    });
    this.pusher = createClient(PusherService, transport);
    this.querier = createClient(QuerierService, transport);
  }

  /** Ends the process, if it has not ended; resolves with its exit code, null where a signal killed it. */
  async stop(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    this.#child.kill(signal);
    return this.#exit;
  }

  /** User and system time of all threads so far; undefined where there is no /proc. */
  cpuMs(): number | undefined {
    const file = `/proc/${this.pid}/stat`;
    if (!existsSync(file)) return undefined;
    // The name, in brackets, may hold spaces; ticks are hundredths of a second.
    const fields = readFileSync(file, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return 10 * (Number(fields[11]) + Number(fields[12]));
  }

  /** The value of a counter of the engine, once the jobs have published it. */
  async engineCounter(name: string): Promise<number | undefined> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const line = text.split('\n').find((row) => row.startsWith(`tephra_engine{counter="${name}"}`));
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ')));
  }
}

/** Starts servers for one test file, and ends those that are left. */
export class Servers {
  readonly #workers: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'tephra-end-to-end-'));
  readonly #started: ServerProcess[] = [];

  /** With so many worker threads each. More than one where answers are to be joined: each takes its time to start. */
  constructor(workers = 1) {
    this.#workers = workers;
  }

  /** A path in a folder that goes with the test file. */
  path(name: string): string {
    return join(this.#folder, name);
  }

  /**
   * Starts a server on a directory in this folder; rejects with its output if it ends first. With a
   * `--tls-cert` its own clients do not check it.
   */
  async start(directory: string, ...flags: string[]): Promise<ServerProcess> {
    const args = ['serve', '--data-dir', this.path(directory), '--workers', `${this.#workers}`];
    if (!flags.includes('--listen')) args.push('--listen', '127.0.0.1:0');
    const startedMs = performance.now();
    const child = spawn(process.execPath, [PROGRAM, ...args, ...flags], {
      cwd: this.#folder,
      env: cleanEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exit = once(child, 'exit').then(([code]) => code as number | null);
    const address = (await addressOf(child, exit)).replace('0.0.0.0', '127.0.0.1');
    const url = `${flags.includes('--tls-cert') ? 'https' : 'http'}://${address}`;
    const prefix = flags.includes('--path-prefix') ? flags[flags.indexOf('--path-prefix') + 1] : '';
    const status = await statusOf(`${url}${prefix}/ready`);
    if (status !== 200) throw new Error(`/ready answered ${status}`);
    const server = new ServerProcess(child, exit, url, performance.now() - startedMs);
    this.#started.push(server);
    return server;
  }

  /** Ends every server and removes the folder. */
  async end(): Promise<void> {
    await Promise.all(this.#started.map((server) => server.stop('SIGKILL')));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const read = (answer: IncomingMessage): void => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode));
    };
    const request = url.startsWith('https')
      ? getByTls(url, { rejectUnauthorized: false, agent: false }, read)
      : get(url, { agent: false }, read);
    request.on('error', reject);
  });
}

/** The address in the log line that says `listening`; output is read on, so that no pipe fills. */
function addressOf(child: ChildProcess, exit: Promise<number | null>): Promise<string> {
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new Error(`the server ${why}:\n${said.join('\n')}`));
    };
    const timer = setTimeout(() => fail(`was not ready in ${START_MS} ms`), START_MS);
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        const address = /"address":"([^"]+)".*"msg":"listening"/.exec(line)?.[1];
        if (address === undefined) return;
        clearTimeout(timer);
        resolve(address);
      });
    }
    exit.then((code) => fail(`ended with code ${code}`)).catch(reject);
  });
}

/** Writes a figure below the results. */
export function tell(line: string): void {
  process.stdout.write(`  ${line}\n`);
}
