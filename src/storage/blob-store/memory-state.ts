/** A root in memory. */
export interface MemoryRoot {
  readonly token: string;
  readonly bytes: Uint8Array;
}

/** A volume in memory. Byte arrays in it are never changed. */
export interface MemoryVolume {
  readonly blobs: Map<string, Uint8Array>;
  readonly markers: Set<string>;
  readonly roots: Map<string, MemoryRoot>;
}

/** What a MemoryBlobStore has durable: what survives a simulated crash. */
export class MemoryState {
  readonly volumes = new Map<string, MemoryVolume>();
  #tokens = 0;

  /** The volume of this name, made where there is none. */
  create(name: string): MemoryVolume {
    let volume = this.volumes.get(name);
    if (volume === undefined) {
      volume = { blobs: new Map(), markers: new Set(), roots: new Map() };
      this.volumes.set(name, volume);
    }
    return volume;
  }

  /** A token that no root of this state or of its copies ever had. */
  nextToken(): string {
    this.#tokens++;
    return String(this.#tokens);
  }

  /** A state of its own with the same content. */
  copy(): MemoryState {
    const copy = new MemoryState();
    copy.assign(this);
    return copy;
  }

  /** Takes over the content of another state, which stays as it is. Tokens never go back. */
  assign(other: MemoryState): void {
    const volumes = [...other.volumes].map(([name, { blobs, markers, roots }]) => ({
      name,
      volume: { blobs: new Map(blobs), markers: new Set(markers), roots: new Map(roots) },
    }));
    this.volumes.clear();
    for (const { name, volume } of volumes) this.volumes.set(name, volume);
    this.#tokens = Math.max(this.#tokens, other.#tokens);
  }
}
