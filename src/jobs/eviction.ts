import type { Canonical } from '../storage/shard/canonical.ts';
import type { ShardState } from '../storage/shard/shard-state.ts';

interface Candidate {
  readonly state: ShardState;
  readonly key: string;
  readonly canonical: Canonical;
}

/**
 * Forgets dictionaries until those in memory fit into `bytesMax`, the least recently used first. A
 * dictionary of a live writer scope ends that epoch; queries and head sections that hold one keep it
 * until they are done, and the next use loads it from its segments. Resolves to how many went.
 */
export function evictDictionaries(states: readonly ShardState[], bytesMax: number): number {
  const candidates: Candidate[] = [];
  let bytes = 0;
  for (const state of states) {
    for (const dictionary of state.dictionaries()) bytes += dictionary.bytesInMemory;
    for (const [key, canonical] of state.canonical.entries()) {
      candidates.push({ state, key, canonical });
    }
  }
  let evicted = 0;
  for (const { state, key, canonical } of candidates.toSorted(byUse)) {
    if (bytes <= bytesMax) break;
    state.canonical.evict(key);
    const scope = state.scopes.get(key);
    if (scope?.dictionary === canonical.dictionary) state.scopes.delete(key);
    // What the head still holds is freed by absorb, not here.
    const { dictionary } = canonical;
    if (!state.dictionaries().has(dictionary)) bytes -= dictionary.bytesInMemory;
    evicted++;
  }
  return evicted;
}

function byUse(a: Candidate, b: Candidate): number {
  return a.canonical.usedAt - b.canonical.usedAt;
}
