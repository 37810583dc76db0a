import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { checkMemory, checkNode } from '../../src/cli/doctor/process.ts';
import { startFixture, type Fixture } from '../server/fixture.ts';
import { buildFixture, Opened } from '../torture/damage/fixture.ts';
import { runIn, type Ran } from './run.ts';

let folder = '';
let data = '';
let taken: Server;
let tephra: Fixture;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tephra-doctor-'));
  data = join(folder, 'data');
  await buildFixture(data);
  taken = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  tephra = await startFixture();
}, 120_000);
afterAll(async () => {
  taken.close();
  await tephra.server.stop(1_000);
  rmSync(folder, { recursive: true });
});

interface Finding {
  readonly check: string;
  readonly state: string;
  readonly found: string;
  readonly advice?: string;
}

/** The finding of one check, and how the command ended. Ballast is small: the disk of a test may be too. */
async function examine(check: string, ...args: string[]): Promise<Finding & { code: number }> {
  const run = await doctor('--json', '--ballast', '0B', ...args);
  const { findings } = JSON.parse(run.out) as { findings: Finding[] };
  const finding = findings.find((one) => one.check === check);
  expect([check, finding !== undefined]).toEqual([check, true]);
  return { ...finding!, code: run.code };
}

function doctor(...args: string[]): Promise<Ran> {
  return runIn(
    { environment: { HOME: folder }, nowMs: Date.now() },
    'doctor',
    '--listen',
    '127.0.0.1:0',
    ...args,
  );
}

describe('tephra doctor', () => {
  test('finds nothing wrong with a new directory and exits with 0', async () => {
    const run = await doctor('--data-dir', join(folder, 'a', 'new'));
    expect(run.out).toMatch(/^ok {4}directory {2}.*\/a\/new will be made at the first start$/m);
    expect(run.out).not.toMatch(/^bad/m);
    expect(run.code).toBe(0);
  });

  test('says what a data directory is, and who holds it', async () => {
    expect(await examine('lock', '--data-dir', data)).toMatchObject({
      state: 'ok',
      found: 'nobody holds it',
    });
    const opened = await Opened.open(data, () => Date.now());
    expect(await examine('lock', '--data-dir', data)).toMatchObject({
      state: 'ok',
      code: 0,
      found: expect.stringContaining(`held by pid ${process.pid}`),
    });
    await opened.close();
  }, 60_000);

  test('refuses a file, a folder with other things in it, and a damaged store.json', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const other = join(folder, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'letter.txt'), '');
    const broken = join(folder, 'broken');
    mkdirSync(broken);
    writeFileSync(join(broken, 'store.json'), '{}');
    for (const [path, found] of [
      [file, 'is a file'],
      [other, 'holds files and is no data directory'],
      [broken, 'is damaged'],
    ] as const) {
      expect(await examine('directory', '--data-dir', path)).toMatchObject({
        state: 'bad',
        code: 4,
        found: expect.stringContaining(found),
        advice: expect.any(String),
      });
    }
  });

  test('tells a clock that went back', async () => {
    const late = new Date(Date.now() + 3_600_000);
    utimesSync(join(data, 'high-water'), late, late);
    expect(await examine('clock', '--data-dir', data)).toMatchObject({ state: 'bad', code: 4 });
    const now = new Date(Date.now() - 1_000);
    utimesSync(join(data, 'high-water'), now, now);
    expect(await examine('clock', '--data-dir', data)).toMatchObject({ state: 'ok' });
  });

  test('tells a port that another program has from one that a Tephra serves', async () => {
    const { port } = taken.address() as AddressInfo;
    expect(await examine('port', '--listen', `127.0.0.1:${port}`)).toMatchObject({
      state: 'bad',
      code: 4,
      advice: expect.stringContaining(`--listen 127.0.0.1:${port + 1}`),
    });
    expect(await examine('port', '--listen', `127.0.0.1:${tephra.port}`)).toMatchObject({
      state: 'ok',
      found: `a Tephra serves on 127.0.0.1:${tephra.port}`,
    });
  });

  test('warns of variables that mean nothing, and still exits with 0', async () => {
    const environment = { TEPHRA_DATADIR: 'x', TEPHRA_LISTEN: '127.0.0.1:0' };
    const run = await runIn({ environment, nowMs: Date.now() }, 'doctor', '--ballast', '0B');
    expect(run.out).toMatch(/^warn {2}variables {2}TEPHRA_DATADIR means nothing\n +see /m);
    expect(run.code).toBe(0);
  });

  test('tells a file of the client that is not understood', async () => {
    const home = join(folder, 'home');
    mkdirSync(join(home, '.config', 'tephra'), { recursive: true });
    writeFileSync(join(home, '.config', 'tephra', 'config.json'), '{"ulr":"x"}');
    const environment = { HOME: home, TEPHRA_LISTEN: '127.0.0.1:0' };
    const run = await runIn({ environment, nowMs: Date.now() }, 'doctor', '--ballast', '0B');
    expect(run.out).toMatch(/^bad {3}client {5}.*ulr/m);
    expect(run.code).toBe(4);
  });

  test('asks for a newer Node and for memory', () => {
    expect(checkNode('18.20.0')).toMatchObject({ state: 'bad', advice: expect.any(String) });
    expect(checkNode('20.18.9').state).toBe('bad');
    expect(checkNode('24.0.0').state).toBe('ok');
    expect(checkMemory({ cores: 1, memoryBytes: 1 }, 0).state).toBe('warn');
  });
});
