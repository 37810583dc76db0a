import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const ROUNDS = 400;

/**
 * Bytes by which V8's old space grew while `round` ran {@link ROUNDS} times, with young collections only: what
 * is garbage by then and lies there costs memory until the next full collection.
 */
export async function oldSpaceGrowth(round: (i: number) => unknown): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void;
  for (let i = 0; i < 20; i++) await round(i);
  collect();
  let before = oldSpaceBytes();
  let grown = 0;
  for (let i = 0; i < ROUNDS; i++) {
    await round(i);
    if (i % 4 === 0) collect({ type: 'minor' });
    // Added up, as V8 may collect in full whenever it wants to.
    const now = oldSpaceBytes();
    grown += Math.max(0, now - before);
    before = now;
  }
  return grown;
}

function oldSpaceBytes(): number {
  const spaces = getHeapSpaceStatistics();
  return spaces.find((space) => space.space_name === 'old_space')?.space_used_size ?? 0;
}
