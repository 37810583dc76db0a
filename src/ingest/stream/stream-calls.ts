import { TephraError } from '../../base/errors.ts';
import { serviceOf } from '../../profile/labels.ts';
import { FieldError } from '../../profile/stream/field-error.ts';
import { findMarkers } from '../markers.ts';
import { KnownStream } from './known-stream.ts';
import type { StreamOpened, StreamOpening, StreamRows } from './messages.ts';
import type { Place } from './batch-scopes.ts';
import type { StreamShard } from './stream-shard.ts';

/** An open call and what it said. */
export interface OpenCall {
  readonly stream: KnownStream;
  readonly opening: StreamOpening;
  /** The scope of its last batch by name: mostly that of the next one. */
  place: Place | undefined;
}

const NO_ROWS: StreamRows = { strings: 0, frames: 0, stacks: 0, series: 0 };

/** The calls of a shard, and the streams that it knows: with tables, with a call, or from a call that was. */
export class StreamCalls {
  readonly #shard: StreamShard;
  /** By name; the least recently opened first. */
  readonly #known = new Map<string, KnownStream>();
  readonly #byCall = new Map<number, OpenCall>();

  constructor(shard: StreamShard) {
    this.#shard = shard;
  }

  /** Streams with tables or a call. */
  get size(): number {
    return this.#known.size;
  }

  /** The call, if it is open. */
  of(call: number): OpenCall | undefined {
    return this.#byCall.get(call);
  }

  /**
   * Begins a call: takes the place of an older one of the same instance, waits for what that has on the
   * way, and tells what is settled. Throws `malformed_open`, `overloaded`, `stream_replaced`, or what the
   * store throws.
   */
  async open(opening: StreamOpening): Promise<StreamOpened> {
    const fresh = new KnownStream(opening, serviceOf(opening.labels));
    const known = this.#known.get(fresh.name);
    const stream = known ?? fresh;
    const replaces = stream.call === 0 ? undefined : stream.call;
    if (replaces !== undefined) this.#byCall.delete(replaces);
    if (known === undefined) this.#makeRoom();
    // Again at the end: the order is that of opening.
    this.#known.delete(stream.name);
    this.#known.set(stream.name, stream);
    stream.call = opening.call;
    const before = stream.opening;
    const work = before.then(
      () => this.#begin(stream, opening),
      () => this.#begin(stream, opening),
    );
    stream.opening = work.then(
      () => undefined,
      () => undefined,
    );
    const opened = await work;
    return { ...opened, replaces };
  }

  async #begin(
    stream: KnownStream,
    opening: StreamOpening,
  ): Promise<Omit<StreamOpened, 'replaces'>> {
    try {
      await this.#shard.writer.orRefused(stream.quiet());
      const stored = stream.isSure ? 0 : await this.#lookUp(stream, opening);
      if (stream.call !== opening.call) {
        throw new TephraError('stream_replaced', 'the same instance has opened another call');
      }
      stream.settled = Math.max(stream.settled, stored);
      if (stream.settled > opening.lastSequence) {
        const text = `${opening.lastSequence}: ${stream.settled} was stored before; a new process needs a new instance`;
        throw new FieldError('malformed_open', 'last_sequence', text);
      }
    } catch (thrown) {
      if (stream.call === opening.call) {
        stream.call = 0;
        if (!stream.isSure) this.#forget(stream);
      }
      throw thrown;
    }
    stream.isSure = true;
    stream.reopen(opening);
    stream.usedMs = this.#shard.clock.nowMs();
    this.#byCall.set(opening.call, { stream, opening, place: undefined });
    this.#shard.counters.streamsOpened++;
    const labels = JSON.stringify(opening.labels);
    if (stream.labels !== labels || stream.epoch !== opening.epoch) {
      stream.labels = labels;
      this.endEpoch(stream, new TephraError('epoch_unknown', 'not the epoch of the last call'));
    }
    const { tables } = stream;
    return {
      settled: stream.settled,
      epoch: tables === undefined ? 0 : stream.epoch,
      rows: tables?.rows ?? NO_ROWS,
      limits: this.#shard.rules.limits,
    };
  }

  /** The highest sequence in question that is stored, 0 for none. */
  async #lookUp(
    stream: KnownStream,
    { firstSequence, lastSequence }: StreamOpening,
  ): Promise<number> {
    const keys: string[] = [];
    for (let sequence = firstSequence; sequence <= lastSequence; sequence++) {
      keys.push(stream.marker(sequence));
    }
    if (keys.length === 0) return 0;
    const found = (await findMarkers(this.#shard.state.store, 0, keys)).lastIndexOf(true);
    return found < 0 ? 0 : firstSequence + found;
  }

  /** The call has ended. What it sent is finished; its tables stay for the next call. */
  close(call: number): void {
    const stream = this.#byCall.get(call)?.stream;
    this.#byCall.delete(call);
    if (stream?.call === call) stream.call = 0;
  }

  /** Forgets the tables of streams that were silent for long. */
  expire(nowMs: number): void {
    for (const stream of this.#known.values()) {
      if (stream.tables === undefined || nowMs - stream.usedMs < this.#shard.rules.idleMs) continue;
      this.endEpoch(stream, new TephraError('epoch_unknown', 'the stream was silent for long'));
    }
  }

  /** The tables of the stream are gone, and the call learns why. */
  endEpoch(stream: KnownStream, error: TephraError): void {
    if (stream.tables !== undefined) this.#shard.counters.streamEpochsEnded++;
    this.#shard.budget.release(stream);
    stream.endEpoch(error);
  }

  #forget(stream: KnownStream): void {
    this.#shard.budget.release(stream);
    if (this.#known.get(stream.name) === stream) this.#known.delete(stream.name);
  }

  /** Forgets the stream that was opened longest ago of those that nobody uses. */
  #makeRoom(): void {
    if (this.#known.size < this.#shard.rules.knownMax) return;
    for (const stream of this.#known.values()) {
      if (stream.call !== 0 || !stream.isQuiet) continue;
      this.#forget(stream);
      return;
    }
    throw new TephraError('overloaded', `${this.#known.size} streams are open`);
  }
}
