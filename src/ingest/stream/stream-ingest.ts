import type { Clock, Timers } from '../../base/clock.ts';
import { assert, unreachable } from '../../base/assert.ts';
import { type Reason, TephraError } from '../../base/errors.ts';
import { createPause } from '../../base/slice.ts';
import { DAY_MS, floorTo, HOUR_MS } from '../../base/time.ts';
import { serviceOf } from '../../profile/labels.ts';
import { AdditionsReader } from '../../profile/stream/additions.ts';
import { BatchReader, PartReader } from '../../profile/stream/batch.ts';
import { FieldError } from '../../profile/stream/field-error.ts';
import type { FragmentPush } from '../../storage/fragment/encode.ts';
import { markerKey, rawVolume } from '../../storage/keys.ts';
import type { ShardState, WriterScope } from '../../storage/shard/shard-state.ts';
import { findMarkers } from '../markers.ts';
import { liveScope, openScope } from '../scopes.ts';
import type { ScopeName } from '../scopes.ts';
import type { ShardWriter, WriterItem } from '../shard-writer.ts';
import { checkWindow, isInWindow, type WindowRules } from '../window.ts';
import type { StreamBudget } from './budget.ts';
import { KnownStream } from './known-stream.ts';
import type {
  StreamBundle,
  StreamLimits,
  StreamOpened,
  StreamOpening,
  StreamReport,
  StreamRows,
} from './messages.ts';
import { PartBuilder } from './part.ts';
import { StreamTables } from './tables.ts';

/** What streams of a shard are governed by. */
export interface StreamRules extends WindowRules {
  readonly limits: StreamLimits;
  /** Streams that are known at once. */
  readonly knownMax: number;
  /** Tables that were not used for so long are forgotten. */
  readonly idleMs: number;
}

/** Counters of one shard since it was opened. */
export interface StreamCounters {
  streamsOpened: number;
  streamBatchesStored: number;
  streamBatchesRefused: number;
  streamBatchesDuplicate: number;
  streamEntriesStored: number;
  streamEpochsEnded: number;
}

/** Readers and scratch of a thread: what one batch leaves there the next one overwrites. */
export interface StreamReaders {
  readonly batch: BatchReader;
  readonly additions: AdditionsReader;
  readonly part: PartReader;
  readonly builder: PartBuilder;
}

/** New readers, for all shards of a thread. */
export function createStreamReaders(): StreamReaders {
  return {
    batch: new BatchReader(),
    additions: new AdditionsReader(),
    part: new PartReader(),
    builder: new PartBuilder(),
  };
}

const NO_ROWS: StreamRows = { strings: 0, frames: 0, stacks: 0, series: 0 };

/**
 * The streams of one shard: from bytes of batches to durable fragments, and what is known of each
 * stream. docs/protocol/stream.md says what clients see.
 *
 * Batches of a stream go to the writer in order of their sequence, each whole, with a marker of the
 * highest one in the fragment. So what is durable of a stream is always a beginning of it, and the
 * highest marker that is found tells how far that reaches.
 */
export class StreamIngest {
  readonly counters: StreamCounters = {
    streamsOpened: 0,
    streamBatchesStored: 0,
    streamBatchesRefused: 0,
    streamBatchesDuplicate: 0,
    streamEntriesStored: 0,
    streamEpochsEnded: 0,
  };
  readonly #state: ShardState;
  readonly #writer: ShardWriter;
  readonly #rules: StreamRules;
  readonly #readers: StreamReaders;
  readonly #budget: StreamBudget;
  readonly #clock: Clock;
  readonly #timers: Timers;
  /** By name; the least recently opened first. */
  readonly #known = new Map<string, KnownStream>();
  readonly #byCall = new Map<number, OpenCall>();
  #volumeHour = -1;
  #volume = '';
  #markers = '';
  /** The bundle that is being taken in. */
  #taking: Promise<void> | undefined;

