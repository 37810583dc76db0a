import { TephraError } from '../../base/errors.ts';
import { createPause } from '../../base/slice.ts';
import type { Canonical } from '../../storage/shard/canonical.ts';
import { loadSeed, openScope } from '../scopes.ts';
import { BatchIntake, type BatchMessage } from './batch-intake.ts';
import { NeededScopes } from './batch-scopes.ts';
import type { StreamBundle, StreamOpened, StreamOpening, StreamReport } from './messages.ts';
import { Settling } from './settling.ts';
import { type OpenCall, StreamCalls } from './stream-calls.ts';
import { createStreamCounters, type StreamCounters, type StreamShard } from './stream-shard.ts';

/**
 * The streams of one shard: from bytes of batches to durable fragments, and what is known of each
 * stream. docs/protocol/stream.md says what clients see.
 *
 * Batches of a stream go to the writer in order of their sequence, each whole, with a marker of the
 * highest one in the fragment. So what is durable of a stream is always a beginning of it, and the
 * highest marker that is found tells how far that reaches.
 */
export class StreamIngest {
  readonly counters: StreamCounters = createStreamCounters();
  readonly #shard: StreamShard;
  readonly #calls: StreamCalls;
  readonly #intake: BatchIntake;
  /** The bundle that is being taken in. */
  #taking: Promise<void> | undefined;

  constructor(options: Omit<StreamShard, 'counters'>) {
    this.#shard = { ...options, counters: this.counters };
    this.#calls = new StreamCalls(this.#shard);
    this.#intake = new BatchIntake(this.#shard, this.#calls);
  }

  /** Streams with tables or a call. */
  get size(): number {
    return this.#calls.size;
  }

  /** See {@link StreamCalls.open}. */
  open(opening: StreamOpening): Promise<StreamOpened> {
    return this.#calls.open(opening);
  }

  /** The call has ended. What it sent is finished; its tables stay for the next call. */
  close(call: number): void {
    this.#calls.close(call);
  }

  /** Forgets the tables of streams that were silent for long. */
  expire(nowMs: number): void {
    this.#calls.expire(nowMs);
  }

  /**
   * Takes messages in. Resolves, one report for each call, when all of them are settled or have
   * failed.
   */
  async take(bundle: StreamBundle): Promise<readonly StreamReport[]> {
    const settling = new Settling();
    const turn = this.#takeBehind(this.#taking, bundle, settling);
    this.#taking = turn;
    await turn;
    if (this.#taking === turn) this.#taking = undefined;
    settling.end();
    await settling.over;
    return Array.from(new Set(bundle.calls), (call) => this.#report(call));
  }

  /** Bundles are taken in one after the other: batches of a stream must not overtake each other. */
  async #takeBehind(
    before: Promise<void> | undefined,
    { calls, ends, bytes, arrivalMs }: StreamBundle,
    settling: Settling,
  ): Promise<void> {
    if (before !== undefined) await before;
    const pause = createPause(this.#shard.clock, this.#shard.timers);
    let from = 0;
    for (const [i, call] of calls.entries()) {
      const to = ends[i] as number;
      this.#takeInTurn(call, { bytes, from, to, arrivalMs }, settling);
      from = to;
      const breath = pause.here();
      if (breath !== undefined) await breath;
    }
  }

  #report(call: number): StreamReport {
    const stream = this.#calls.of(call)?.stream;
    if (stream !== undefined) return stream.report(call);
    const error = new TephraError('stream_replaced', 'the call is not open here any more');
    const failed = error.toWire();
    return { call, settled: 0, refused: [], epochEnd: undefined, failed };
  }

  /** At once, or behind what waits already. */
  #takeInTurn(call: number, message: BatchMessage, settling: Settling): void {
    const open = this.#calls.of(call);
    if (open === undefined) return;
    if (
      open.stream.tail === undefined &&
      !(this.#intake.take(open, message, settling) instanceof NeededScopes)
    ) {
      return;
    }
    settling.begin();
    void this.#takeLater(open, message, settling);
  }

  /** Never rejects. */
  async #takeLater(open: OpenCall, message: BatchMessage, settling: Settling): Promise<void> {
    const { stream } = open;
    const turn = this.#takeWithScopes(stream.tail, open, message, settling);
    stream.tail = turn;
    await turn;
    if (stream.tail === turn) stream.tail = undefined;
    stream.wake();
    settling.end();
  }

  /** Opens the scopes that a batch needs, then takes it. Never rejects. */
  async #takeWithScopes(
    before: Promise<void> | undefined,
    open: OpenCall,
    message: BatchMessage,
    settling: Settling,
  ): Promise<void> {
    const { state } = this.#shard;
    try {
      await before;
      for (;;) {
        const needed = this.#intake.take(open, message, settling);
        if (needed === undefined) return;
        if (state.gate !== undefined) await state.gate;
        else {
          const seeds: Canonical[] = [];
          for (const name of needed.names) seeds.push(await loadSeed(state, name));
          // All at once, and the batch is taken in the same turn.
          for (const [i, name] of needed.names.entries()) {
            openScope(state, name, seeds[i] as Canonical);
          }
        }
      }
    } catch (thrown) {
      open.stream.fail(TephraError.from(thrown));
    }
  }
}
