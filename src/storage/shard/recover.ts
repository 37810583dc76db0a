import { TephraError } from '../../base/errors.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { decodeFragment, decodeSection } from '../fragment/decode.ts';
import type { FragmentView, SectionEntry } from '../fragment/decode.ts';
import { fragmentPrefix, parseFragmentKey, parseRawVolume, rootName } from '../keys.ts';
import { HOUR_MS, RAW_VOLUME_MS } from '../../base/time.ts';
import type { PartitionRoot } from '../root/encode.ts';
import { isAbsorbed } from '../root/absorbed.ts';
import { lengthsEqual, lengthsMin } from '../dictionary/lengths.ts';
import { tryAppend } from './canonical.ts';
import type { Canonical } from './canonical.ts';
import { headSection } from './head.ts';
import type { SectionScope } from './head.ts';
import { readHeadMark } from './head-mark.ts';
import { readPartition } from './partition.ts';
import type { ShardState } from './shard-state.ts';

/** What was found when a shard was opened. */
export interface Recovery {
  readonly fragments: number;
  readonly sections: number;
  /** Names of fragments, sections, roots and volumes that cannot be read: lost, and said to be. */
  readonly damaged: readonly string[];
}

interface StoredFragment {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly view: FragmentView;
}

/**
 * Rebuilds the head of a shard from the raw tier: every section that its partition's root does not
 * count. Sections of earlier incarnations get dictionaries of their own (see {@link SectionScope}):
 * the canonical rows below the first section that waits, then the slices in order. That is right
 * because absorb either takes an epoch's rows over as they are, or takes all of the epoch at once.
 */
export async function recoverShard(state: ShardState): Promise<Recovery> {
  const recovery: Found = { fragments: 0, sections: 0, damaged: [] };
  const roots = new Map<number, PartitionRoot | undefined>();
  for (const volume of await state.store.listVolumes('raw')) {
    const startMs = parseRawVolume(volume);
    if (startMs === undefined) continue;
    try {
      await recoverVolume(state, volume, startMs, roots, recovery);
    } catch (thrown) {
      const error = TephraError.from(thrown);
      if (error.reason !== 'volume_quarantined' && error.reason !== 'corrupt_block') throw error;
      // What is set aside is reported and costs itself; the rest of the shard serves.
      recovery.damaged.push(volume);
    }
  }
  return recovery;
}

interface Found {
  fragments: number;
  sections: number;
  readonly damaged: string[];
}

async function recoverVolume(
  state: ShardState,
  volume: string,
  startMs: number,
  roots: Map<number, PartitionRoot | undefined>,
  recovery: Found,
): Promise<void> {
  const stored = await listFragments(state, volume, startMs, recovery.damaged);
  const scopes = new Map<string, SectionScope>();
  for (const { key, bytes, view } of stored) {
    recovery.fragments++;
    state.land(view.incarnation, view.seq);
    for (const entry of view.sections) {
      if (!roots.has(entry.dayMs)) {
        roots.set(entry.dayMs, await readRoot(state, entry.dayMs, recovery.damaged));
      }
      const root = roots.get(entry.dayMs);
      // What such a root absorbed is not known: to serve the section could count it twice.
      if (root === undefined) continue;
      if (root.dropped || isAbsorbed(root, view.incarnation, view.seq)) continue;
      const added = await addSection(state, scopes, root, view, entry, bytes);
      if (added) recovery.sections++;
      else recovery.damaged.push(`${key} (${entry.service})`);
    }
  }
}

/** The root, or undefined where it is damaged or set aside. */
async function readRoot(
  state: ShardState,
  dayMs: number,
  damaged: string[],
): Promise<PartitionRoot | undefined> {
  try {
    return (await readPartition(state.store, state.partition(dayMs))).root;
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (error.reason !== 'volume_quarantined' && error.reason !== 'corrupt_block') throw error;
    damaged.push(rootName(dayMs, state.shardCount, state.shard));
    return undefined;
  }
}

/** Fragments above the head mark, in the order in which their slices build on one another. */
async function listFragments(
  state: ShardState,
  volume: string,
  startMs: number,
  damaged: string[],
): Promise<StoredFragment[]> {
  const mark = await readHeadMark(state.store, volume, state.shard);
  const found: StoredFragment[] = [];
  for (let hourMs = startMs; hourMs < startMs + RAW_VOLUME_MS; hourMs += HOUR_MS) {
    const prefix = fragmentPrefix({ arrivalHourMs: hourMs, shard: state.shard });
    for (const { key } of await state.store.list(prefix)) {
      const address = parseFragmentKey(key);
      if (address === undefined) continue;
      if (address.seq < (mark.get(address.incarnation) ?? 0)) {
        state.land(address.incarnation, address.seq);
        continue;
      }
      const bytes = await getUnlessCorrupt(state.store, key);
      const view = bytes === null ? undefined : unlessCorrupt(() => decodeFragment(bytes));
      if (bytes === null || view === undefined) damaged.push(key);
      else found.push({ key, bytes, view });
    }
  }
  return found.toSorted(
    (a, b) => a.view.incarnation - b.view.incarnation || a.view.seq - b.view.seq,
  );
}

async function addSection(
  state: ShardState,
  scopes: Map<string, SectionScope>,
  root: PartitionRoot,
  fragment: FragmentView,
  entry: SectionEntry,
  bytes: Uint8Array,
): Promise<boolean> {
  const view = unlessCorrupt(() => decodeSection(bytes, entry));
  if (view === undefined) return false;
  const key = `${fragment.incarnation}/${entry.epoch}/${entry.dayMs}/${entry.tenant.length}/${entry.tenant}/${entry.service}`;
  let scope = scopes.get(key);
  if (scope === undefined) {
    let canonical: Canonical;
    try {
      canonical = await state.canonical.load(entry.dayMs, entry.tenant, entry.service, root);
    } catch (thrown) {
      if (TephraError.from(thrown).reason === 'corrupt_block') return false;
      throw thrown;
    }
    // Usually all of `from` is canonical. Rows that are not there any more are damaged ones of this
    // scope, so that absorb maps them and never takes their ids for those of other rows.
    const base = lengthsMin(entry.from, canonical.lengths);
    scope = { dictionary: canonical.dictionary.copy(base), base };
    scopes.set(key, scope);
  }
  const { dictionary } = scope;
  // Rows whose fragment is damaged cost names, never the values that lie in other fragments.
  if (!lengthsEqual(dictionary.lengths, entry.from)) {
    dictionary.appendDamaged(dictionary.lengths, entry.from);
  }
  if (!tryAppend(dictionary, view.slice, entry.from, entry.to)) {
    dictionary.appendDamaged(entry.from, entry.to);
  }
  state.head.add(headSection(fragment, entry, () => view, scope, bytes));
  return true;
}

/** The result, or undefined where the bytes are damaged. */
function unlessCorrupt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (error.reason === 'corrupt_block') return undefined;
    throw error;
  }
}

/** The blob, or null where it is damaged or gone. */
async function getUnlessCorrupt(store: BlobStore, key: string): Promise<Uint8Array | null> {
  try {
    return await store.get(key);
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (error.reason === 'corrupt_block') return null;
    throw error;
  }
}
