/**
 * Histories of streams. TEPHRA_SEED is the first seed, TEPHRA_HISTORIES says how many run over the memory
 * store; a twentieth of it runs over LevelDB.
 */
import { describe, expect, test } from '@jest/globals';
import { systemRandom } from '../../../src/base/random.ts';
import { runStreamHistory } from './history.ts';

const SEED =
  process.env['TEPHRA_SEED'] === 'random'
    ? systemRandom.u32()
    : Number(process.env['TEPHRA_SEED'] ?? 20_260_314);
const HISTORIES = Number(process.env['TEPHRA_HISTORIES'] ?? 25);
const OVER_LEVEL = Math.max(1, Math.ceil(HISTORIES / 20));

/** Time for one history before the test gives up, in ms. */
const PATIENCE_MS = 30_000;

async function runAll(count: number, store: 'memory' | 'level'): Promise<void> {
  const sums: Record<string, number> = {};
  const startedMs = performance.now();
  for (let i = 0; i < count; i++) {
    const counts = await runStreamHistory(SEED + i, store);
    for (const [name, value] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + value;
  }
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  const text = Object.entries(sums).map(([name, value]) => `${value} ${name}`);
  process.stdout.write(
    `model streams ${store}: ${count} histories from seed ${SEED} in ${seconds} s: ${text.join(', ')}\n`,
  );
  expect(sums['operations']).toBeGreaterThanOrEqual(15 * count);
}

describe('what a stream acknowledges is stored once, and nothing is stored twice', () => {
  test(
    `in ${HISTORIES} histories over the memory store`,
    () => runAll(HISTORIES, 'memory'),
    HISTORIES * PATIENCE_MS,
  );

  test(
    `in ${OVER_LEVEL} histories over the level store`,
    () => runAll(OVER_LEVEL, 'level'),
    OVER_LEVEL * PATIENCE_MS,
  );
});
