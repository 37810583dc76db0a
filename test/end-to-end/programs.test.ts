/**
 * Profiles made a moment ago by real programs, through a real server: Go's own profilers where Go is
 * present, `@datadog/pprof` in Node.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { toBinary } from '@bufbuild/protobuf';
import { ProfileSchema } from '../../src/gen/google/v1/profile_pb.ts';
import { expectAll, pushConnect, type Pushed, rangeAround } from './check.ts';
import {
  type NaiveProfile,
  readFileNaively,
  type Sums,
  sumsByName,
  totalOf,
} from './naive-profile.ts';
import { run, type ServerProcess, Servers, tell } from './server-process.ts';

const PROGRAMS = join(import.meta.dirname, 'programs');
const hasGo = spawnSync('go', ['version']).status === 0;
const withGo = hasGo ? describe : describe.skip;
const reason = hasGo ? '' : ' (skipped: no Go here)';
/** The first use of a Go toolchain compiles its standard library and pprof. */
const GO_MS = 180_000;

jest.setTimeout(GO_MS);

const servers = new Servers(3);
let server: ServerProcess;
let stacks = 0;
beforeAll(async () => {
  server = await servers.start('data');
});
afterAll(async () => {
  await servers.end();
  tell(`programs: ${stacks} stacks of profiles made just now`);
});

