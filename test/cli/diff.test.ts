import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { fromBinary } from '@bufbuild/protobuf';
import { parseSide } from '../../src/cli/query/side-spec.ts';
import { ProfileSchema } from '../../src/gen/google/v1/profile_pb.ts';
import { startFixture, type Fixture } from '../server/fixture.ts';
import { NOW, runIn, type Ran } from './run.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const HOUR = 3_600_000;

let eu: Fixture;
let us: Fixture;
let folder = '';
beforeAll(async () => {
  eu = await startFixture();
  us = await startFixture();
  for (const { engine } of [eu, us]) engine.labelValues = async () => [CPU];
  folder = mkdtempSync(join(tmpdir(), 'tephra-diff-'));
  writeFileSync(join(folder, 'a.folded'), 'main;read 10\nmain;write 10\n');
  writeFileSync(join(folder, 'b.folded'), 'main;read 25\nmain;close 5\n');
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await Promise.all([eu.server.stop(1_000), us.server.stop(1_000)]);
});
afterEach(() => {
  eu.engine.calls.length = 0;
  us.engine.calls.length = 0;
});

const file = (name: string): string => join(folder, name);
const tephra = (...args: string[]): Promise<Ran> =>
  runIn({ environment: { TEPHRA_URL: eu.url } }, 'query', ...args);

describe('a side', () => {
  test.each([
    ['now-2h..now-1h', { from: 'now-2h', to: 'now-1h' }],
    ['now-2h..', { from: 'now-2h', to: 'now' }],
    ['{version="1.4"}', { selector: '{version="1.4"}' }],
    ['{a="x}..y"} now-1h..now', { selector: '{a="x}..y"}', from: 'now-1h', to: 'now' }],
    [
      'http://eu:4040 {a="b c"} now-2h..now',
      { url: 'http://eu:4040', selector: '{a="b c"}', from: 'now-2h', to: 'now' },
    ],
    ['https://eu/tephra', { url: 'https://eu/tephra' }],
  ])('%j is a question', (text, parts) => {
    expect(parseSide(text, '--left')).toEqual({ kind: 'query', ...parts });
  });

  test('that names a file is a file', () => {
    expect(parseSide(file('a.folded'), '--left')).toEqual({ kind: 'file', path: file('a.folded') });
  });

  test.each([
    ['nope.pb.gz', 'there is no file "nope.pb.gz"'],
    ['yesterday', 'found "yesterday"'],
    ['', 'found nothing'],
    ['{a="b"} x', 'found "x"'],
  ])('%j is none', (text, says) => {
    expect(() => parseSide(text, '--left')).toThrow(says);
  });
});

