import { createHash } from 'node:crypto';
import { assert } from '../../base/assert.ts';
import { hex } from '../../base/bytes.ts';
import type { TephraError } from '../../base/errors.ts';
import type { WriterScope } from '../../storage/shard/shard-state.ts';
import { WriteDoubtError } from '../shard-writer.ts';
import type { ShardWriter, Waiter, WriterItem } from '../shard-writer.ts';
import type { StreamOpening, StreamRefused, StreamReport } from './messages.ts';
import { ScopeRefs } from './scope-refs.ts';
import type { Settling } from './settling.ts';
import type { StreamTables } from './tables.ts';

/** Live scopes of which a stream keeps the ids: two days, and those that just ended. */
const SCOPES_KEPT = 4;

/**
 * One (tenant, service, instance): which of its batches are settled, and the tables of its epoch. It
 * outlives calls; it can be forgotten whenever nothing of it is on the way, because what matters is in
 * the store.
 *
 * Invariant: everything up to `settled` is settled, everything up to `taken` is settled or on its way
 * to the store, in order.
 */
export class KnownStream {
  readonly name: string;
  /** The open call, 0 = none. */
  call = 0;
  /** What every key of a push begins with; the sequence is mixed into the rest. */
  readonly #seed: Uint8Array;
  settled = 0;
  taken = 0;
  epoch = 0;
  /** Undefined: they are gone. */
  tables: StreamTables | undefined;
  /** Why they are gone. */
  epochError: TephraError | undefined;
  /** Whether the present call was told so. */
  epochTold = false;
  /** Batches came that were not taken, because their epoch was over. */
  skipped = false;
  /** The batch whose rows found no room in empty tables, 0 if others came since. */
  fullAt = 0;
  /** Labels of the stream as text: other labels are other tables. */
  labels = '';
  usedMs = 0;
  /** `settled` reaches as far as the store does: it was looked up. */
  isSure = false;
  /** Calls that begin take turns. */
  opening: Promise<void> = Promise.resolve();
  /** Work that had to wait for something else than the disk; later batches go behind it. */
  tail: Promise<void> | undefined;
  /** Why the present call ends. */
  failed: TephraError | undefined;
  refused: StreamRefused[] = [];
  readonly #refs = new Map<number, ScopeRefs>();
  /** Sequences that need no disk and wait for those before them. */
  readonly #early = new Set<number>();
  #onTheWay = 0;
  /** ShardWriter.abandoned when the first of those on the way set out. */
  #setOut = 0;
  #doubts = 0;
  #quiet: (() => void)[] = [];