/** Runs a program that must not fail. */
async function runWell(...args: Parameters<typeof run>): Promise<void> {
  const { code, err } = await run(...args);
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${err}`);
}

/** Pushes a file and compares everything. */
async function check(file: string, service: string, name: string): Promise<Pushed> {
  const bytes = readFileSync(file);
  const pushed: Pushed = {
    profile: readFileNaively(bytes),
    service,
    nameOf: () => name,
    arrivedMs: Date.now(),
  };
  expect(pushed.profile.series.length).toBeGreaterThan(0);
  await pushConnect(server, bytes, name, service);
  const compared = await expectAll(server, pushed);
  stacks += compared.stacks;
  return pushed;
}

/** Sum over the stacks in which a function is that `pattern` matches, of one sample type. */
function under(profile: NaiveProfile, type: string, pattern: RegExp): bigint {
  const index = profile.types.findIndex((row) => row.type === type);
  let sum = 0n;
  for (const { sums } of profile.series) {
    for (const [names, value] of sumsByName(sums[index] as Sums)) {
      if (names.split('\n').some((name) => pattern.test(name))) sum += value;
    }
  }
  return sum;
}

interface TopRow {
  readonly flat: bigint;
  readonly cum: bigint;
}

/** What `go tool pprof -top` shows of a file, by function. */
async function topOf(file: string, unit: string): Promise<Map<string, TopRow>> {
  const args = ['-top', '-nodecount=100000', '-nodefraction=0', '-edgefraction=0'];
  const { code, out, err } = await run(
    'go',
    ['tool', 'pprof', ...args, '-symbolize=none', `-unit=${unit}`, file],
    { timeoutMs: GO_MS },
  );
  expect([code, err]).toEqual([0, expect.not.stringMatching(/error|malformed/i)]);
  const rows = new Map<string, TopRow>();
  const value = (text: string): bigint => BigInt(/^\d+/.exec(text)?.[0] ?? -1);
  for (const line of out.toString().split('\n')) {
    const [, flat, cum, name] =
      /^\s*(\d\S*)\s+\S+%\s+\S+%\s+(\d\S*)\s+\S+%\s+(.+)$/.exec(line) ?? [];
    if (flat === undefined || cum === undefined || name === undefined) continue;
    const plain = name.replace(/ \((?:partial-)?inline\)$/, '');
    expect(rows.has(plain)).toBe(false);
    rows.set(plain, { flat: value(flat), cum: value(cum) });
  }
  return rows;
}

/** The same of our reading of a file; functions that amount to nothing are not shown. */
function topOfSums(sums: readonly Sums[]): Map<string, TopRow> {
  const rows = new Map<string, { flat: bigint; cum: bigint }>();
  const row = (name: string): { flat: bigint; cum: bigint } => {
    const known = rows.get(name) ?? { flat: 0n, cum: 0n };
    rows.set(name, known);
    return known;
  };
  for (const one of sums) {
    for (const [path, value] of sumsByName(one)) {
      const names = path.split('\n');
      row(names.at(-1) as string).flat += value;
      for (const name of new Set(names)) row(name).cum += value;
    }
  }
  return rows;
}

/** Go opens our answer, merged over all label sets, and finds in it what is in the file. */
async function expectTop(pushed: Pushed, type: string, unit: string, goUnit: string) {
  const { profile, service, nameOf } = pushed;
  const { periodType } = profile;
  const answer = await server.querier.selectMergeProfile({
    profileTypeID: `${nameOf(type)}:${type}:${unit}:${periodType.type}:${periodType.unit}`,
    labelSelector: `{service_name="${service}"}`,
    ...rangeAround(pushed),
  });
  const file = servers.path(`${service}.answer.pb`);
  writeFileSync(file, toBinary(ProfileSchema, answer));
  const index = profile.types.findIndex((row) => row.type === type);
  const sums = profile.series.map((series) => series.sums[index] as Sums);
  const expected = topOfSums(sums);
  expect(sums.reduce((total, one) => total + totalOf(one), 0n)).toBeGreaterThan(0n);
  expect(await topOf(file, goUnit)).toEqual(expected);
}

withGo(`a Go program${reason}`, () => {
  let cpu = '';
  let heap = '';
  beforeAll(async () => {
    cpu = servers.path('go.cpu.pb.gz');
    heap = servers.path('go.heap.pb.gz');
    const program = servers.path('busy');
    await runWell('go', ['build', '-o', program, join(PROGRAMS, 'busy.go')], { timeoutMs: GO_MS });
    await runWell(program, [cpu, heap]);
  });

  test('CPU by label', async () => {
    const pushed = await check(cpu, 'go-cpu', 'process_cpu');
    const handlers = pushed.profile.series.map(({ labels }) => labels.get('handler'));
    expect(handlers).toEqual(expect.arrayContaining(['search', 'checkout']));
    expect(under(pushed.profile, 'cpu', /^main\.hashForever$/)).toBeGreaterThan(0n);
    await expectTop(pushed, 'cpu', 'nanoseconds', 'ns');
  });

  test('heap', async () => {
    const pushed = await check(heap, 'go-heap', 'memory');
    expect(under(pushed.profile, 'inuse_space', /^main\.keepBlocks$/)).toBeGreaterThan(1_000_000n);
    await expectTop(pushed, 'inuse_space', 'bytes', 'B');
  });
});

describe('a Node program', () => {
  let wall = '';
  let heap = '';
  beforeAll(async () => {
    wall = servers.path('node.wall.pb.gz');
    heap = servers.path('node.heap.pb.gz');
    await runWell(process.execPath, [join(PROGRAMS, 'busy.mjs'), wall, heap]);
  });

  test('wall by label', async () => {
    const pushed = await check(wall, 'node-wall', 'wall');
    const handlers = pushed.profile.series.map(({ labels }) => labels.get('handler'));
    expect(handlers).toEqual(expect.arrayContaining(['search', 'checkout']));
    expect(under(pushed.profile, 'wall', /hashForAWhile/)).toBeGreaterThan(0n);
  });

  test('heap', async () => {
    const pushed = await check(heap, 'node-heap', 'memory');
    expect(under(pushed.profile, 'inuse_space', /keepObjects/)).toBeGreaterThan(100_000n);
  });

  withGo(`in Go's own tool${reason}`, () => {
    test(
      'heap',
      async () => {
        const pushed = await check(heap, 'node-heap-for-go', 'memory');
        await expectTop(pushed, 'inuse_space', 'bytes', 'B');
      },
      GO_MS,
    );
  });
});
