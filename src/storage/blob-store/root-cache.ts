import { KeptByUse } from '../../base/kept-by-use.ts';
import type { BlobStore, ByteRange, CasOutcome, Root } from './contract.ts';
import { volumeOf } from './contract.ts';
import { ForwardingStore } from './forwarding.ts';

/** What a root takes beside its bytes and its name: an entry of a map and an object. */
const ENTRY_BYTES = 128;

/** A read that is under way. */
interface Reading {
  readonly version: number;
  readonly root: Promise<Root | null>;
}

/**
 * A store that remembers the roots of its owner: whether a day has anything is then known without opening
 * its volume. Right only for roots that nobody swaps but through this object: those of the shards of one
 * host. What it tells was the root at some time since the call, as a read of the store does: a swap makes
 * it forget before it begins, and what a read brings that began before a swap ended is not kept.
 */
export class RootCachingStore extends ForwardingStore {
  readonly #bytesMax: number;
  readonly #roots = new KeptByUse<Root | null>();
  readonly #readings = new Map<string, Reading>();
  /** Grows with whatever may make older reads wrong. */
  #version = 0;

  /** `bytesMax`: budget of what is remembered. */
  constructor(store: BlobStore, bytesMax: number) {
    super(store);
    this.#bytesMax = bytesMax;
  }

  override readRoot(name: string): Promise<Root | null> {
    const known = this.#roots.get(name);
    if (known !== undefined) return Promise.resolve(known);
    const underWay = this.#readings.get(name);
    if (underWay?.version === this.#version) return underWay.root;
    const version = this.#version;
    const reading = { version, root: this.#read(name, version) };
    this.#readings.set(name, reading);
    const done = (): void => {
      if (this.#readings.get(name) === reading) this.#readings.delete(name);
    };
    reading.root.then(done, done);
    return reading.root;
  }

  override async casRoot(
    name: string,
    token: string | null,
    bytes: Uint8Array,
  ): Promise<CasOutcome> {
    this.#forget(name);
    try {
      return await this.store.casRoot(name, token, bytes);
    } finally {
      this.#forget(name);
    }
  }

  /** What a root names and is not there, or not readable: the root may be another by now. */
  override async get(key: string, range?: ByteRange): Promise<Uint8Array | null> {
    let found: Uint8Array | null = null;
    try {
      found = await this.store.get(key, range);
      return found;
    } finally {
      if (found === null) this.#forgetVolume(volumeOf(key));
    }
  }

  override async dropVolume(volume: string): Promise<void> {
    try {
      await this.store.dropVolume(volume);
    } finally {
      this.#forgetVolume(volume);
    }
  }

  async #read(name: string, version: number): Promise<Root | null> {
    const root = await this.store.readRoot(name);
    if (version === this.#version) {
      this.#roots.set(name, root, costOf(name, root));
      this.#roots.shrink(this.#bytesMax);
    }
    return root;
  }

  #forget(name: string): void {
    this.#version++;
    this.#roots.delete(name);
  }

  #forgetVolume(volume: string): void {
    this.#version++;
    for (const name of this.#roots.names()) {
      if (volumeOf(name) === volume) this.#roots.delete(name);
    }
  }
}

function costOf(name: string, root: Root | null): number {
  return ENTRY_BYTES + name.length + (root?.bytes.byteLength ?? 0);
}