describe('tephra query diff', () => {
  test('of two files asks no server', async () => {
    const run = await tephra('diff', '--left', file('a.folded'), '--right', file('b.folded'));
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out.split('\n').slice(0, 8)).toEqual([
      'left   20  a.folded',
      'right  30  b.folded  (+10, +50.0%)',
      '',
      'Functions, by what they used themselves',
      'change    ratio  of total  left      %  right      %  function',
      '   +15  +150.0%  +33.3 pp    10  50.0%     25  83.3%  read',
      '   -10     gone  -50.0 pp    10  50.0%      0   0.0%  write',
      '    +5      new  +16.7 pp     0   0.0%      5  16.7%  close',
    ]);
    expect(eu.engine.calls).toEqual([]);
  });

  test('of two servers lays their answers over each other', async () => {
    const run = await tephra(
      'diff',
      '--left',
      us.url,
      '--right',
      `${eu.url} now-10m..now`,
      '--json',
    );
    expect(run.code).toBe(0);
    const answer = JSON.parse(run.out) as Record<string, unknown>;
    expect(answer).toMatchObject({
      kind: 'diff',
      left: { server: us.url, from: '2026-08-01T11:50:00Z' },
      right: { server: eu.url, from: '2026-08-01T11:50:00Z', to: '2026-08-01T12:00:00Z' },
      leftTotal: 11,
      rightTotal: 11,
      exact: true,
      functions: [],
      smallFunctions: { count: 0, change: 0, unchanged: 1 },
    });
    expect(us.engine.calls.at(-1)).toMatchObject({ method: 'flameGraph' });
  });

  test('of two questions to one server is one question', async () => {
    const sides = ['--left', '{v="1"}', '--right', '{v="2"}', '--service', 'shop'];
    expect((await tephra('diff', ...sides)).code).toBe(0);
    expect(eu.engine.calls.at(-1)?.args[0]).toMatchObject({
      left: { selector: '{service_name="shop",v="1"}', startMs: NOW - HOUR, endMs: NOW },
      right: { selector: '{service_name="shop",v="2"}', startMs: NOW - HOUR, endMs: NOW },
    });
    await tephra('diff', '--type', CPU, '--right', '{v="2"} now-10m..now');
    expect(eu.engine.calls.at(-1)?.args[0]).toMatchObject({
      left: { selector: '{v="2"}', endMs: NOW - 600_001 },
    });
  });

  test('of a file and a server refuses units that differ', async () => {
    const run = await tephra('diff', '--left', file('a.folded'), '--right', 'now-1h..now');
    expect([run.code, run.err]).toEqual([2, expect.stringContaining('--type: none is')]);
  });

  test.each([
    [['--left', 'a', '--base-from', 'now-2h'], 'leave one out'],
    [['--left', 'FILE'], '--right is missing'],
    [['--right', 'FILE'], '--left is missing'],
    [['--floor', '5'], '--floor: expected 0% to 100%'],
    [['--left', 'x..y', '--type', CPU], '--left FROM: expected now-1h'],
  ])('%j exits with 2', async (args, says) => {
    const given = args.map((arg) => arg.replace('FILE', file('a.folded')));
    const run = await tephra('diff', ...given);
    expect([run.code, run.err]).toEqual([2, expect.stringContaining(says)]);
  });

  test('writes every form, chosen by the end of the name', async () => {
    const sides = ['--left', file('a.folded'), '--right', file('b.folded')];
    const written = async (end: string): Promise<Buffer> => {
      const out = file(`d${end}`);
      const run = await tephra('diff', ...sides, '-o', out);
      expect(run).toMatchObject({ code: 0, out: '', err: expect.stringContaining(`wrote ${out}`) });
      return readFileSync(out);
    };
    expect((await written('.folded')).toString().split('\n').sort()).toEqual([
      '',
      'main;close 0 5',
      'main;read 10 25',
      'main;write 10 0',
    ]);
    const scope = JSON.parse((await written('.speedscope.json')).toString()) as {
      shared: { frames: { name: string }[] };
      profiles: { name: string; samples: number[][]; weights: number[]; endValue: number }[];
    };
    expect(scope.profiles.map(({ name, endValue }) => [name, endValue])).toEqual([
      ['left: a.folded', 20],
      ['right: b.folded', 30],
    ]);
    for (const { samples, weights, endValue } of scope.profiles) {
      expect(weights.reduce((sum, weight) => sum + weight, 0)).toBe(endValue);
      for (const frame of samples.flat()) expect(scope.shared.frames[frame]).toBeDefined();
    }
    const profile = fromBinary(ProfileSchema, gunzipSync(await written('.pb.gz')));
    const values = profile.sample.map(({ value }) => value[0] ?? 0n);
    expect(values.reduce((sum, value) => sum + value, 0n)).toBe(10n);
    expect((await written('.svg')).toString()).toMatch(/^<svg .*<\/svg>\n$/s);
    const dot = (await written('.dot')).toString();
    expect(dot).toMatch(
      /f\d \[label="write\\nself -10\\ntotal -10 \(-50\.0 pp\)".*fillcolor="#67a9cf"/,
    );
    expect(dot).toMatch(/f0 -> f\d \[label="\+15"/);
    expect(JSON.parse((await written('.json')).toString())).toMatchObject({
      leftTotal: 20,
      functions: [
        { name: 'read' },
        { name: 'write', left: 10, right: 0, change: -10, shareChange: -0.5 },
        { name: 'close' },
      ],
      stacks: [{ stack: ['main', 'read'] }, {}, {}],
    });
    expect((await written('.txt')).toString()).toContain('Stacks');
  });
});

describe('what a command line says and where', () => {
  test('colours come on a terminal, and never with NO_COLOR', async () => {
    const args = ['query', 'diff', '--left', file('a.folded'), '--right', file('b.folded')];
    const onTerminal = await runIn({ columns: 100 }, ...args);
    expect(onTerminal.out).toContain('\u001b[38;5;208m');
    for (const around of [{}, { columns: 100, environment: { NO_COLOR: '1' } }]) {
      expect((await runIn(around, ...args)).out).not.toContain('\u001b');
    }
  });

  test('bytes are not written to a terminal', async () => {
    const run = await runIn({ columns: 80 }, 'query', 'top', file('a.folded'), '--format', 'pprof');
    expect([run.code, run.err]).toEqual([2, expect.stringContaining('-o FILE')]);
  });

  test('who waits for more than two seconds is told what for, and the line goes away', async () => {
    let open = (): void => {};
    eu.engine.gate = new Promise((resolve) => (open = resolve));
    let err = '';
    const { runCli } = await import('../../src/cli/program.ts');
    let nowMs = 0;
    let tell = (_callback: () => void): void => {};
    const asked = new Promise<() => void>((resolve) => (tell = resolve));
    const done = runCli(['query', 'top', '--type', CPU], {
      out: { write: () => {} },
      err: { write: (text) => (err += String(text)), isTTY: true, columns: 60 },
      input: () => Promise.resolve(new Uint8Array(0)),
      inputStream: () => Readable.from([]),
      environment: { TEPHRA_URL: eu.url },
      clock: { nowMs: () => NOW, monotonicMs: () => nowMs },
      timers: {
        after: (_delay, callback) => {
          tell(callback);
          return () => {};
        },
        yield: () => Promise.resolve(),
      },
    });
    const due = await asked;
    nowMs = 3_200;
    due();
    expect(err).toBe(`\r\u001b[Kasking ${eu.url} … 3 s`);
    open();
    eu.engine.gate = Promise.resolve();
    expect(await done).toBe(0);
    expect(err).toContain(' 3 s\r\u001b[K');
  });

  test('the file of the client names the server, and its token goes nowhere else', async () => {
    const seen: (string | null)[] = [];
    const see = (message: unknown): void => {
      const { headers } = (message as { readonly request: IncomingMessage }).request;
      seen.push(headers.authorization ?? null);
    };
    subscribe('http.server.request.start', see);
    try {
      mkdirSync(join(folder, '.config', 'tephra'), { recursive: true });
      const config = join(folder, '.config', 'tephra', 'config.json');
      writeFileSync(config, JSON.stringify({ url: `${us.url}/`, token: 'secret' }));
      const push = (environment: Record<string, string>, ...args: string[]): Promise<Ran> =>
        runIn(
          { environment: { HOME: folder, ...environment }, input: 'a;b 3\n' },
          'push',
          '-',
          '--service',
          'x',
          '--json',
          ...args,
        );
      const run = await push({});
      expect(JSON.parse(run.out)).toEqual({
        kind: 'push',
        stored: [{ file: '-', service: 'x', bytes: 6 }],
        failed: [],
      });
      await push({ TEPHRA_URL: eu.url });
      await push({}, '--server', eu.url);
      await push({ TEPHRA_URL: eu.url, TEPHRA_TOKEN: 'mine' });
      await push({ TEPHRA_TOKEN: 'mine' }, '--token', 'flag');
      expect(seen).toEqual(['Bearer secret', null, null, 'Bearer mine', 'Bearer flag']);
      expect([us.engine.pushed.length, eu.engine.pushed.length]).toEqual([2, 3]);
      writeFileSync(config, '{"url": 5}');
      const wrong = await push({});
      expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('config.json: url')]);
    } finally {
      unsubscribe('http.server.request.start', see);
    }
  });

  test('series, labels and version answer as tables and as JSON', async () => {
    const series = await tephra('series', '--type', CPU, '--step', '1m');
    expect(series.out).toContain('pod="a"');
    expect(JSON.parse((await tephra('series', '--type', CPU, '--json')).out)).toMatchObject({
      kind: 'series',
      stepMs: 60_000,
      lines: [{ labels: { pod: 'a' }, points: [[75_000, 1.5]] }],
    });
    expect((await tephra('labels')).out).toBe('__name__\nservice_name\n');
    expect(JSON.parse((await tephra('labels', 'service_name', '--json')).out)).toEqual({
      kind: 'labels',
      name: 'service_name',
      values: [CPU],
    });
    const version = await runIn({}, 'version', '--json');
    expect(JSON.parse(version.out)).toMatchObject({ node: process.versions.node });
    const top = JSON.parse((await tephra('top', '--type', 'cpu', '--json')).out) as object;
    expect(top).toMatchObject({ total: 11, functions: [{ name: 'main', self: 11, total: 11 }] });
    const merge = JSON.parse((await tephra('merge', file('a.folded'), '--json')).out) as object;
    expect(merge).toMatchObject({
      source: { file: file('a.folded') },
      nodes: [
        { name: 'total', parent: null, total: 20 },
        { name: 'main', parent: 0, self: 0 },
        { parent: 1 },
        { parent: 1 },
      ],
    });
  });

  test('config print says where values come from, and --json is a file that serve takes', async () => {
    const environment = { TEPHRA_RETENTION_RAW: '12h' };
    const run = await runIn({ environment }, 'config', 'print', '--max-body', '16MiB');
    expect(run.out).toMatch(/^retentionRaw +TEPHRA_RETENTION_RAW +12h$/m);
    expect(run.out).toMatch(/^maxBody +--max-body +16MiB$/m);
    expect(run.out).toMatch(/^listen +default +127\.0\.0\.1:4040$/m);
    const json = await runIn({ environment }, 'config', 'print', '--json');
    writeFileSync(file('config.json'), json.out);
    const again = await runIn({}, 'config', 'print', '--json', '--config', file('config.json'));
    expect(again.out).toBe(json.out);
  });
});
