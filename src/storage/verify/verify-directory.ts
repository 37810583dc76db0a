import type { Random } from '../../base/random.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import { checkFragments, checkRoots, findingOf, listFragments } from '../ledger/check.ts';
import type { Finding } from '../ledger/finding.ts';
import type { Marks } from '../ledger/marks.ts';
import { checkVolume } from './check-volume.ts';

/** What a verification is told and tells. */
export interface VerifyOptions {
  readonly store: BlobStore;
  readonly random: Random;
  /** The marks of the ledger; undefined where there are none. Throws where they are damaged. */
  readonly marks: () => Promise<Marks | undefined>;
  /** Incarnations so far. */
  readonly incarnation: number;
  /** What was met and costs nothing by itself: see LevelStoreStats. */
  readonly stats: () => {
    readonly degradedRoots: readonly string[];
    readonly strangeKeys: readonly string[];
  };
  readonly deep: boolean;
  /** Told as it goes: volumes done and in all, blobs and bytes so far. */
  readonly onProgress: (progress: VerifyProgress) => void;
}

/** How far a verification is. */
export interface VerifyProgress {
  readonly volumes: number;
  readonly volumesDone: number;
  readonly blobs: number;
  readonly bytes: number;
}

/** Reads everything that is stored and tells what is damaged or lost; an empty list = nothing is. */
export async function verifyStore(options: VerifyOptions): Promise<Finding[]> {
  const { store, random, deep, onProgress } = options;
  const findings: Finding[] = [];
  const onFinding = (finding: Finding): void => void findings.push(finding);
  const volumes = [
    ...(await store.listVolumes('raw')),
    ...(await store.listVolumes('minutes')),
    ...(await store.listVolumes('hours')),
    ...(await store.listVolumes('days')),
  ];
  let volumesDone = 0;
  let blobs = 0;
  let bytes = 0;
  const tell = (): void => onProgress({ volumes: volumes.length, volumesDone, blobs, bytes });
  for (const volume of volumes) {
    const onBlob = async (_: string, size: number): Promise<void> => {
      blobs++;
      bytes += size;
      tell();
    };
    await checkVolume(volume, { store, random, deep, onBlob, onFinding });
    volumesDone++;
    tell();
  }
  for (const finding of await checkLedger(options)) {
    // What cannot be read was told by the check of its volume.
    if (!findings.some(({ kind, what }) => kind === finding.kind && what === finding.what)) {
      onFinding(finding);
    }
  }
  const { degradedRoots, strangeKeys } = options.stats();
  for (const key of strangeKeys) {
    onFinding({ kind: 'damaged', what: JSON.stringify(key), detail: 'no key of ours' });
  }
  for (const name of degradedRoots) {
    onFinding({ kind: 'damaged', what: name, detail: 'one of its two copies; nothing is lost' });
  }
  return findings;
}

async function checkLedger({ store, marks, incarnation }: VerifyOptions): Promise<Finding[]> {
  const { present, findings } = await listFragments(store);
  const all = [...findings];
  let saved: Marks | undefined;
  try {
    saved = await marks();
    if (saved === undefined && incarnation > 1 && present.size > 0) {
      all.push({ kind: 'missing', what: 'high-water', detail: 'the marks are not there' });
    }
  } catch (thrown) {
    all.push(findingOf('high-water', thrown));
  }
  all.push(...(await checkFragments(store, present, saved?.fragments ?? [])));
  for (const { finding } of await checkRoots(store, saved?.roots ?? [])) all.push(finding);
  return all;
}