  constructor(options: {
    state: ShardState;
    writer: ShardWriter;
    rules: StreamRules;
    readers: StreamReaders;
    budget: StreamBudget;
    clock: Clock;
    timers: Timers;
  }) {
    this.#state = options.state;
    this.#writer = options.writer;
    this.#rules = options.rules;
    this.#readers = options.readers;
    this.#budget = options.budget;
    this.#clock = options.clock;
    this.#timers = options.timers;
  }

  /** Streams with tables or a call. */
  get size(): number {
    return this.#known.size;
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
      await this.#writer.orRefused(stream.quiet());
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
    stream.usedMs = this.#clock.nowMs();
    this.#byCall.set(opening.call, { stream, opening });
    this.counters.streamsOpened++;
    const labels = JSON.stringify(opening.labels);
    if (stream.labels !== labels || stream.epoch !== opening.epoch) {
      stream.labels = labels;
      this.#endEpoch(stream, new TephraError('epoch_unknown', 'not the epoch of the last call'));
    }
    const { tables } = stream;
    return {
      settled: stream.settled,
      epoch: tables === undefined ? 0 : stream.epoch,
      rows: tables?.rows ?? NO_ROWS,
      limits: this.#rules.limits,
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
    const found = (await findMarkers(this.#state.store, 0, keys)).lastIndexOf(true);
    return found < 0 ? 0 : firstSequence + found;
  }

  /** The call has ended. What it sent is finished; its tables stay for the next call. */
  close(call: number): void {
    const stream = this.#byCall.get(call)?.stream;
    this.#byCall.delete(call);
    if (stream?.call === call) stream.call = 0;
  }

  /**
   * Takes messages in. Resolves, one report for each call, when all of them are settled or have
   * failed.
   */
  async take(bundle: StreamBundle): Promise<readonly StreamReport[]> {
    const waiting: Promise<void>[] = [];
    const turn = this.#takeBehind(this.#taking, bundle, waiting);
    this.#taking = turn;
    await turn;
    if (this.#taking === turn) this.#taking = undefined;
    await Promise.all(waiting);
    return [...new Set(bundle.calls)].map((call) => this.#report(call));
  }

  /** Forgets the tables of streams that were silent for long. */
  expire(nowMs: number): void {
    for (const stream of this.#known.values()) {
      if (stream.tables === undefined || nowMs - stream.usedMs < this.#rules.idleMs) continue;
      this.#endEpoch(stream, new TephraError('epoch_unknown', 'the stream was silent for long'));
    }
  }

  /** Bundles are taken in one after the other: batches of a stream must not overtake each other. */
  async #takeBehind(
    before: Promise<void> | undefined,
    { calls, ends, bytes, arrivalMs }: StreamBundle,
    waiting: Promise<void>[],
  ): Promise<void> {
    if (before !== undefined) await before;
    const pause = createPause(this.#clock, this.#timers);
    let from = 0;
    for (const [i, call] of calls.entries()) {
      const to = ends[i] as number;
      const done = this.#takeInTurn(call, { bytes, from, to, arrivalMs });
      if (done !== undefined) waiting.push(done);
      from = to;
      const breath = pause.here();
      if (breath !== undefined) await breath;
    }
  }

  #report(call: number): StreamReport {
    const stream = this.#byCall.get(call)?.stream;
    if (stream !== undefined) return stream.report(call);
    const error = new TephraError('stream_replaced', 'the call is not open here any more');
    const failed = error.toWire();
    return { call, settled: 0, refused: [], epochEnd: undefined, failed };
  }

  /** At once, or behind what waits already. Undefined: nothing has to be waited for. */
  #takeInTurn(call: number, message: Message): Promise<void> | undefined {
    const open = this.#byCall.get(call);
    if (open === undefined) return undefined;
    if (open.stream.tail === undefined) {
      const taken = this.#take(open, message);
      if (!(taken instanceof NeededScopes)) return taken;
    }
    return this.#takeLater(open, message);
  }

  async #takeLater(open: OpenCall, message: Message): Promise<void> {
    const { stream } = open;
    const stored: { settled?: Promise<void> | undefined } = {};
    const turn = this.#takeWithScopes(stream.tail, open, message, stored);
    stream.tail = turn;
    await turn;
    if (stream.tail === turn) stream.tail = undefined;
    stream.wake();
    await stored.settled;
  }

  /** Opens the scopes that a batch needs, then takes it. Never rejects. */
  async #takeWithScopes(
    before: Promise<void> | undefined,
    open: OpenCall,
    message: Message,
    stored: { settled?: Promise<void> | undefined },
  ): Promise<void> {
    try {
      await before;
      for (;;) {
        const taken = this.#take(open, message);
        if (!(taken instanceof NeededScopes)) {
          stored.settled = taken;
          return;
        }
        if (this.#state.gate !== undefined) await this.#state.gate;
        else for (const name of taken.names) await openScope(this.#state, name);
      }
    } catch (thrown) {
      open.stream.fail(TephraError.from(thrown));
    }
  }

  /** Takes a batch, or tells which scopes it needs first. Never throws. */
  #take(
    { stream, opening }: OpenCall,
    { bytes, from, to, arrivalMs }: Message,
  ): Promise<void> | NeededScopes | undefined {
    if (stream.failed !== undefined || stream.call !== opening.call) return undefined;
    try {
      const { batch } = this.#readers;
      batch.read(bytes, from, to);
      // Of an epoch that is over: the client learns of it and sends all of this again.
      if (batch.epoch === stream.epoch && stream.tables === undefined) {
        stream.skipped ||= batch.sequence > stream.taken;
        return undefined;
      }
      if (stream.skipped && batch.epoch > stream.epoch && batch.sequence > stream.taken + 1) {
        // It began another epoch by itself before it learned of that.
        stream.epoch = batch.epoch;
        const text = 'batches before it were of an epoch that was over';
        this.#endEpoch(stream, new TephraError('epoch_unknown', text));
        return undefined;
      }
      this.#checkOrder(stream, batch);
      stream.skipped = false;
      if (batch.epoch > stream.epoch) {
        stream.beginEpoch(batch.epoch, new StreamTables(opening.labels, this.#rules.limits));
      }
      const { tables } = stream;
      if (tables === undefined) return undefined;
      const isNew = batch.sequence > stream.taken;
      const scopes = isNew ? this.#scopesOf(opening, bytes, arrivalMs) : NO_SCOPES;
      if (scopes instanceof NeededScopes) return scopes;
      stream.usedMs = this.#clock.nowMs();
      if (!this.#add(stream, tables, bytes)) return undefined;
      if (!isNew) {
        this.counters.streamBatchesDuplicate++;
        return undefined;
      }
      return this.#store(stream, tables, scopes, bytes, arrivalMs);
    } catch (thrown) {
      stream.fail(TephraError.from(thrown));
      return undefined;
    }
  }

  #checkOrder(stream: KnownStream, { sequence, epoch }: BatchReader): void {
    if (sequence > stream.taken + 1) {
      const text = `${sequence}: expected at most ${stream.taken + 1}`;
      throw new FieldError('stream_order', 'batch.sequence', text);
    }
    if (epoch < stream.epoch) {
      throw new FieldError(
        'stream_order',
        'batch.epoch',
        `${epoch}: it was ${stream.epoch} before`,
      );
    }
  }

  /** The live scopes of the days of a batch. */
  #scopesOf(
    { tenant, labels }: StreamOpening,
    bytes: Uint8Array,
    arrivalMs: number,
  ): ReadonlyMap<number, WriterScope> | NeededScopes {
    const { batch, part } = this.#readers;
    const scopes = new Map<number, WriterScope>();
    const missing: ScopeName[] = [];
    let lastDayMs = Number.NaN;
    for (let i = 0; i < batch.partAt.length; i++) {
      const at = batch.partAt.array[i] as number;
      const startMs = part.peekStart(bytes, at, batch.partEnd.array[i] as number);
      const dayMs = floorTo(startMs, DAY_MS);
      if (dayMs === lastDayMs || scopes.has(dayMs)) continue;
      // What lies outside of the window is refused: nothing has to be opened for it.
      if (!isInWindow(this.#rules, startMs, arrivalMs)) continue;
      lastDayMs = dayMs;
      const service = serviceOf(labels);
      const name = { tenant, service, dayMs, rawVolume: this.#volumeOf(arrivalMs) };
      const scope = this.#state.gate === undefined ? liveScope(this.#state, name) : undefined;
      if (scope === undefined) missing.push(name);
      else scopes.set(dayMs, scope);
    }
    return missing.length === 0 ? scopes : new NeededScopes(missing);
  }

  /** The raw volume of an arrival, and the beginning of its markers: made once an hour, not a batch. */
  #volumeOf(arrivalMs: number): string {
    const hour = Math.floor(arrivalMs / HOUR_MS);
    if (hour !== this.#volumeHour) {
      this.#volumeHour = hour;
      this.#volume = rawVolume(arrivalMs);
      this.#markers = markerKey(this.#volume, 0, '');
    }
    return this.#volume;
  }

  /** Adds a batch's rows; false if the batch is done with, because there is no room or they are wrong. */
  #add(stream: KnownStream, tables: StreamTables, bytes: Uint8Array): boolean {
    const { batch, additions } = this.#readers;
    if (batch.additionsAt === batch.additionsEnd) return true;
    try {
      additions.read(bytes, batch.additionsAt, batch.additionsEnd);
      if (!tables.hasRoomFor(additions)) {
        const error = new FieldError(
          'stream_limit',
          'additions',
          'the tables of the epoch are full',
        );
        // Alone in an epoch, twice: it would never fit. Once may be rows that it does not need.
        if (tables.isEmpty && stream.fullAt === batch.sequence) this.#refuse(stream, error);
        stream.fullAt = tables.isEmpty ? batch.sequence : 0;
        stream.skipped ||= batch.sequence > stream.taken;
        this.#endEpoch(stream, error);
        return false;
      }
      tables.add(bytes, additions);
    } catch (thrown) {
      const error = TephraError.from(thrown);
      this.#refuse(stream, error);
      this.#endEpoch(stream, error);
      return false;
    }
    return true;
  }

  /** Resolves the parts of the next batch and hands them to the writer. */
  #store(
    stream: KnownStream,
    tables: StreamTables,
    scopes: ReadonlyMap<number, WriterScope>,
    bytes: Uint8Array,
    arrivalMs: number,
  ): Promise<void> | undefined {
    const { sequence } = this.#readers.batch;
    let draft: BatchDraft;
    try {
      draft = this.#build(stream, tables, scopes, bytes, arrivalMs);
    } catch (thrown) {
      this.#refuse(stream, TephraError.from(thrown));
      return undefined;
    } finally {
      this.#budget.use(stream, () =>
        this.#endEpoch(stream, new TephraError('epoch_unknown', 'other streams needed the memory')),
      );
    }
    const [first] = draft.items;
    if (first === undefined) {
      stream.settleNow(sequence);
      return undefined;
    }
    if (!stream.mayFollow(this.#writer)) {
      throw new TephraError('write_unknown', 'a batch before this one was not stored');
    }
    this.counters.streamBatchesStored++;
    this.counters.streamEntriesStored += draft.entries;
    return stream.settleAfter(sequence, this.#writer, draft.items);
  }

  #build(
    stream: KnownStream,
    tables: StreamTables,
    scopes: ReadonlyMap<number, WriterScope>,
    bytes: Uint8Array,
    arrivalMs: number,
  ): BatchDraft {
    const { batch, part, builder } = this.#readers;
    const { limits } = this.#rules;
    if (batch.partAt.length > limits.parts) {
      throw new FieldError('stream_limit', 'parts', `${batch.partAt.length} > ${limits.parts}`);
    }
    const items: StreamItem[] = [];
    let sent = 0;
    let entries = 0;
    for (let i = 0; i < batch.partAt.length; i++) {
      part.read(bytes, batch.partAt.array[i] as number, batch.partEnd.array[i] as number, i);
      sent += part.stacks.length;
      if (sent > limits.entries) {
        throw new FieldError('stream_limit', part.field('stack_delta'), `over ${limits.entries}`);
      }
      if (!isInWindow(this.#rules, part.startMs, arrivalMs)) {
        refuseTime(this.#rules, part, arrivalMs);
      }
      const scope = scopes.get(floorTo(part.startMs, DAY_MS));
      assert(scope !== undefined, 'the scope of each day was looked up');
      const { dictionary } = scope;
      const refs = stream.refsOf(scope);
      const built = builder.build(part, stream.key(batch.sequence, i), {
        tables,
        refs,
        dictionary,
      });
      if (built === undefined) continue;
      entries += built.entries;
      let item = items.find((one) => one.scope === scope);
      if (item === undefined) {
        item = new StreamItem(scope, arrivalMs, stream, batch.sequence, this.#markers);
        items.push(item);
      }
      item.pushes.push(built.push);
      item.bytes += built.bytes;
    }
    return { items, entries };
  }

  /** The next batch is wrong for good: told, and settled. What is no message at all ends the call. */
  #refuse(stream: KnownStream, error: TephraError): void {
    if (ENDS_CALL.has(error.reason)) {
      stream.fail(error);
      return;
    }
    const { sequence } = this.#readers.batch;
    if (sequence <= stream.taken) return;
    const { field, text } = FieldError.of(error, '');
    const wire = { reason: error.reason, detail: text };
    stream.refused.push({ sequence, field, error: wire });
    stream.settleNow(sequence);
    this.counters.streamBatchesRefused++;
  }

  #endEpoch(stream: KnownStream, error: TephraError): void {
    if (stream.tables !== undefined) this.counters.streamEpochsEnded++;
    this.#budget.release(stream);
    stream.endEpoch(error);
  }

  #forget(stream: KnownStream): void {
    this.#budget.release(stream);
    if (this.#known.get(stream.name) === stream) this.#known.delete(stream.name);
  }

  /** Forgets the stream that was opened longest ago of those that nobody uses. */
  #makeRoom(): void {
    if (this.#known.size < this.#rules.knownMax) return;
    for (const stream of this.#known.values()) {
      if (stream.call !== 0 || !stream.isQuiet) continue;
      this.#forget(stream);
      return;
    }
    throw new TephraError('overloaded', `${this.#known.size} streams are open`);
  }
}

/** An open call and what it said. */
interface OpenCall {
  readonly stream: KnownStream;
  readonly opening: StreamOpening;
}

/** A request with a batch: `bytes[from, to)`. */
interface Message {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly arrivalMs: number;
}

/** What a batch has for one scope. Most markers are never put: the text of one is made when it is. */
class StreamItem implements WriterItem {
  readonly scope: WriterScope;
  readonly arrivalMs: number;
  readonly pushes: FragmentPush[] = [];
  bytes = 0;
  readonly #stream: KnownStream;
  readonly #sequence: number;
  /** What keys of markers begin with. */
  readonly #markers: string;

  constructor(
    scope: WriterScope,
    arrivalMs: number,
    stream: KnownStream,
    sequence: number,
    markers: string,
  ) {
    this.scope = scope;
    this.arrivalMs = arrivalMs;
    this.#stream = stream;
    this.#sequence = sequence;
    this.#markers = markers;
  }

  get marker(): string {
    return `${this.#markers}${this.#stream.marker(this.#sequence)}`;
  }

  get markedBy(): string {
    return this.#stream.name;
  }
}

/** A batch ready for the writer. */
interface BatchDraft {
  /** One for each scope. */
  readonly items: readonly WriterItem[];
  readonly entries: number;
}

/** A batch cannot be taken before these are open. */
class NeededScopes {
  readonly names: readonly ScopeName[];

  constructor(names: readonly ScopeName[]) {
    this.names = names;
  }
}

const NO_SCOPES: ReadonlyMap<number, WriterScope> = new Map();

/** With these a message is not one of the protocol. */
const ENDS_CALL: ReadonlySet<Reason> = new Set<Reason>([
  'malformed_protobuf',
  'too_many_fields',
  'internal',
]);

function refuseTime(rules: WindowRules, part: PartReader, arrivalMs: number): never {
  try {
    checkWindow(rules, part.startMs, arrivalMs);
  } catch (thrown) {
    throw FieldError.of(thrown, part.field('start_ms'));
  }
  return unreachable(part.startMs as never);
}
