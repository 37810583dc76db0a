import { isPastRetention } from '../jobs/retention.ts';
import type { BlobStore } from '../storage/blob-store/contract.ts';
import type { Limits } from './host-contract.ts';
import type { HostHandle } from './host-handle.ts';

/** How often volumes are looked through. */
const INTERVAL_MS = 10 * 60_000;

/**
 * Drops whole volumes past their retention: asks every host first, since shards of all of them share a
 * volume. A server that is left alone does not fill its disk.
 */
export class VolumeRetention {
  /** Volumes dropped since the start. */
  dropped = 0;
  readonly #store: BlobStore;
  readonly #hosts: readonly HostHandle[];
  readonly #limits: Limits;
  #lastMs = -Infinity;

  constructor(store: BlobStore, hosts: readonly HostHandle[], limits: Limits) {
    this.#store = store;
    this.#hosts = hosts;
    this.#limits = limits;
  }

  /** Drops what may go at `nowMs`; does nothing if it looked within the last ten minutes. */
  async run(nowMs: number): Promise<void> {
    if (Math.abs(nowMs - this.#lastMs) < INTERVAL_MS) return;
    this.#lastMs = nowMs;
    const volumes = [
      ...(await this.#store.listVolumes('raw')),
      ...(await this.#store.listVolumes('minutes')),
    ].filter((volume) => isPastRetention(volume, this.#limits, nowMs));
    if (volumes.length === 0) return;
    const held = new Set<string>();
    for (const { api } of this.#hosts) {
      for (const volume of await api.releaseVolumes(volumes)) held.add(volume);
    }
    for (const volume of volumes) {
      if (held.has(volume)) continue;
      await this.#store.dropVolume(volume);
      this.dropped++;
    }
  }
}
