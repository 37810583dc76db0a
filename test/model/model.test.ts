/**
 * Histories over the in-memory store, over LevelDB, and with worker threads. The seed of the first
 * history is TEPHRA_SEED (a number, or `random`); TEPHRA_HISTORIES says how many run in memory, and
 * the others are a share of it. The default is the short form; `npm run model` is the long one.
 */
import { existsSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { systemRandom } from '../../src/base/random.ts';
import { runHistory, type HistoryCounts, type HistoryOptions } from './history.ts';

const SEED =
  process.env['TEPHRA_SEED'] === 'random'
    ? systemRandom.u32()
    : Number(process.env['TEPHRA_SEED'] ?? 20_260_314);
const HISTORIES = Number(process.env['TEPHRA_HISTORIES'] ?? 25);
const OVER_LEVEL = Math.max(1, Math.ceil(HISTORIES / 5));
const IN_THREADS = Math.max(1, Math.ceil(HISTORIES / 100));
const WORKER = new URL('../../dist/shards/worker.js', import.meta.url);

/** Time for one history before the test gives up, in ms. */
const PATIENCE_MS = 30_000;

async function runAll(what: string, count: number, options: HistoryOptions): Promise<void> {
  const sums: Record<string, number> = {};
  const startedMs = performance.now();
  for (let i = 0; i < count; i++) {
    const counts: HistoryCounts = await runHistory(SEED + i, options);
    for (const [name, value] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + value;
  }
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  const text = Object.entries(sums).map(([name, value]) => `${value} ${name}`);
  process.stdout.write(
    `model ${what}: ${count} histories from seed ${SEED} in ${seconds} s: ${text.join(', ')}\n`,
  );
  expect(sums['operations']).toBeGreaterThanOrEqual(60 * count);
}

describe('the engine answers like the naive model', () => {
  test(
    `in ${HISTORIES} histories over the memory store`,
    () => runAll('memory', HISTORIES, { store: 'memory', workers: 0 }),
    HISTORIES * PATIENCE_MS,
  );

  test(
    `in ${OVER_LEVEL} histories over the level store`,
    () => runAll('level', OVER_LEVEL, { store: 'level', workers: 0 }),
    OVER_LEVEL * PATIENCE_MS,
  );

  // Worker threads run compiled code; pretest builds it.
  (existsSync(WORKER) ? test : test.skip)(
    `in ${IN_THREADS} histories in three threads`,
    () => runAll('threads', IN_THREADS, { store: 'memory', workers: 3, workerEntry: WORKER }),
    IN_THREADS * PATIENCE_MS,
  );
});
