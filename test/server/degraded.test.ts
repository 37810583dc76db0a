import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startApp, type App } from '../../src/app.ts';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { systemFileSystem } from '../../src/base/file-system.ts';
import { createLogger } from '../../src/base/logger.ts';
import { createMetrics } from '../../src/base/metrics.ts';
import { systemRandom } from '../../src/base/random.ts';
import { DAY_MS } from '../../src/base/time.ts';
import { loadConfig } from '../../src/config/load.ts';
import { rawVolume } from '../../src/storage/keys.ts';
import { JSON_TYPE, send } from './fixture.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';

let folder = '';
let log = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tephra-degraded-'));
  log = '';
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A server whose clock runs `aheadMs` ahead. */
function start(aheadMs: number): Promise<App> {
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
  return startApp(
    loadConfig({
      flags: { listen: '127.0.0.1:0', dataDir: join(folder, 'data'), workers: '0', ballast: '0B' },
      environment: {},
    }),
    {
      clock,
      timers: systemTimers,
      random: systemRandom,
      fs: systemFileSystem,
      logger: createLogger({
        level: 'error',
        sink: { write: (text: string | Uint8Array) => (log += String(text)) },
        clock,
        pretty: false,
      }),
      metrics: createMetrics(),
      cores: 1,
      memoryBytes: 2 ** 33,
    },
  );
}

const get = async (app: App, path: string): Promise<string> =>
  (await send(`http://127.0.0.1:${app.address.port}${path}`, undefined, {}, 'GET')).text;

test('a volume that is set aside and a gap are named by /readyz, log, metrics; the rest is served', async () => {
  const now = systemClock.nowMs();
  const first = await start(0);
  const base = (app: App): string => `http://127.0.0.1:${app.address.port}`;
  expect((await send(`${base(first)}/ingest?name=shop.cpu`, 'main;old 3\n')).status).toBe(200);
  expect(await get(first, '/readyz')).toBe('ready\n');
  await first.stop();
  const volume = rawVolume(now);
  writeFileSync(join(folder, 'data/volumes', volume, 'volume.json'), 'garbage');

  // Another raw volume is the present one.
  const second = await start(DAY_MS);
  try {
    expect((await send(`${base(second)}/ingest?name=shop.cpu`, 'main;new 5\n')).status).toBe(200);
    const ready = await get(second, '/readyz');
    expect(ready).toMatch(/^degraded\n/);
    expect(ready).toContain(`- quarantined ${volume}: `);
    expect(ready).toContain('- ledger_gap fragments of incarnation 1, shard ');
    const metrics = await get(second, '/metrics');
    expect(metrics).toContain('tephra_damage{kind="quarantined"} 1');
    expect(metrics).toContain('tephra_damage{kind="ledger_gap"} 1');
    expect(log).toContain(`"what":"${volume}"`);
    const range = { start: now - DAY_MS, end: now + 2 * DAY_MS };
    const body = JSON.stringify({ profileTypeID: CPU, labelSelector: '{}', ...range });
    const path = '/querier.v1.QuerierService/SelectMergeStacktraces';
    const answer = await send(base(second) + path, body, JSON_TYPE);
    expect(JSON.parse(answer.text)).toMatchObject({ flamegraph: { total: '50000000' } });
  } finally {
    await second.stop();
  }
}, 30_000);
