/**
 * Real profiles through a real server with three workers: what comes back equals what an independent
 * reader finds in the file, value by value.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import {
  type Compared,
  expectAll,
  pushConnect,
  type Pushed,
  pushGrpc,
  pushIngest,
} from './check.ts';
import { crookedProfile } from './crooked-profile.ts';
import { type NaiveProfile, readFileNaively } from './naive-profile.ts';
import { type ServerProcess, Servers, tell } from './server-process.ts';

const OURS = join(import.meta.dirname, '..', 'data', 'pprof');
const CORPUS = process.env['TEPHRA_CORPUS'];

/** `__name__` by the rules of `/ingest`, written down once by hand. */
const INGEST_NAMES: ReadonlyMap<string, string> = new Map([
  ['go.cpu.labels', 'process_cpu'],
  ['gocompile.cpu', 'process_cpu'],
  ['go.heap', 'memory'],
  ['go.allocs', 'memory'],
  ['go.goroutine', 'goroutine'],
  ['go.mutex', 'mutex'],
  ['go.block', 'mutex'],
  ['go.threadcreate', 'threadcreate'],
  ['node.wall', 'wall'],
  ['node.heap', 'memory'],
  ['google-cppbench.cpu', 'process_cpu'],
  ['google-sample.cpu', 'process_cpu'],
]);

/** Asks for everything, by `npm run prove:corpus`; else the large files are left out. */
const WHOLE = process.env['TEPHRA_WHOLE_CORPUS'] !== undefined;

/** Larger files (240 s of a large program) are asked for less, or they take all the time. */
const LARGE_BYTES = 1_000_000;

const profilesIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.pb.gz'))
    .map((name) => join(folder, name));
const nameOf = (file: string): string => basename(file, '.pb.gz');

const servers = new Servers(3);
let server: ServerProcess;
const pushes: Pushed[] = [];
const compared: Compared = { stacks: 0, answers: 0 };

// The files are as old as they are; some clocks are behind them.
const start = (): Promise<ServerProcess> =>
  servers.start('data', '--retention-minutes', 'unlimited', '--allowed-future', 'unlimited');
beforeAll(async () => {
  server = await start();
});
afterAll(async () => {
  await servers.end();
  tell(`corpus: ${pushes.length} pushes, ${compared.answers} merges, ${compared.stacks} stacks`);
});

/** Pushes over one surface, remembers it for the restart, and compares. */
async function check(
  profile: NaiveProfile,
  service: string,
  name: string,
  push: (service: string) => Promise<void>,
  sums: 'all' | 'last' | 'none' = 'all',
): Promise<void> {
  const pushed: Pushed = { profile, service, nameOf: () => name, arrivedMs: Date.now() };
  expect(pushed.profile.series.length).toBeGreaterThan(0);
  await push(service);
  pushes.push(pushed);
  count(await expectAll(server, pushed, sums));
}

function count({ answers, stacks }: Compared): void {
  compared.answers += answers;
  compared.stacks += stacks;
}

async function checkFile(file: string): Promise<void> {
  const bytes = readFileSync(file);
  const profile = readFileNaively(bytes);
  const name = nameOf(file);
  const type = name.replaceAll(/\W/g, '_');
  const isLarge = bytes.byteLength > LARGE_BYTES;
  const overConnect = (to: string): Promise<void> => pushConnect(server, bytes, type, to);
  await check(profile, `${name}/connect`, type, overConnect, isLarge ? 'last' : 'all');
  if (isLarge) return;
  await check(profile, `${name}/grpc`, type, (to) => pushGrpc(server, bytes, type, to), 'none');
  const ingestName = INGEST_NAMES.get(name);
  if (ingestName === undefined) return;
  await check(profile, `${name}/ingest`, ingestName, (to) => pushIngest(server, bytes, to), 'none');
}

// Generous: the machine may be busy with other suites.
jest.setTimeout(90_000);

describe('what comes back of a profile is what is in it', () => {
  const ours = profilesIn(OURS);
  test('there are profiles', () => {
    expect(ours.length).toBeGreaterThanOrEqual(10);
  });
  test.each(ours.map((file) => [nameOf(file), file]))('%s', async (_name, file) => {
    await checkFile(file);
  });

  test('a profile with everything that is legal and rare', async () => {
    const bytes = crookedProfile();
    const profile = readFileNaively(bytes);
    await check(profile, 'crooked/connect', 'odd', (to) => pushConnect(server, bytes, 'odd', to));
    expect(pushes.at(-1)?.profile.series.length).toBe(3);
  });

  const own = new Set(ours.map(nameOf));
  const others = CORPUS === undefined ? [] : profilesIn(join(CORPUS, 'pprof'));
  const foreign = others.filter(
    (file) => !own.has(nameOf(file)) && (WHOLE || readFileSync(file).byteLength <= LARGE_BYTES),
  );
  (foreign.length > 0 ? test : test.skip)(
    `profiles of other people${foreign.length > 0 ? '' : ' (skipped: TEPHRA_CORPUS names none)'}`,
    async () => {
      for (const file of foreign) await checkFile(file);
    },
    180_000,
  );

  test('all of them are the same after a restart', async () => {
    expect(await server.stop()).toBe(0);
    server = await start();
    for (const pushed of pushes) {
      if (!pushed.service.endsWith('/connect')) continue;
      count(await expectAll(server, pushed, 'none'));
    }
  }, 120_000);
});
