import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApp, type App } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { appDeps } from '../support/app-deps.ts';
import { JSON_TYPE, send } from './fixture.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tephra-app-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const start = (flags: Record<string, string> = {}): Promise<App> =>
  startApp(
    loadConfig({
      flags: { listen: '127.0.0.1:0', dataDir: join(folder, 'data'), workers: '0', ...flags },
      environment: {},
    }),
    appDeps(),
  );
const url = (app: App): string => `http://127.0.0.1:${app.address.port}`;
const total = async (app: App): Promise<unknown> => {
  const range = { start: Date.now() - 3_600_000, end: Date.now() + 60_000 };
  const body = JSON.stringify({ profileTypeID: CPU, labelSelector: '{}', ...range });
  const path = '/querier.v1.QuerierService/SelectMergeStacktraces';
  const answer = await send(url(app) + path, body, JSON_TYPE);
  return (JSON.parse(answer.text) as { flamegraph?: { total?: string } }).flamegraph?.total;
};

describe('the application', () => {
  test('is ready once it started, and keeps what it acknowledged over a restart', async () => {
    const first = await start();
    expect((await send(`${url(first)}/ready`, undefined, {}, 'GET')).status).toBe(200);
    const pushed = await send(`${url(first)}/ingest?name=shop.cpu`, 'main;work 3\nmain 1\n');
    expect([pushed.status, pushed.text]).toEqual([200, '']);
    expect(await total(first)).toBe('40000000');
    await first.stop();
    await first.stop();

    const second = await start();
    expect(await total(second)).toBe('40000000');
    await second.stop();
  });

  test('refuses a directory that another one holds, and names it', async () => {
    const holder = await start();
    await expect(start()).rejects.toMatchObject({
      reason: 'data_dir_in_use',
      detail: expect.stringContaining(`pid ${process.pid}`),
    });
    await holder.stop();
  });

  test('lets go of everything when the port is taken', async () => {
    const holder = await start();
    const listen = `127.0.0.1:${holder.address.port}`;
    const other = { dataDir: join(folder, 'other') };
    await expect(start({ ...other, listen })).rejects.toMatchObject({ reason: 'address_in_use' });
    await (await start(other)).stop();
    await holder.stop();
  });
});
