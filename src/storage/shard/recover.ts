import { TephraError } from '../../base/errors.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { decodeFragment, decodeSection } from '../fragment/decode.ts';
import type { FragmentView, SectionEntry } from '../fragment/decode.ts';
import { fragmentPrefix, parseFragmentKey, parseRawVolume } from '../keys.ts';
import { HOUR_MS, RAW_VOLUME_MS } from '../../base/time.ts';
import type { PartitionRoot } from '../root/encode.ts';
import { isAbsorbed } from '../root/absorbed.ts';
import { lengthsEqual } from '../dictionary/lengths.ts';
import type { SectionScope } from './head.ts';
import { readHeadMark } from './head-mark.ts';
import { readPartition } from './partition.ts';
import type { ShardState } from './shard-state.ts';

/** What was found when a shard was opened. */
export interface Recovery {
  readonly fragments: number;
  readonly sections: number;
  /** Fragments that fail their checksum: their pushes are lost, and said to be. */
  readonly damaged: readonly string[];
  /** Sequences that were acknowledged once and are not there: `incarnation/seq`. */
  readonly gaps: readonly string[];
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
  const recovery: Found = { fragments: 0, sections: 0, damaged: [], gaps: [] };
  const roots = new Map<number, PartitionRoot>();
  for (const volume of await state.store.listVolumes('raw')) {
    const startMs = parseRawVolume(volume);
    if (startMs === undefined) continue;
    try {
      await recoverVolume(state, volume, startMs, roots, recovery);
    } catch (thrown) {
      const error = TephraError.from(thrown);
      if (error.reason !== 'volume_quarantined') throw error;
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
  readonly gaps: string[];
}

async function recoverVolume(
  state: ShardState,
  volume: string,
  startMs: number,
  roots: Map<number, PartitionRoot>,
  recovery: Found,
): Promise<void> {
  const stored = await listFragments(state, volume, startMs, recovery.damaged);
  const scopes = new Map<string, SectionScope>();
  for (const { key, bytes, view } of stored) {
    recovery.fragments++;
    state.land(view.incarnation, view.seq);
    for (const entry of view.sections) {
      let root = roots.get(entry.dayMs);
      if (root === undefined) {
        root = (await readPartition(state.store, partitionOf(state, entry.dayMs))).root;
        roots.set(entry.dayMs, root);
      }
      if (root.dropped || isAbsorbed(root, view.incarnation, view.seq)) continue;
      const added = await addSection(state, scopes, root, view, entry, bytes);
      if (added) recovery.sections++;
      else recovery.damaged.push(`${key} (${entry.service})`);
    }
  }
  recovery.gaps.push(...gapsOf(stored.map(({ view }) => view)));
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

function partitionOf(state: ShardState, dayMs: number) {
  return { dayMs, shard: state.shard, shardCount: state.shardCount };
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
    const canonical = await state.canonical.load(entry.dayMs, entry.tenant, entry.service, root);
    scope = { dictionary: canonical.dictionary.copy(entry.from), base: entry.from };
    scopes.set(key, scope);
  }
  const { dictionary } = scope;
  // Rows whose fragment is damaged cost names, never the values that lie in other fragments.
  if (!lengthsEqual(dictionary.lengths, entry.from)) {
    dictionary.appendDamaged(dictionary.lengths, entry.from);
  }
  dictionary.append(view.slice, entry.from, entry.to);
  state.head.add({
    incarnation: fragment.incarnation,
    seq: fragment.seq,
    arrivalHourMs: fragment.arrivalHourMs,
    tenant: entry.tenant,
    service: entry.service,
    dayMs: entry.dayMs,
    minMs: entry.minMs,
    maxMs: entry.maxMs,
    to: entry.to,
    scope,
    bytes,
    view,
    size: entry.end - entry.at,
  });
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

/** Sequences missing between the first and the last fragment of an incarnation, unless skipped. */
function gapsOf(fragments: readonly FragmentView[]): string[] {
  const present = new Map<number, Set<number>>();
  const first = new Map<number, number>();
  const last = new Map<number, number>();
  for (const { incarnation, seq, skipped } of fragments) {
    const set = present.get(incarnation) ?? new Set<number>();
    present.set(incarnation, set);
    set.add(seq);
    for (const absent of skipped) set.add(absent);
    first.set(incarnation, Math.min(first.get(incarnation) ?? seq, seq));
    last.set(incarnation, Math.max(last.get(incarnation) ?? seq, seq));
  }
  const gaps: string[] = [];
  for (const [incarnation, set] of present) {
    for (let seq = first.get(incarnation) ?? 0; seq <= (last.get(incarnation) ?? -1); seq++) {
      if (!set.has(seq)) gaps.push(`${incarnation}/${seq}`);
    }
  }
  return gaps;
}
