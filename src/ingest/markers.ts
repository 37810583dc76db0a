import { TephraError } from '../base/errors.ts';
import { parsePeriodName } from '../base/time.ts';
import type { BlobStore } from '../storage/blob-store/contract.ts';
import { markerKey } from '../storage/keys.ts';

/**
 * Whether each of these identities (32 hex digits) has a marker under an event hour, in any raw volume
 * that is kept. What is set aside is not served either: its markers count as absent.
 */
export function findMarkers(
  store: BlobStore,
  hourMs: number,
  identities: readonly string[],
): Promise<readonly boolean[]> {
  return anyVolumeHas(
    store,
    identities.map((identity) => ({ hourMs, identity })),
  );
}

/**
 * Asks for the markers of many pushes at once: what is asked while one question is under way becomes
 * the next one, together. A push of a server that runs alone asks at once.
 */
export class MarkerLookup {
  readonly #store: BlobStore;
  #waiting: Asked[] = [];
  #isAsking = false;

  constructor(store: BlobStore) {
    this.#store = store;
  }

  /** As {@link findMarkers} for one identity. */
  isStored(hourMs: number, identity: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ hourMs, identity, resolve, reject });
      if (!this.#isAsking) void this.#askAll();
    });
  }

  /** Never rejects: what fails goes to those who asked. */
  async #askAll(): Promise<void> {
    this.#isAsking = true;
    while (this.#waiting.length > 0) {
      const asked = this.#waiting;
      this.#waiting = [];
      try {
        const found = await anyVolumeHas(this.#store, asked);
        for (const [i, { resolve }] of asked.entries()) resolve(found[i] === true);
      } catch (thrown) {
        for (const { reject } of asked) reject(thrown);
      }
    }
    this.#isAsking = false;
  }
}

/** An identity under its event hour. */
interface Marked {
  readonly hourMs: number;
  readonly identity: string;
}

interface Asked extends Marked {
  readonly resolve: (isStored: boolean) => void;
  readonly reject: (thrown: unknown) => void;
}

async function anyVolumeHas(
  store: BlobStore,
  asked: readonly Marked[],
): Promise<readonly boolean[]> {
  const found = asked.map(() => false);
  for (const volume of await store.listVolumes('raw')) {
    if (Number.isNaN(parsePeriodName(volume.slice('raw/'.length)))) continue;
    const markers = asked.map(({ hourMs, identity }) => markerKey(volume, hourMs, identity));
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
