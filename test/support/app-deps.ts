import type { AppDeps } from '../../src/app.ts';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { systemFileSystem } from '../../src/base/file-system.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { createMetrics } from '../../src/base/metrics.ts';
import { systemRandom } from '../../src/base/random.ts';

/** What an application needs, of this machine: one core, 8 GiB, nothing logged. */
export function appDeps(): AppDeps {
  return {
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    fs: systemFileSystem,
    logger: silentLogger,
    metrics: createMetrics(),
    cores: 1,
    memoryBytes: 2 ** 33,
  };
}
