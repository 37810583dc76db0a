/** Every example that a help text shows is run as it stands there, by a shell, against a real server. */
import { Readable } from 'node:stream';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { runCli } from '../../src/cli/program.ts';
import { cleanEnvironment, type ServerProcess, Servers } from '../end-to-end/server-process.ts';
import { writeShopProfiles } from '../support/shop-profiles.ts';
import { runIn, type Around } from './run.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const TIMEOUT_MS = 300_000;
const COMMANDS = [
  [],
  ['serve'],
  ['push'],
  ['stream'],
  ['query'],
  ['query', 'top'],
  ['query', 'merge'],
  ['query', 'diff'],
  ['query', 'series'],
  ['query', 'labels'],
  ['config'],
  ['config', 'print'],
  ['verify'],
  ['inspect'],
  ['doctor'],
  ['completion'],
  ['version'],
];

const servers = new Servers();
let server: ServerProcess;
let folder = '';
let environment: NodeJS.ProcessEnv = {};

beforeAll(async () => {
  server = await servers.start('data');
  folder = servers.path('.');
  process.chdir(folder);
  mkdirSync(join(folder, 'bin'));
  const program = join(folder, 'bin', 'tephra');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${ROOT}/bin/tephra.cjs' "$@"\n`);
  chmodSync(program, 0o755);
  // Where there is no perf, or it may not record: it says what it said once.
  const perf = join(folder, 'bin', 'perf');
  const script = 'make 7 1.5: 10101010 cpu-clock: \\n\\t1f inner+0xc (/bin/make)\\n\\n';
  writeFileSync(perf, `#!/bin/sh\n[ "$1" = record ] || printf '${script}'\n`);
  chmodSync(perf, 0o755);
  environment = {
    ...cleanEnvironment(),
    PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
    HOME: folder,
    TEPHRA_URL: server.url,
    TEPHRA_LISTEN: '127.0.0.1:0',
    STAGING: server.url,
    PRODUCTION: server.url,
  };
  writeShopProfiles(folder, 1_000_000n);
  writeFileSync(join(folder, 'stacks.folded'), 'main;parse 12\nmain;render 30\n');
  for (const [file, flags] of [
    ['before.pb.gz', '--at now-90m'],
    ['before.pb.gz', '--label version=1.4 --label region=eu'],
    ['after.pb.gz', '--label version=1.5'],
  ] as const) {
    const { code, err } = await shell(`tephra push ${file} --service shop ${flags}`);
    if (code !== 0) throw new Error(err);
  }
}, TIMEOUT_MS);
afterAll(async () => {
  process.chdir(ROOT);
  await servers.end();
});

interface Ended {
  readonly line: string;
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** What the shell only has to cut into words runs in this process: a start of Node for each takes its time. */
async function shell(line: string, more: NodeJS.ProcessEnv = {}): Promise<Ended> {
  if (/^tephra (?:push|query|config|completion|version)\b[\w ./=:%-]*$/.test(line)) {
    const words = line.split(/ +/).slice(1);
    const around = { environment: { ...environment, ...more }, nowMs: Date.now() };
    return { line, ...(await runIn(around as Around, ...words)) };
  }
  const child = spawn('bash', ['-c', line], {
    cwd: folder,
    env: { ...environment, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (piece: Buffer) => (texts.out += piece.toString()));
  child.stderr.on('data', (piece: Buffer) => (texts.err += piece.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { line, code, ...texts };
}

/** The lines behind `$` in the help of a command. */
async function examplesOf(path: readonly string[]): Promise<string[]> {
  let text = '';
  const code = await runCli([...path, '--help'], {
    out: { write: (piece) => (text += String(piece)) },
    err: { write: () => {} },
    input: () => Promise.resolve(new Uint8Array(0)),
    inputStream: () => Readable.from([]),
    environment: {},
    clock: systemClock,
    timers: systemTimers,
  });
  expect(code).toBe(0);
  const examples = [...text.matchAll(/^ {2}\$ (.*)$/gm)].map(([, line = '']) => line);
  expect([path.join(' '), examples.length > 0]).toEqual([path.join(' '), true]);
  return examples;
}

test(
  'every example of every help text works',
  async () => {
    const all = new Set((await Promise.all(COMMANDS.map(examplesOf))).flat());
    const isServe = (line: string): boolean => /\btephra serve\b/.test(line);
    const isOffline = (line: string): boolean => /\btephra (?:verify|inspect)\b/.test(line);
    const lines = [...all];
    // Two at a time, as there are cores.
    const online = lines.filter((line) => !isServe(line) && !isOffline(line)).toReversed();
    const run = async (): Promise<void> => {
      for (let line = online.pop(); line !== undefined; line = online.pop()) {
        const ended = await shell(line);
        expect(ended).toMatchObject({ code: 0 });
        // What was written is told on standard error; everything else is an answer.
        if (
          !/push|tephra stream/.test(line) &&
          !/-o |> /.test(line) &&
          !line.startsWith('source')
        ) {
          expect([line, ended.out === '']).toEqual([line, false]);
        }
      }
    };
    await Promise.all([run(), run()]);
    for (const file of ['shop.svg', 'shop.pb.gz', 'cpu.speedscope.json', 'release.svg']) {
      expect([file, existsSync(join(folder, file))]).toEqual([file, true]);
    }
    expect(readFileSync(join(folder, 'release.svg'), 'utf8')).toContain('version="1.5"');

    expect(await server.stop()).toBe(0);
    const KEY = (await shell('tephra inspect --list raw/')).out.split('\n')[0] ?? '';
    for (const line of lines.filter(isOffline)) {
      expect(await shell(line, { KEY })).toMatchObject({ code: 0 });
    }
    for (const line of lines.filter(isServe)) await serves(line);
  },
  TIMEOUT_MS,
);

/** Starts what the line says, and stops it once it listens. */
async function serves(line: string): Promise<void> {
  // The shell may or may not become the server: the signal goes to both.
  const child = spawn('bash', ['-c', line], {
    cwd: folder,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  let out = '';
  let told = false;
  child.stdout.on('data', (piece: Buffer) => {
    out += piece.toString();
    if (told || !out.includes('"msg":"listening"')) return;
    told = true;
    process.kill(-(child.pid as number), 'SIGTERM');
  });
  await once(child.stdout, 'close');
  expect([line, out]).toEqual([line, expect.stringContaining('"msg":"stopped"')]);
}
