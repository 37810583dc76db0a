/**
 * The product's own composition (dist/) with small limits and, if asked for, an end by SIGKILL at the
 * n-th time of a named step: server.mjs DIRECTORY WORKERS [STEP N]. What is put in front of the store
 * and the file system is put here; the product knows nothing of it.
 */
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const dist = (path) => import(pathToFileURL(join(import.meta.dirname, '../../../dist', path)).href);
const [directory, workers, step, times = '1'] = process.argv.slice(2);

const { LIMITS } = await dist('base/limits.js');
Object.assign(LIMITS, {
  absorbFragments: 3,
  unrolledBlocksPerHourMax: 2,
  graceMs: 200,
  lateIntervalMs: 50,
  hourCloseDelayMs: 0,
  volumesOpenMax: 2,
});

let left = Number(times);
const reach = (name) => {
  if (name === step && --left === 0) process.kill(process.pid, 'SIGKILL');
};

const { LevelBlobStore } = await dist('storage/blob-store/level/blob-store.js');
const stepOf = {
  put: (key) => (key.startsWith('raw/') ? 'put' : 'absorb'),
  casRoot: (name) => (name.startsWith('minutes/') ? 'root swap' : 'head mark'),
  remove: () => 'trash',
  list: () => 'recovery',
};
for (const [method, nameOf] of Object.entries(stepOf)) {
  const real = LevelBlobStore.prototype[method];
  LevelBlobStore.prototype[method] = async function around(key, ...rest) {
    const name = nameOf(Array.isArray(key) ? (key[0] ?? '') : key);
    reach(`${name}: before`);
    const running = real.call(this, key, ...rest);
    // Under way: the batch may be in LevelDB's hands or not yet.
    setImmediate(() => reach(`${name}: during`));
    const result = await running;
    reach(`${name}: after`);
    return result;
  };
}
const { OpenVolume } = await dist('storage/blob-store/level/open-volume.js');
const close = OpenVolume.prototype.close;
OpenVolume.prototype.close = async function around() {
  reach('volume close: before');
  await close.call(this);
  reach('volume close: after');
};

const { systemFileSystem } = await dist('base/file-system.js');
const fs = {
  ...systemFileSystem,
  async writeFile(path, bytes) {
    if (path.includes('owner.json')) reach('lock: before');
    await systemFileSystem.writeFile(path, bytes);
    if (path.includes('owner.json')) reach('lock: after');
  },
  async rename(from, to) {
    const name = from.includes('/new-') ? 'volume open' : 'rename';
    reach(`${name}: before`);
    await systemFileSystem.rename(from, to);
    reach(`${name}: after`);
  },
};

const { systemClock, systemTimers } = await dist('base/clock.js');
const { systemRandom } = await dist('base/random.js');
const { createLogger } = await dist('base/logger.js');
const { createMetrics } = await dist('base/metrics.js');
const { loadConfig } = await dist('config/load.js');
const { startApp } = await dist('app.js');
const config = loadConfig({
  flags: { dataDir: directory, workers, listen: '127.0.0.1:0', logLevel: 'info' },
  environment: {},
  file: undefined,
});
const app = await startApp(config, {
  clock: systemClock,
  // The jobs look more often than they do outside.
  timers: {
    ...systemTimers,
    after: (delayMs, run) => systemTimers.after(delayMs === 2_000 ? 40 : delayMs, run),
  },
  random: systemRandom,
  fs,
  logger: createLogger({ level: 'info', sink: process.stdout, clock: systemClock, pretty: false }),
  metrics: createMetrics(),
  cores: 2,
  memoryBytes: 2 ** 33,
});
process.stdout.write(`ready ${app.address.host}:${app.address.port}\n`);
process.on('SIGTERM', () => void app.stop().then(() => process.exit(0)));
