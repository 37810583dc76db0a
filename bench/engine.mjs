/**
 * A real engine over a real data directory in a temporary folder, with a clock that the bench moves:
 * the load lies at fixed times, whenever it runs.
 */
import assert from 'node:assert';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemTimers } from '../dist/base/clock.js';
import { systemFileSystem } from '../dist/base/file-system.js';
import { LIMITS } from '../dist/base/limits.js';
import { seededRandom } from '../dist/base/random.js';
import { DAY_MS, floorTo, HOUR_MS } from '../dist/base/time.js';
import { createEngine } from '../dist/shards/create-engine.js';
import { openDataDirectory } from '../dist/storage/data-directory/data-directory.js';
import { readPartition } from '../dist/storage/shard/partition.js';
import { pushItem } from './fleet.mjs';

/**
 * Opens an engine whose clock stands an hour before `startMs`. `wrapStore` may watch the store.
 *
 * @param {{ startMs: number, workers?: number, limits?: object, wrapStore?: (store: any) => any }} options
 */
export async function openBenchEngine({ startMs, workers = 0, limits = {}, wrapStore }) {
  const folder = mkdtempSync(join(tmpdir(), 'tephra-bench-'));
  // An hour earlier: the duplicate memory then covers the load, as in a server that runs for long.
  const clock = { nowMs: () => startMs - HOUR_MS, monotonicMs: () => performance.now() };
  const random = seededRandom(1);
  const timers = systemTimers;
  const directory = await openDataDirectory({
    path: join(folder, 'data'),
    fs: systemFileSystem,
    clock,
    timers,
    random,
  });
  // Tephra's timers let a process end; in a server the port keeps it alive.
  const alive = setInterval(() => {}, 60_000);
  const store = wrapStore?.(directory.store) ?? directory.store;
  let { incarnation } = directory;
  const start = (changed) => {
    const options = { store, workers, incarnation: incarnation++, clock, timers, random };
    return createEngine({ ...options, limits: { ...limits, ...changed } });
  };
  const bench = {
    engine: await start({}),
    store,
    /** Stops the engine and starts another over the same store, with limits changed. */
    async restart(changed) {
      await bench.engine.stop();
      bench.engine = await start(changed);
    },
    /** Bytes of all files of the data directory, or of a kind of volumes. */
    diskBytes: (kind) =>
      bytesUnder(kind === undefined ? folder : join(folder, 'data', 'volumes', kind)),
    /** What the store does by itself each minute: gives space back of what was removed. */
    tidy: () => directory.level.tidy(),
    async close() {
      await bench.engine.stop();
      await directory.close();
      clearInterval(alive);
    },
    /** Only after `close`. */
    remove() {
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return bench;
}

/** Pushes profiles at once; how many entries were stored. Throws if one is not stored. */
export async function pushAll(engine, profiles) {
  // One request each, as agents send them.
  const outcomes = await Promise.all(profiles.map((profile) => engine.push([pushItem(profile)])));
  let entries = 0;
  for (const [outcome] of outcomes) {
    assert.equal(outcome.outcome, 'stored', JSON.stringify(outcome));
    entries += outcome.entries;
  }
  return entries;
}

/** Bytes in the tiers, as the roots and the listing of the raw tier have them. */
export async function tierBytes(store, dayMs) {
  const bytes = { blocks: 0, segments: 0, raw: 0, blockCount: 0, fragments: 0, rolled: 0 };
  for (let shard = 0; shard < LIMITS.shardCount; shard++) {
    const partition = { dayMs: floorTo(dayMs, DAY_MS), shard, shardCount: LIMITS.shardCount };
    const { root } = await readPartition(store, partition);
    for (const block of root.blocks) {
      bytes.blocks += block.bytes;
      bytes.blockCount++;
      if (block.rolled) bytes.rolled++;
    }
    for (const segment of root.segments) bytes.segments += segment.bytes;
  }
  for (const volume of await store.listVolumes('raw')) {
    for (const { size } of await store.list(`${volume}/f/`)) {
      bytes.raw += size;
      bytes.fragments++;
    }
  }
  return bytes;
}

function bytesUnder(folder) {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    bytes += entry.isDirectory() ? bytesUnder(path) : statSync(path).size;
  }
  return bytes;
}
