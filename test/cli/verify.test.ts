import { Readable } from 'node:stream';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemTimers } from '../../src/base/clock.ts';
import { runCli } from '../../src/cli/program.ts';
import { buildFixture, Opened, OPEN_MS } from '../torture/damage/fixture.ts';

let folder = '';
let data = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tephra-verify-'));
  data = join(folder, 'data');
  await buildFixture(data);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

async function tephra(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await runCli(args, {
    out: { write: (text) => (out += String(text)) },
    err: { write: (text) => (err += String(text)) },
    environment: { TEPHRA_DATA_DIR: data },
    input: () => Promise.resolve(new Uint8Array(0)),
    inputStream: () => Readable.from([]),
    timers: systemTimers,
    clock: { nowMs: () => OPEN_MS, monotonicMs: () => performance.now() },
  });
  return { code, out, err };
}

test('verify says that all is well, shallow and deep, and exits with 0', async () => {
  for (const flags of [[], ['--deep']]) {
    const { code, out, err } = await tephra('verify', ...flags);
    expect(out).toBe('');
    expect(err).toMatch(/^\d+ blobs, [\d.]+ MiB in \d+ volumes?, [\d.]+ s: all is well\n$/);
    expect(code).toBe(0);
  }
}, 60_000);

test('verify refuses a directory that is served, or is none', async () => {
  const opened = await Opened.open(data, () => OPEN_MS);
  expect(await tephra('verify')).toMatchObject({
    code: 1,
    err: expect.stringContaining('data_dir_in_use'),
  });
  await opened.close();
  expect(await tephra('verify', '--data-dir', folder)).toMatchObject({
    code: 1,
    err: expect.stringContaining('no data directory'),
  });
  expect((await tephra('verify', '--depp')).code).toBe(2);
});

test('inspect shows every kind of blob, from the directory and from a file', async () => {
  const { out } = await tephra('inspect', '--list', '');
  const keys = out.split('\n');
  const shown = async (pattern: RegExp): Promise<string> => {
    const key = keys.find((one) => pattern.test(one)) ?? 'none';
    const run = await tephra('inspect', key);
    expect([key, run.code, run.err]).toEqual([key, 0, '']);
    return run.out;
  };
  expect(await shown(/\/r\//)).toMatch(/^root, .*absorbed of incarnation 1: 1.*block /s);
  expect(await shown(/^raw.*\/m\//)).toMatch(/^head mark, .*incarnation 1: seq /s);
  expect(await shown(/\/f\//)).toMatch(
    /^fragment, .*section anonymous .*series 0: process_cpu.*push 0/s,
  );
  expect(await shown(/\/b\//)).toMatch(/^block, .*minutes.*pushes, series .* total /s);
  expect(await shown(/\/s\//)).toMatch(/^dictionary segment, .*string \d+: "m/s);
  expect(await shown(/\/o\//)).toMatch(/^outline of .*slice anonymous/s);
  const file = join(folder, 'blob');
  writeFileSync(file, Buffer.from('not a blob of ours'));
  expect(await tephra('inspect', file)).toMatchObject({
    code: 1,
    err: expect.stringContaining('magic'),
  });
  expect(await tephra('inspect', 'raw/x/y')).toMatchObject({
    code: 1,
    err: expect.stringContaining('not_found'),
  });
}, 60_000);

test('verify names what is damaged and exits with 3', async () => {
  const file = join(data, 'high-water');
  const whole = readFileSync(file);
  writeFileSync(file, whole.subarray(1));
  const { code, out, err } = await tephra('verify');
  writeFileSync(file, whole);
  expect(out).toMatch(/^damaged high-water: .*\n$/);
  expect(err).toContain('1 damaged or lost');
  expect(code).toBe(3);
});
