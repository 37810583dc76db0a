import { assert, unreachable } from '../../base/assert.ts';
import { type Reason, TephraError } from '../../base/errors.ts';
import { DAY_MS, floorTo } from '../../base/time.ts';
import type { BatchReader, PartReader } from '../../profile/stream/batch.ts';
import { FieldError } from '../../profile/stream/field-error.ts';
import type { WriterScope } from '../../storage/shard/shard-state.ts';
import type { WriterItem } from '../shard-writer.ts';
import { checkWindow, isInWindow, type WindowRules } from '../window.ts';
import { BatchScopes, NeededScopes } from './batch-scopes.ts';
import type { KnownStream } from './known-stream.ts';
import type { Settling } from './settling.ts';
import type { OpenCall, StreamCalls } from './stream-calls.ts';
import { StreamItem } from './stream-item.ts';
import type { StreamShard } from './stream-shard.ts';
import { StreamTables } from './tables.ts';

/** A request with a batch: `bytes[from, to)`. */
export interface BatchMessage {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly arrivalMs: number;
}

/** Takes one batch: its order and epoch, its rows, its parts; then it sets out, or is refused. */
export class BatchIntake {
  readonly #shard: StreamShard;
  readonly #calls: StreamCalls;
  readonly #scopes: BatchScopes;

  constructor(shard: StreamShard, calls: StreamCalls) {
    this.#shard = shard;
    this.#calls = calls;
    this.#scopes = new BatchScopes(shard);
  }

  /**
   * Takes a batch, or tells which scopes it needs first. Never throws; `settling` counts it from when it
   * sets out until it is settled.
   */
  take(
    call: OpenCall,
    { bytes, from, to, arrivalMs }: BatchMessage,
    settling: Settling,
  ): NeededScopes | undefined {
    const { stream, opening } = call;
    if (stream.failed !== undefined || stream.call !== opening.call) return undefined;
    try {
      const { batch } = this.#shard.readers;
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
        this.#calls.endEpoch(stream, new TephraError('epoch_unknown', text));
        return undefined;
      }
      this.#checkOrder(stream, batch);
      stream.skipped = false;
      if (batch.epoch > stream.epoch) {
        stream.beginEpoch(batch.epoch, new StreamTables(opening.labels, this.#shard.rules.limits));
      }
      const { tables } = stream;
      if (tables === undefined) return undefined;
      const isNew = batch.sequence > stream.taken;
      const scopes = isNew ? this.#scopes.of(call, bytes, arrivalMs) : NO_SCOPES;
      if (scopes instanceof NeededScopes) return scopes;
      stream.usedMs = arrivalMs;
      if (!this.#add(stream, tables, bytes)) return undefined;
      if (!isNew) {
        this.#shard.counters.streamBatchesDuplicate++;
        return undefined;
      }
      this.#store(stream, tables, scopes, bytes, arrivalMs, settling);
      return undefined;
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

  /** Adds a batch's rows; false if the batch is done with, because there is no room or they are wrong. */
  #add(stream: KnownStream, tables: StreamTables, bytes: Uint8Array): boolean {
    const { batch, additions } = this.#shard.readers;
    if (batch.additionsAt === batch.additionsEnd) return true;
    try {
      additions.read(bytes, batch.additionsAt, batch.additionsEnd);
      const error = tables.fullFor(additions);
      if (error !== undefined) {
        // Alone in an epoch, twice: it would never fit. Once may be rows that it does not need.
        if (tables.isEmpty && stream.fullAt === batch.sequence) this.#refuse(stream, error);
        stream.fullAt = tables.isEmpty ? batch.sequence : 0;
        stream.skipped ||= batch.sequence > stream.taken;
        this.#calls.endEpoch(stream, error);
        return false;
      }
      tables.add(bytes, additions);
    } catch (thrown) {
      const error = TephraError.from(thrown);
      this.#refuse(stream, error);
      this.#calls.endEpoch(stream, error);
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
    settling: Settling,
  ): void {
    const { sequence } = this.#shard.readers.batch;
    let draft: BatchDraft;
    try {
      draft = this.#build(stream, tables, scopes, bytes, arrivalMs);
    } catch (thrown) {
      this.#refuse(stream, TephraError.from(thrown));
      return;
    } finally {
      this.#shard.budget.use(stream, () =>
        this.#calls.endEpoch(
          stream,
          new TephraError('epoch_unknown', 'other streams needed the memory'),
        ),
      );
    }
    const [first] = draft.items;
    if (first === undefined) {
      stream.settleNow(sequence);
      return;
    }
    if (!stream.mayFollow(this.#shard.writer)) {
      throw new TephraError('write_unknown', 'a batch before this one was not stored');
    }
    this.#shard.counters.streamBatchesStored++;
    this.#shard.counters.streamEntriesStored += draft.entries;
    stream.setOut(sequence, this.#shard.writer, draft.items, settling);
  }

  #build(
    stream: KnownStream,
    tables: StreamTables,
    scopes: ReadonlyMap<number, WriterScope>,
    bytes: Uint8Array,
    arrivalMs: number,
  ): BatchDraft {
    const { batch, part, builder } = this.#shard.readers;
    const { limits } = this.#shard.rules;
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
      if (!isInWindow(this.#shard.rules, part.startMs, arrivalMs)) {
        refuseTime(this.#shard.rules, part, arrivalMs);
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
        item = new StreamItem(scope, arrivalMs, stream, batch.sequence, this.#scopes.markers);
        items.push(item);
      }
      item.pushes.push(built.push);
    }
    return { items, entries };
  }

  /** The next batch is wrong for good: told, and settled. What is no message at all ends the call. */
  #refuse(stream: KnownStream, error: TephraError): void {
    if (ENDS_CALL.has(error.reason)) {
      stream.fail(error);
      return;
    }
    const { sequence } = this.#shard.readers.batch;
    if (sequence <= stream.taken) return;
    const { field, text } = FieldError.of(error, '');
    const wire = { reason: error.reason, detail: text };
    stream.refused.push({ sequence, field, error: wire });
    stream.settleNow(sequence);
    this.#shard.counters.streamBatchesRefused++;
  }
}

/** A batch ready for the writer. */
interface BatchDraft {
  /** One for each scope. */
  readonly items: readonly WriterItem[];
  readonly entries: number;
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
