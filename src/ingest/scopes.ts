import { LIMITS } from '../base/limits.ts';
import { type Canonical, CanonicalDictionaries } from '../storage/shard/canonical.ts';
import { readPartition } from '../storage/shard/partition.ts';
import type { ShardState, WriterScope } from '../storage/shard/shard-state.ts';
import { lengthsEqual } from '../storage/dictionary/lengths.ts';

/** Which scope a push needs. */
export interface ScopeName {
  readonly tenant: string;
  readonly service: string;
  readonly dayMs: number;
  readonly rawVolume: string;
}

/** Key of a scope in the shard's maps. */
export function scopeKey({ dayMs, tenant, service }: ScopeName): string {
  return CanonicalDictionaries.key(dayMs, tenant, service);
}

/** The live scope, if it may take this push; ends it if it may not. */
export function liveScope(
  state: ShardState,
  name: ScopeName,
  key = scopeKey(name),
): WriterScope | undefined {
  const scope = state.scopes.get(key);
  if (scope === undefined) return undefined;
  if (scope.rawVolume === name.rawVolume && ownStacks(scope) < LIMITS.stacksPerEpochMax) {
    state.canonical.touch(key);
    return scope;
  }
  state.scopes.delete(key);
  return undefined;
}

/** Stacks of its own: a day may have more canonical ones than an epoch may add. */
function ownStacks({ dictionary, seed }: WriterScope): number {
  return dictionary.lengths.stacks - seed.stacks;
}

/** The canonical dictionary as of the present root: no row is written twice that was absorbed. */
export async function loadSeed(state: ShardState, name: ScopeName): Promise<Canonical> {
  const { root } = await readPartition(state.store, state.partition(name.dayMs));
  return state.canonical.load(name.dayMs, name.tenant, name.service, root);
}

/**
 * Opens a scope with the seed that was loaded for it, unless it is open. Undefined where that seed is not
 * the present one any more, or the writer stands still: then load it again, later.
 *
 * What is to be written in the scope has to be written in the same turn. Pushes of one service that arrived
 * before and after a change of the raw volume end each other's scopes: would one wait for anything between
 * opening and writing, both could do so for ever.
 */
export function openScope(
  state: ShardState,
  name: ScopeName,
  canonical: Canonical,
): WriterScope | undefined {
  if (state.gate !== undefined) return undefined;
  const key = scopeKey(name);
  const present = liveScope(state, name, key);
  if (present !== undefined) return present;
  if (state.canonical.peek(name.dayMs, name.tenant, name.service) !== canonical) return undefined;
  const seed = canonical.lengths;
  let { dictionary } = canonical;
  if (!lengthsEqual(dictionary.lengths, seed)) {
    // Rows of an epoch that ended lie above the canonical ones: their ids must not be given again.
    dictionary = dictionary.copy(seed);
    state.canonical.set(name.dayMs, name.tenant, name.service, dictionary, seed);
  }
  const scope: WriterScope = {
    ...name,
    epoch: state.nextEpoch(),
    dictionary,
    seed,
    base: seed,
    written: seed,
  };
  state.scopes.set(key, scope);
  return scope;
}
