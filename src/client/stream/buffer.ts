import { assert } from '../../base/assert.ts';
import { movePart, partBytes, type Batch, type SamplePart } from './part.ts';
import { Moving, type SampleTables } from './tables.ts';

/** Batches that may be sent and not settled; the protocol allows 1,024. */
const UNSETTLED_MAX = 1_000;

/**
 * Batches that are not settled, oldest first. Those that were sent once have a sequence and stay until
 * the server says what became of them; what waits is dropped, oldest first, where `bytesMax` is passed.
 * Sent ones are given up only where they alone pass it, and only between two calls.
 */
export class BatchBuffer {
  readonly #bytesMax: number;
  readonly #batches: Batch[] = [];
  #bytes = 0;
  #ordinal = 0;
  #nextSequence = 1;
  /** How many of the batches have a sequence. */
  #sequenced = 0;
  /** How many of the batches were sent in this call. */
  #cursor = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get size(): number {
    return this.#batches.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Ordinal of the batch that was added last. */
  get lastOrdinal(): number {
    return this.#ordinal;
  }

  /** Ordinal of the oldest batch that is there. */
  get firstOrdinal(): number {
    return this.#batches[0]?.ordinal ?? Number.POSITIVE_INFINITY;
  }

  /** Lowest sequence that may still be sent. */
  get firstSequence(): number {
    const first = this.#batches[0];
    return first === undefined || first.sequence === 0 ? this.#nextSequence : first.sequence;
  }

  /** Highest sequence that was ever sent. */
  get lastSequence(): number {
    return this.#nextSequence - 1;
  }

  /** Batches that were sent in this call and are not settled. */
  get inFlight(): number {
    return this.#cursor;
  }

  /** Adds a batch at the end; returns what was dropped for it. */
  add(parts: readonly SamplePart[]): Batch[] {
    const entries = parts.reduce((sum, { stacks }) => sum + stacks.length, 0);
    const bytes = parts.reduce((sum, part) => sum + partBytes(part), 0);
    this.#batches.push({ ordinal: ++this.#ordinal, sequence: 0, parts, entries, bytes });
    this.#bytes += bytes;
    const dropped: Batch[] = [];
    while (this.#bytes > this.#bytesMax && this.#sequenced < this.#batches.length - 1) {
      dropped.push(...this.#remove(this.#sequenced, 1));
    }
    return dropped;
  }

  /** Between two calls: gives up the oldest sent batches while there is too much; begins from the first. */
  rewind(): Batch[] {
    this.#cursor = 0;
    const givenUp: Batch[] = [];
    while (this.#bytes > this.#bytesMax && this.#sequenced > 0) {
      givenUp.push(...this.#remove(0, 1));
      this.#sequenced--;
    }
    return givenUp;
  }

  /** The same call goes on under a new epoch: everything is sent again. */
  resend(): void {
    this.#cursor = 0;
  }

  /** The batch to send next, with its sequence; undefined = none, or too many are in flight. */
  next(): Batch | undefined {
    const batch = this.#batches[this.#cursor];
    if (batch === undefined || this.#cursor >= UNSETTLED_MAX) return undefined;
    if (batch.sequence === 0) {
      batch.sequence = this.#nextSequence++;
      this.#sequenced++;
    }
    return batch;
  }

  /** What {@link next} gave was sent. */
  sent(): void {
    this.#cursor++;
  }

  /** Removes what is settled up to `sequence`. */
  settle(sequence: number): Batch[] {
    let count = 0;
    while (count < this.#sequenced && (this.#batches[count] as Batch).sequence <= sequence) count++;
    this.#sequenced -= count;
    this.#cursor = Math.max(0, this.#cursor - count);
    return this.#remove(0, count);
  }

  /** Writes all batches in the numbers of other tables. */
  moveTo(from: SampleTables, to: SampleTables): void {
    const moving = new Moving(from, to);
    for (const batch of this.#batches) {
      batch.parts = batch.parts.map((part) => movePart(part, moving));
    }
  }

  #remove(at: number, count: number): Batch[] {
    const removed = this.#batches.splice(at, count);
    for (const { bytes } of removed) this.#bytes -= bytes;
    assert(this.#bytes >= 0, 'more bytes were removed than added');
    return removed;
  }
}
