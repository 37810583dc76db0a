import type { KnownStream } from './known-stream.ts';

/** Bytes of tables of one stream, and who can forget them. */
interface Held {
  bytes: number;
  readonly forget: () => void;
}

/** Bounds the memory of the tables of all streams of a host: the least recently used go first. */
export class StreamBudget {
  readonly #bytesMax: number;
  /** In order of use. */
  readonly #held = new Map<KnownStream, Held>();
  #bytes = 0;
  /** Who used it last, and with how much: batches of a stream come in runs. */
  #last: KnownStream | undefined;
  #lastBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of all tables, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The stream was used; its tables may have grown. */
  use(stream: KnownStream, forget: () => void): void {
    const bytes = stream.tableBytes;
    if (stream === this.#last && bytes === this.#lastBytes) return;
    this.#last = stream;
    this.#lastBytes = bytes;
    const held = this.#held.get(stream) ?? { bytes: 0, forget };
    this.#bytes += bytes - held.bytes;
    held.bytes = bytes;
    this.#held.delete(stream);
    this.#held.set(stream, held);
    for (const [other, { forget: forgetOther }] of this.#held) {
      if (this.#bytes <= this.#bytesMax || other === stream) break;
      this.release(other);
      forgetOther();
    }
  }

  /** Its tables are gone. */
  release(stream: KnownStream): void {
    this.#bytes -= this.#held.get(stream)?.bytes ?? 0;
    this.#held.delete(stream);
    if (this.#last === stream) this.#last = undefined;
  }
}
