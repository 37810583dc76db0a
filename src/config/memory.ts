import { LIMITS } from '../base/limits.ts';

/** LevelDB volumes that are written at one time: the raw one, two days of minutes, the lock. */
const VOLUMES_WRITTEN = 4;

/**
 * Bytes that the budgets of memory add up to, with `inFlightBytes` of requests and a
 * page cache of `pageCacheBytes`: what the process may come to hold beside its own code and what the runtime keeps for garbage.
 */
export function budgetBytes(
  inFlightBytes: number,
  pageCacheBytes: number = LIMITS.pageCacheBytes,
): number {
  return (
    LIMITS.dictionaryBytes +
    LIMITS.headBytes +
    LIMITS.duplicateSetBytes +
    pageCacheBytes +
    LIMITS.queryBytes +
    LIMITS.streamStateBytes +
    LIMITS.rootCacheBytes +
    LIMITS.otlpSplitBytes +
    // A table of LevelDB is written while the next one fills.
    2 * (LIMITS.rawBufferBytes + VOLUMES_WRITTEN * LIMITS.volumeBufferBytes) +
    inFlightBytes
  );
}

/**
 * Memory that this process may use, in bytes: that of the machine, bounded by its control group, which
 * says 0 or a huge number where it sets no bound.
 */
export function usableMemory(machineBytes: number, constrainedBytes: number): number {
  return constrainedBytes > 0 ? Math.min(machineBytes, constrainedBytes) : machineBytes;
}
