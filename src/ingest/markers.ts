import { TephraError } from '../base/errors.ts';
import { parsePeriodName } from '../base/time.ts';
import type { BlobStore } from '../storage/blob-store/contract.ts';
import { markerKey } from '../storage/keys.ts';

/**
 * Whether each of these identities (32 hex digits) has a marker under an event hour, in any raw volume
 * that is kept. What is set aside is not served either: its markers count as absent.
 */
export async function findMarkers(
  store: BlobStore,
  hourMs: number,
  identities: readonly string[],
): Promise<readonly boolean[]> {
  const found = identities.map(() => false);
  for (const volume of await store.listVolumes('raw')) {
    if (Number.isNaN(parsePeriodName(volume.slice('raw/'.length)))) continue;
    const markers = identities.map((identity) => markerKey(volume, hourMs, identity));
    for (const [i, isThere] of (await hasMarkers(store, markers)).entries()) {
      if (isThere) found[i] = true;
    }
  }
  return found;
}

async function hasMarkers(
  store: BlobStore,
  markers: readonly string[],
): Promise<readonly boolean[]> {
  try {
    return await store.hasMarkers(markers);
  } catch (thrown) {
    if (TephraError.from(thrown).reason === 'volume_quarantined') return [];
    throw thrown;
  }
}
