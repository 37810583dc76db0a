import type { ProfileType } from './profile-type.ts';

/**
 * Whether values of a type are states (memory in use, goroutines) and not amounts (time, allocations):
 * then a sum over time means nothing, and a mean does.
 *
 * Source: what profilers send; Go's runtime/pprof (heap, goroutine, threadcreate), async-profiler (live).
 */
export function isInstantaneous({ name, type }: ProfileType): boolean {
  return (
    type.startsWith('inuse_') ||
    /^(goroutines?|goroutine_?leak|threadcreate)$/.test(name) ||
    /^(goroutines?|goroutine_?leak|threadcreate)$/.test(type) ||
    (name === 'memory' && type === 'live')
  );
}
