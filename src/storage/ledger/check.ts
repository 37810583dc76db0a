import { TephraError } from '../../base/errors.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { decodeFragment } from '../fragment/decode.ts';
import { fragmentKey, parseFragmentKey, parseRawVolume } from '../keys.ts';
import type { FragmentAddress } from '../keys.ts';
import { decodeRoot } from '../root/decode.ts';
import type { Finding } from './finding.ts';
import type { FragmentMark, RootMark } from './marks.ts';

/** The fragments of one shard in one incarnation, as they are listed. */
export interface Present {
  readonly incarnation: number;
  readonly shard: number;
  /** Ascending. */
  readonly addresses: FragmentAddress[];
}

/** What the raw tier holds. */
export interface Listing {
  readonly present: ReadonlyMap<string, Present>;
  readonly findings: readonly Finding[];
}

/** Name of (incarnation, shard) in maps. */
export function writerName(of: { readonly incarnation: number; readonly shard: number }): string {
  return `${of.incarnation}/${of.shard}`;
}

/** Lists every fragment of the raw tier; volumes that cannot be listed are findings. */
export async function listFragments(store: BlobStore): Promise<Listing> {
  const present = new Map<string, Present>();
  const findings: Finding[] = [];
  for (const volume of await store.listVolumes('raw')) {
    if (parseRawVolume(volume) === undefined) continue;
    try {
      for (const { key } of await store.list(`${volume}/f/`)) {
        const address = parseFragmentKey(key);
        if (address === undefined) continue;
        const name = writerName(address);
        let one = present.get(name);
        if (one === undefined) {
          const { incarnation, shard } = address;
          present.set(name, (one = { incarnation, shard, addresses: [] }));
        }
        one.addresses.push(address);
      }
    } catch (thrown) {
      findings.push(findingOf(volume, thrown));
    }
  }
  for (const { addresses } of present.values()) addresses.sort((a, b) => a.seq - b.seq);
  return { present, findings };
}

/**
 * Fragments that must be there and are not: sequences of an incarnation are dense, less those that a
 * later fragment lists as skipped and those that retention dropped; and none below the mark may be
 * missing at the end.
 */
export async function checkFragments(
  store: BlobStore,
  present: ReadonlyMap<string, Present>,
  marks: readonly FragmentMark[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const marked = new Map(marks.map((mark) => [writerName(mark), mark]));
  for (const name of new Set([...present.keys(), ...marked.keys()])) {
    const one = present.get(name);
    const mark = marked.get(name);
    const { incarnation, shard } = (one ?? mark) as Present | FragmentMark;
    const from = mark?.from ?? 1;
    const addresses = one?.addresses ?? [];
    let expected = from;
    for (const address of addresses) {
      if (address.seq > expected) {
        const skipped = await skippedBy(store, address);
        findings.push(...gaps(incarnation, shard, expected, address.seq - 1, skipped));
      }
      expected = Math.max(expected, address.seq + 1);
    }
    const last = mark?.seq ?? 0;
    if (last >= expected) findings.push(...gaps(incarnation, shard, expected, last, new Set()));
  }
  return findings;
}

/** Roots that are older than their mark, or gone. Volumes that are set aside are others' findings. */
export async function checkRoots(
  store: BlobStore,
  marks: readonly RootMark[],
): Promise<{ readonly mark: RootMark; readonly finding: Finding }[]> {
  const stale: { mark: RootMark; finding: Finding }[] = [];
  for (const mark of marks) {
    try {
      const stored = await store.readRoot(mark.name);
      const gen = stored === null ? 0 : decodeRoot(stored.bytes).gen;
      if (gen < mark.gen) stale.push({ mark, finding: staleRoot(mark, gen) });
    } catch (thrown) {
      const finding = findingOf(mark.name, thrown);
      if (finding.kind === 'damaged') stale.push({ mark, finding });
    }
  }
  return stale;
}

/** The finding that a root has a lower generation than its mark. */
export function staleRoot({ name, gen: expected }: RootMark, gen: number): Finding {
  const found = gen === 0 ? 'none' : `generation ${gen}`;
  return {
    kind: 'root_stale',
    what: name,
    detail: `expected generation ${expected} or later, found ${found}`,
  };
}

/** The finding that a read of `what` failed; rethrows what says nothing about the bytes. */
export function findingOf(what: string, thrown: unknown): Finding {
  const error = TephraError.from(thrown);
  if (error.reason === 'volume_quarantined') {
    return { kind: 'quarantined', what, detail: error.detail };
  }
  if (error.reason === 'corrupt_block' || error.reason === 'unknown_format_version') {
    return { kind: 'damaged', what, detail: error.detail };
  }
  throw thrown;
}

/** Sequences that the fragment lists as never stored; none where it is damaged. */
async function skippedBy(store: BlobStore, address: FragmentAddress): Promise<Set<number>> {
  try {
    const bytes = await store.get(fragmentKey(address));
    return new Set(bytes === null ? [] : decodeFragment(bytes).skipped);
  } catch (thrown) {
    if (TephraError.from(thrown).reason === 'corrupt_block') return new Set();
    throw thrown;
  }
}

/** One finding for each run of missing sequences in [from, to]. */
function gaps(
  incarnation: number,
  shard: number,
  from: number,
  to: number,
  skipped: ReadonlySet<number>,
): Finding[] {
  const findings: Finding[] = [];
  let start: number | undefined;
  for (let seq = from; seq <= to + 1; seq++) {
    const missing = seq <= to && !skipped.has(seq);
    if (missing) start ??= seq;
    else if (start !== undefined) {
      const last = seq - 1;
      findings.push({
        kind: 'ledger_gap',
        what: `fragments of incarnation ${incarnation}, shard ${shard}`,
        detail: `${last === start ? start : `${start} to ${last}`} missing (${last - start + 1})`,
      });
      start = undefined;
    }
  }
  return findings;
}
