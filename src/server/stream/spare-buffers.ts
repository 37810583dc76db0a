/** Below this a new buffer costs less than looking for an old one. */
const SMALL_BYTES = 32 * 1024;

/**
 * Large buffers of bundles that were delivered, for those that follow: a new one for each would be zeroed,
 * mapped page by page, and left to the garbage collector of two threads.
 */
export class SpareBuffers {
  readonly #bytesMax: number;
  readonly #spare: Uint8Array[] = [];
  #bytes = 0;

  /** Keeps at most `bytesMax`. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A buffer of its own with at least `size` bytes; what is in it is left over. */
  take(size: number): Uint8Array {
    if (size < SMALL_BYTES) return new Uint8Array(size);
    const capacity = 2 ** Math.ceil(Math.log2(size));
    const at = this.#spare.findIndex(({ byteLength }) => byteLength === capacity);
    const [found] = at < 0 ? [] : this.#spare.splice(at, 1);
    if (found === undefined) return new Uint8Array(capacity);
    this.#bytes -= capacity;
    return found;
  }

  /** Nobody uses it any more. The oldest go when there are too many. */
  give(bytes: Uint8Array): void {
    if (bytes.byteLength < SMALL_BYTES || bytes.byteLength > this.#bytesMax) return;
    this.#spare.push(bytes);
    this.#bytes += bytes.byteLength;
    while (this.#bytes > this.#bytesMax) this.#bytes -= this.#spare.shift()?.byteLength ?? 0;
  }
}