  constructor(opening: Pick<StreamOpening, 'tenant' | 'instance'>, service: string) {
    const hash = createHash('sha256');
    for (const part of [opening.tenant, service, opening.instance]) {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(Buffer.byteLength(part), 0);
      hash.update(length).update(part);
    }
    this.#seed = new Uint8Array(hash.digest().subarray(0, 16));
    this.name = hex(this.#seed);
  }

  /** Nothing of it is on the way to the store or in doubt. */
  get isQuiet(): boolean {
    return this.#onTheWay === 0 && this.#doubts === 0 && this.tail === undefined;
  }

  /** Bytes of its tables. */
  get tableBytes(): number {
    let bytes = this.tables?.bytesInMemory ?? 0;
    for (const refs of this.#refs.values()) bytes += refs.bytesInMemory;
    return bytes;
  }

  /** Push key of a part: no two (sequence, part) of a stream share one. */
  key(sequence: number, part: number): Uint8Array {
    const key = this.#seed.slice();
    // 48 bits of sequence and 12 of the part, over the last 8 bytes.
    const low = ((sequence % 2 ** 20) * 2 ** 12 + part) >>> 0;
    const high = Math.floor(sequence / 2 ** 20) >>> 0;
    for (let i = 0; i < 4; i++) {
      key[15 - i] = (key[15 - i] as number) ^ ((low >>> (8 * i)) & 0xff);
      key[11 - i] = (key[11 - i] as number) ^ ((high >>> (8 * i)) & 0xff);
    }
    return key;
  }

  /** The identity that a marker has of a batch. */
  marker(sequence: number): string {
    return hex(this.key(sequence, 0));
  }

  /** Its ids in the dictionary of a scope. */
  refsOf(scope: WriterScope): ScopeRefs {
    let refs = this.#refs.get(scope.epoch);
    if (refs === undefined) {
      for (const epoch of this.#refs.keys()) {
        if (this.#refs.size < SCOPES_KEPT) break;
        this.#refs.delete(epoch);
      }
      refs = new ScopeRefs();
      this.#refs.set(scope.epoch, refs);
    }
    return refs;
  }

  /** Begins an epoch with these empty tables. */
  beginEpoch(epoch: number, tables: StreamTables): void {
    this.epoch = epoch;
    this.tables = tables;
    this.epochError = undefined;
    this.#refs.clear();
  }

  /** Forgets the tables. */
  endEpoch(error: TephraError): void {
    this.tables = undefined;
    this.epochError = error;
    this.epochTold = false;
    this.#refs.clear();
  }

  /** The next batch is settled without the disk: it is refused, or holds nothing. */
  settleNow(sequence: number): void {
    this.taken = sequence;
    this.#early.add(sequence);
    this.#advance();
  }

  /**
   * Whether the next batch may set out: if one before it was given up it must not, or it would be durable
   * where that one is not. The one before learns of its failure a moment later than the writer.
   */
  mayFollow(writer: Pick<ShardWriter, 'abandoned'>): boolean {
    return this.#onTheWay === 0 || this.#setOut === writer.abandoned;
  }

  /** The next batch sets out; `settling` is told when it is settled or has failed. */
  setOut(
    sequence: number,
    writer: Pick<ShardWriter, 'abandoned' | 'give'>,
    items: readonly WriterItem[],
    settling: Settling,
  ): void {
    assert(this.mayFollow(writer), 'nothing before it was given up');
    this.taken = sequence;
    if (this.#onTheWay++ === 0) this.#setOut = writer.abandoned;
    settling.begin();
    writer.give(items, new OnTheWay(this, sequence, settling));
  }

  /** A batch that had set out is durable. */
  stored(sequence: number): void {
    this.#settle(sequence);
    this.#arrive();
  }

  /** A batch that had set out was given up, or it is not known what became of it. */
  lost(sequence: number, error: TephraError): void {
    if (error instanceof WriteDoubtError) this.#waitForTruth(sequence, error.settled);
    this.fail(error);
    this.#arrive();
  }

  /** Ends the present call: what is taken and not settled has to come again. */
  fail(error: TephraError): void {
    this.failed ??= error;
  }

  /** Resolves when it {@link isQuiet}. */
  async quiet(): Promise<void> {
    while (!this.isQuiet) {
      if (this.tail !== undefined) await this.tail;
      else await new Promise<void>((resolve) => this.#quiet.push(resolve));
    }
  }

  /** A new call begins: it has to be quiet. */
  reopen(opening: StreamOpening): void {
    assert(this.isQuiet, 'nothing of the stream is on the way');
    this.settled = Math.max(this.settled, opening.firstSequence - 1);
    this.taken = this.settled;
    this.#early.clear();
    this.failed = undefined;
    this.refused = [];
    this.epochTold = false;
    this.skipped = false;
  }

  /** What the call is to be told now; refusals are told once. */
  report(call: number): StreamReport {
    const { epochError } = this;
    // A refused batch is settled when those before it are: until then the client may have to send it again.
    const refused = this.refused.filter(({ sequence }) => sequence <= this.settled);
    this.refused = this.refused.filter(({ sequence }) => sequence > this.settled);
    // Not while batches are on their way: the client would send them again, and their rows with them.
    const tell = epochError !== undefined && !this.epochTold && this.#onTheWay === 0;
    if (tell) this.epochTold = true;
    return {
      call,
      settled: this.settled,
      refused,
      epochEnd: tell ? { epoch: this.epoch, error: epochError.toWire() } : undefined,
      failed: this.failed?.toWire(),
    };
  }

  #arrive(): void {
    this.#onTheWay--;
    this.wake();
  }

  #settle(sequence: number): void {
    if (sequence > this.settled) this.settled = sequence;
    for (const early of this.#early) if (early <= sequence) this.#early.delete(early);
    this.#advance();
  }

  #advance(): void {
    while (this.#early.delete(this.settled + 1)) this.settled++;
  }

  #waitForTruth(sequence: number, settled: Promise<boolean>): void {
    this.#doubts++;
    void settled.then((durable) => {
      if (durable) this.#settle(sequence);
      this.#doubts--;
      this.wake();
    });
  }

  /** Tells who waits in {@link quiet}. */
  wake(): void {
    if (!this.isQuiet) return;
    const waiting = this.#quiet;
    this.#quiet = [];
    for (const wake of waiting) wake();
  }
}

/** A batch between the writer and its stream: all that is kept of it. */
class OnTheWay implements Waiter {
  readonly #stream: KnownStream;
  readonly #sequence: number;
  readonly #settling: Settling;

  constructor(stream: KnownStream, sequence: number, settling: Settling) {
    this.#stream = stream;
    this.#sequence = sequence;
    this.#settling = settling;
  }

  stored(): void {
    this.#stream.stored(this.#sequence);
    this.#settling.end();
  }

  failed(error: TephraError): void {
    this.#stream.lost(this.#sequence, error);
    this.#settling.end();
  }
}
