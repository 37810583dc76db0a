import { DAY_MS } from '../../base/time.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { parseRootName } from '../keys.ts';
import { checkFragments, checkRoots, findingOf, listFragments } from './check.ts';
import type { Finding } from './finding.ts';
import { LedgerStore } from './ledger-store.ts';
import type { Marks } from './marks.ts';

/** Where marks are kept. */
export interface MarksFile {
  /** Undefined where there is none. Throws `corrupt_block`. */
  read(): Promise<Marks | undefined>;
  write(marks: Marks): Promise<void>;
}

/** What {@link openLedger} needs. */
export interface LedgerOptions {
  readonly store: BlobStore;
  readonly highWater: MarksFile;
  /** The directory was made just now. */
  readonly isFirst: boolean;
  readonly nowMs: number;
}

/** Days whose roots are compared at once; those of others when they are read. */
const HOT_MS = 2 * DAY_MS;

const NO_MARKS: Marks = { fragments: [], roots: [] };

/**
 * Opens the ledger: compares what the store holds with the marks of the last run, and goes on from both. A root of these
 * days that fell back is taken as it is, since the raw tier still has what it forgot: the head marks of
 * its shard are not believed, so that all of it is absorbed again.
 */
export async function openLedger(options: LedgerOptions): Promise<LedgerStore> {
  const { store, highWater, isFirst, nowMs } = options;
  const listing = await listFragments(store);
  const findings: Finding[] = listing.findings.filter(({ kind }) => kind !== 'quarantined');
  let marks: Marks | undefined;
  try {
    marks = await highWater.read();
    if (marks === undefined && !isFirst && listing.present.size > 0) {
      findings.push({ kind: 'missing', what: 'high-water', detail: 'the marks are not there' });
    }
  } catch (thrown) {
    findings.push(findingOf('high-water', thrown));
  }
  marks ??= NO_MARKS;
  findings.push(...(await checkFragments(store, listing.present, marks.fragments)));
  const hot = marks.roots.filter(({ name }) => (parseRootName(name)?.dayMs ?? 0) >= nowMs - HOT_MS);
  const stale = await checkRoots(store, hot);
  const distrusted = new Set<number>();
  const fallen = new Set<string>();
  for (const { mark, finding } of stale) {
    findings.push(finding);
    const shard = parseRootName(mark.name)?.shard;
    if (shard !== undefined) distrusted.add(shard);
    if (finding.kind === 'root_stale') fallen.add(mark.name);
  }
  const ledger = new LedgerStore({
    store,
    listing,
    fragments: marks.fragments,
    roots: marks.roots.filter(({ name }) => !fallen.has(name)),
    distrusted,
    save: (next) => highWater.write(next),
  });
  for (const finding of findings) ledger.report(finding);
  await ledger.save().catch(() => {
    // A full disk: it is saved as soon as there is room.
  });
  return ledger;
}
