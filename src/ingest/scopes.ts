import { LIMITS } from '../base/limits.ts';
import { CanonicalDictionaries } from '../storage/shard/canonical.ts';
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
  if (
    scope.rawVolume === name.rawVolume &&
    scope.dictionary.lengths.stacks < LIMITS.stacksPerEpochMax
  ) {
    state.canonical.touch(key);
    return scope;
  }
  state.scopes.delete(key);
  return undefined;
}

/**
 * Opens a scope seeded with the canonical dictionary as of the present root: no row is written twice
 * that was absorbed. Somebody else may have opened it meanwhile; then theirs is returned.
 */
export async function openScope(state: ShardState, name: ScopeName): Promise<WriterScope> {
  const { root } = await readPartition(state.store, {
    dayMs: name.dayMs,
    shard: state.shard,
    shardCount: state.shardCount,
  });
  const canonical = await state.canonical.load(name.dayMs, name.tenant, name.service, root);
  const present = liveScope(state, name);
  if (present !== undefined) return present;
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
  state.scopes.set(CanonicalDictionaries.key(name.dayMs, name.tenant, name.service), scope);
  return scope;
}
