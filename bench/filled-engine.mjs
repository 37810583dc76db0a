import { HOUR_MS, MINUTE_MS } from '../dist/base/time.js';
import { openBenchEngine, pushAll } from './engine.mjs';
import { spend } from './spent.mjs';

/**
 * An engine filled with minutes of a fleet, everything in the head: whatever waits is absorbed by the
 * next run of the jobs, and by none before. Profiles go in uncompressed: inflate is not what is
 * measured on top of this.
 *
 * @param {import('./fleet.mjs').Fleet} fleet
 * @param {{ minutes: number, workers?: number, limits?: object, afterMinutes?: number,
 *   after?: (bench: any, nowMs: number) => Promise<void> }} options `after` runs each `afterMinutes`
 */
export async function loadFleet(fleet, options) {
  const { minutes, workers, limits, afterMinutes = minutes, after } = options;
  const { startMs } = fleet;
  const bench = await openBenchEngine({
    startMs,
    workers,
    limits: { absorbFragments: 1, headBytes: 2 ** 40, ...limits },
  });
  let entries = 0;
  let ingestMs = 0;
  for (let minute = 0; minute < minutes; minute++) {
    const profiles = [...fleet.minute(minute, { packed: false })];
    const { result, cpuMs } = await spend(() => pushAll(bench.engine, profiles));
    entries += result;
    ingestMs += cpuMs;
    const done = minute + 1;
    if (done % afterMinutes === 0 || done === minutes) {
      await after?.(bench, startMs + done * MINUTE_MS);
    }
  }
  const closedMs = startMs + Math.ceil(minutes / 60) * HOUR_MS + 3 * MINUTE_MS;
  return { bench, entries, ingestMs, closedMs, profiles: minutes * fleet.services * fleet.pods };
}
