import type { Random } from '../../base/random.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { decodeBlock, decodeBlockSection } from '../block/decode.ts';
import { decodeOutline } from '../dictionary/outline.ts';
import { openSegment } from '../dictionary/segment.ts';
import { decodeRows } from '../dictionary/slice.ts';
import { decodeFragment, decodeSection } from '../fragment/decode.ts';
import {
  blockKey,
  outlineKey,
  parseBlockKey,
  parseFragmentKey,
  parseOutlineKey,
  parseRootName,
  parseSegmentKey,
  type RootAddress,
  segmentKey,
} from '../keys.ts';
import { findingOf } from '../ledger/check.ts';
import type { Finding } from '../ledger/finding.ts';
import { decodeRoot } from '../root/decode.ts';
import type { PartitionRoot } from '../root/encode.ts';
import { CanonicalDictionaries } from '../shard/canonical.ts';
import { decodeHeadMark, headMarkShard } from '../shard/head-mark.ts';
import { checkBlockSection, checkFragmentSection } from './check-columns.ts';

/** How a volume is checked. */
export interface CheckOptions {
  readonly store: BlobStore;
  readonly random: Random;
  /** Decode every column and row too, and not only check checksums and names. */
  readonly deep: boolean;
  /** Told after each blob; wait for it to go slower. */
  readonly onBlob: (key: string, bytes: number) => Promise<void>;
  readonly onFinding: (finding: Finding) => void;
}

/**
 * Reads every blob and root of a volume, so that each page meets its checksum; decodes it; and looks
 * whether what a root names is there. Resolves also where the volume cannot be read: that is a finding.
 */
export async function checkVolume(volume: string, options: CheckOptions): Promise<void> {
  const { store } = options;
  await found(volume, options, async () => {
    for (const name of await store.listRoots(`${volume}/`)) {
      await found(name, options, () => checkRoot(name, options));
    }
    for (const { key } of await store.list(`${volume}/`)) {
      await found(key, options, async () => {
        const bytes = await store.get(key);
        // Removed since it was listed.
        if (bytes === null) return;
        checkBlob(key, bytes, options.deep);
        await options.onBlob(key, bytes.byteLength);
      });
    }
  });
}

async function found(
  what: string,
  options: CheckOptions,
  check: () => Promise<void>,
): Promise<void> {
  try {
    await check();
  } catch (thrown) {
    options.onFinding(findingOf(what, thrown));
  }
}

/** Decodes one blob by what its key says it is. Throws `corrupt_block`. */
export function checkBlob(key: string, bytes: Uint8Array, deep: boolean): void {
  if (parseFragmentKey(key) !== undefined) {
    const fragment = decodeFragment(bytes);
    for (const entry of fragment.sections) {
      const view = decodeSection(bytes, entry);
      if (!deep) continue;
      decodeRows(view.slice, entry.from, entry.to);
      checkFragmentSection(bytes, view, entry.to, entry.service);
    }
  } else if (parseBlockKey(key) !== undefined) {
    for (const entry of decodeBlock(bytes).sections) {
      decodeBlockSection(bytes.subarray(entry.at, entry.end), entry);
    }
  } else if (parseSegmentKey(key) !== undefined) {
    const segment = openSegment(bytes);
    for (const entry of segment.entries) {
      const slice = segment.slice(entry);
      if (deep) decodeRows(slice, entry.from, entry.to);
    }
  } else if (parseOutlineKey(key) !== undefined) {
    decodeOutline(bytes);
  }
}

async function checkRoot(name: string, options: CheckOptions): Promise<void> {
  const { store } = options;
  const stored = await store.readRoot(name);
  if (stored === null) return;
  if (headMarkShard(name) !== undefined) {
    decodeHeadMark(stored.bytes);
    return;
  }
  const address = parseRootName(name);
  if (address === undefined) return;
  const root = decodeRoot(stored.bytes);
  const { dayMs, shard } = address;
  const named = [
    ...root.blocks.map(({ id, bytes }) => [blockKey(dayMs, shard, id), bytes] as const),
    ...root.segments.map(({ id, bytes }) => [segmentKey(dayMs, shard, id), bytes] as const),
    ...root.segments.map(({ id }) => [outlineKey(dayMs, shard, id), undefined] as const),
  ];
  for (const [key, expected] of named) {
    await found(key, options, async () => {
      const size = await store.size(key);
      if (size === null) {
        if (await isReplaced(store, name, stored.token)) return;
        options.onFinding({ kind: 'missing', what: key, detail: `${name} names it` });
      } else if (expected !== undefined && size !== expected) {
        options.onFinding({
          kind: 'damaged',
          what: key,
          detail: `${name} says ${expected} bytes, there are ${size}`,
        });
      }
    });
  }
  if (options.deep && !root.dropped) await checkPartition(address, root, options);
}

/** Whether a server swapped the root meanwhile: what it named then may be gone. */
async function isReplaced(store: BlobStore, name: string, token: string): Promise<boolean> {
  return (await store.readRoot(name))?.token !== token;
}

/** Every column of every block against the dictionary. */
async function checkPartition(
  { dayMs, shard, shardCount }: RootAddress,
  root: PartitionRoot,
  options: CheckOptions,
): Promise<void> {
  const { store, random } = options;
  const dictionaries = new CanonicalDictionaries({ store, random, shard, shardCount });
  for (const { id } of root.blocks) {
    const key = blockKey(dayMs, shard, id);
    await found(key, options, async () => {
      const bytes = await store.get(key);
      if (bytes === null) return;
      for (const entry of decodeBlock(bytes).sections) {
        const { tenant, service } = entry;
        const { dictionary } = await dictionaries.load(dayMs, tenant, service, root);
        const view = decodeBlockSection(bytes.subarray(entry.at, entry.end), entry);
        checkBlockSection(view, dictionary.lengths, service);
      }
    });
  }
  for (const [key] of dictionaries.entries()) dictionaries.evict(key);
}
