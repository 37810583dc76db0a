import { holdingTimers, type Timers } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { StreamRefusal } from '../../gen/tephra/v1/stream_pb.ts';
import { refuseArgument, type TephraClientError } from '../error.ts';
import type { StreamTarget } from '../transport.ts';
import { BatchBuffer } from './buffer.ts';
import { checkPart } from './encode.ts';
import { Epoch } from './epoch.ts';
import { groupParts, type Batch, type SamplePart } from './part.ts';
import { checkLabels, StreamSession, type SessionHost } from './session.ts';
import { SampleTables, type Family } from './tables.ts';

/** Where a stream tells what a person should know; a `Logger` or the console is one. */
export interface StreamLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** How to stream. */
export interface StreamOptions {
  /** Labels of all series; `service_name` says whose samples they are. Without `__name__`. */
  readonly labels: Readonly<Record<string, string>>;
  /** Name and version of what streams, for people. */
  readonly agent?: string | undefined;
  /** Memory for batches that are not settled, in bytes, about; default 8 MiB. */
  readonly bufferBytes?: number | undefined;
  readonly log?: StreamLog | undefined;
  /** Is told the entries of each batch when the server has settled it. */
  readonly onSettled?: ((batch: SettledBatch) => void) | undefined;
}

/** A batch that is settled. */
export interface SettledBatch {
  readonly sequence: number;
  readonly parts: readonly SamplePart[];
  /** By number, the families of the parts. */
  readonly families: readonly (Family | undefined)[];
  /** The server's reason, where it refused the batch. */
  readonly refused: string | undefined;
}

/** What a stream did so far. */
export interface StreamStats {
  readonly isConnected: boolean;
  /** Connections that were made. */
  readonly connections: number;
  readonly epoch: number;
  /** Entries, by what became of them; a settled one is durable. */
  readonly settledEntries: number;
  readonly refusedEntries: number;
  /** Not sent, because the buffer was full. */
  readonly droppedEntries: number;
  /** Sent, and given up before it was known whether they are stored. */
  readonly givenUpEntries: number;
  readonly settledBatches: number;
  /** Batches and bytes that wait or are in flight. */
  readonly bufferedBatches: number;
  readonly bufferedBytes: number;
  /** Bytes of all batches that were sent. */
  readonly sentBytes: number;
}

/** What a stream needs of the machine. */
export interface StreamDeps {
  /** Do not keep the process alive. */
  readonly timers: Timers;
  readonly random: Random;
  /** Keep the process alive, for as long as somebody waits. */
  readonly waitTimers?: Timers | undefined;
}

const BUFFER_BYTES = 8 * 1024 * 1024;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;
/** Before the next attempt where the server says that we are wrong. */
const BACKOFF_WRONG_MS = 60_000;
const WRONG = new Set([
  'invalid_argument',
  'failed_precondition',
  'resource_exhausted',
  'unimplemented',
  'unauthenticated',
  'permission_denied',
]);

/**
 * Samples on their way to a server: each string, frame and stack is sent once an epoch, what the server has
 * not settled is sent again after a reconnect, and nothing is counted twice. Never throws because of the
 * server; while it is away a bounded buffer drops its oldest batches and counts them. Does not keep the
 * process alive. Protocol: docs/protocol/stream.md.
 */
export class SampleStream {
  readonly #target: StreamTarget;
  readonly #options: StreamOptions;
  readonly #deps: StreamDeps;
  readonly #instance: Uint8Array;
  readonly #buffer: BatchBuffer;
  #tables = new SampleTables();
  #epoch: Epoch;
  #session: StreamSession | undefined;
  #isConnected = false;
  #closing = false;
  #closed = false;
  #backoffMs = BACKOFF_FIRST_MS;
  #cancelWait: (() => void) | undefined;
  #held = 0;
  /** Tables that are full again at once are moved when they have so many stacks. */
  #moveAtStacks = 0;
  readonly #waiters = new Set<() => void>();
  readonly #counts = {
    connections: 0,
    settledEntries: 0,
    refusedEntries: 0,
    droppedEntries: 0,
    givenUpEntries: 0,
    settledBatches: 0,
    sentBytes: 0,
  };
  /** Dropped since it was last told. */
  #untoldDrops = 0;
  #toldError = '';

  /** Connects at once. Throws {@link TephraClientError} if the labels are wrong. */
  constructor(target: StreamTarget, options: StreamOptions, deps: StreamDeps) {
    checkLabels(options.labels);
    this.#target = target;
    this.#options = options;
    this.#deps = deps;
    this.#instance = deps.random.bytes(16);
    this.#buffer = new BatchBuffer(options.bufferBytes ?? BUFFER_BYTES);
    this.#epoch = new Epoch(1, this.#tables);
    this.#connect();
  }

  /** Where stacks and families get their numbers. Numbers are good until the next {@link write}. */
  get tables(): SampleTables {
    return this.#tables;
  }

  /** What it did so far. */
  get stats(): StreamStats {
    return {
      ...this.#counts,
      isConnected: this.#isConnected,
      epoch: this.#epoch.number,
      bufferedBatches: this.#buffer.size,
      bufferedBytes: this.#buffer.bytes,
    };
  }

  /**
   * Takes parts, to be stored together unless they are many. Throws {@link TephraClientError} if a part
   * contradicts itself or the stream is closed.
   */
  write(parts: readonly SamplePart[]): void {
    if (this.#closing) throw refuseArgument('the stream is closed');
    parts.forEach(checkPart);
    for (const group of groupParts(parts, this.#tables)) {
      this.#drop(this.#buffer.add(group), 'droppedEntries');
    }
    if (this.#tables.full) this.#moveTables();
    this.#session?.wake();
  }

  /**
   * Resolves when everything written so far is settled or dropped: true; or after `timeoutMs`: false. The
   * process is kept alive meanwhile.
   */
  async flush(timeoutMs: number): Promise<boolean> {
    const last = this.#buffer.lastOrdinal;
    return this.#wait(timeoutMs, () => this.#buffer.firstOrdinal > last);
  }

  /** Sends what is there and ends; resolves after `timeoutMs` at the latest, with whether all was settled. */
  async close(timeoutMs: number): Promise<boolean> {
    this.#closing = true;
    if (this.#session === undefined && !this.#closed) {
      this.#cancelWait?.();
      this.#connect();
    }
    this.#session?.wake();
    const isSettled = await this.#wait(timeoutMs, () => this.#closed);
    this.#closed = true;
    this.#cancelWait?.();
    this.#session?.close();
    return isSettled && this.#buffer.size === 0;
  }

  #connect(): void {
    this.#cancelWait = undefined;
    this.#drop(this.#buffer.rewind(), 'givenUpEntries');
    const { agent = 'tephradb', labels } = this.#options;
    const identity = { instance: this.#instance, agent, labels };
    this.#session = new StreamSession(this.#target, identity, this.#deps.timers, this.#host());
    this.#session.hold(this.#held > 0);
  }

  #host(): SessionHost {
    const epoch = (): Epoch => this.#epoch;
    const isClosing = (): boolean => this.#closing;
    return {
      buffer: this.#buffer,
      get epoch() {
        return epoch();
      },
      get isClosing() {
        return isClosing();
      },
      renewEpoch: () => (this.#epoch = new Epoch(this.#epoch.number + 1, this.#tables)),
      welcomed: () => this.#welcomed(),
      settled: (batches, refused) => this.#settled(batches, refused),
      dropped: (batch, why) => {
        this.#drop([batch], 'droppedEntries');
        this.#options.log?.warn('samples are dropped', { why, entries: batch.entries });
      },
      bytesSent: (bytes) => {
        this.#counts.sentBytes += bytes;
      },
      ended: (error, welcomed) => this.#ended(error, welcomed),
    };
  }

  #welcomed(): void {
    this.#isConnected = true;
    this.#backoffMs = BACKOFF_FIRST_MS;
    this.#counts.connections++;
    const { log } = this.#options;
    const droppedEntries = this.#untoldDrops;
    const facts = { server: this.#target.url, bufferedBatches: this.#buffer.size, droppedEntries };
    if (droppedEntries > 0) log?.warn('connected again; samples were dropped meanwhile', facts);
    else if (this.#toldError !== '') log?.info('connected again', facts);
    this.#untoldDrops = 0;
    this.#toldError = '';
  }

  #settled(batches: readonly Batch[], refused: ReadonlyMap<number, StreamRefusal>): void {
    for (const { sequence, entries, parts } of batches) {
      const refusal = refused.get(sequence);
      this.#counts.settledBatches++;
      if (refusal === undefined) this.#counts.settledEntries += entries;
      else {
        this.#counts.refusedEntries += entries;
        const { reason, field, message } = refusal;
        this.#options.log?.warn('the server refused samples', { reason, field, message, entries });
      }
      this.#options.onSettled?.({
        sequence,
        parts,
        families: this.#tables.families,
        refused: refusal?.reason,
      });
    }
    this.#tellWaiters();
  }

  #ended(error: TephraClientError | undefined, welcomed: boolean): void {
    this.#session = undefined;
    this.#isConnected = false;
    if (this.#closed) return;
    if (this.#closing && this.#buffer.size === 0) {
      this.#closed = true;
      this.#tellWaiters();
      return;
    }
    const isWrong = WRONG.has(error?.code ?? '');
    // That a connection has lived is no news, only that no other follows.
    if (!welcomed || isWrong) this.#tell(error);
    const random = this.#deps.random.u32() / 2 ** 32;
    const waitMs = isWrong ? BACKOFF_WRONG_MS * (1 + random) : this.#backoffMs * random;
    if (!welcomed) this.#backoffMs = Math.min(BACKOFF_MAX_MS, this.#backoffMs * 2);
    this.#cancelWait = this.#deps.timers.after(waitMs, () => this.#connect());
  }

  /** Says once why there is no connection. */
  #tell(error: TephraClientError | undefined): void {
    const { code = 'ok', message = 'the server ended the stream' } = error ?? {};
    if (this.#toldError === code) return;
    this.#toldError = code;
    this.#options.log?.warn('not connected; samples wait', { server: this.#target.url, message });
  }

  #drop(batches: readonly Batch[], count: 'droppedEntries' | 'givenUpEntries'): void {
    for (const { entries } of batches) {
      this.#counts[count] += entries;
      this.#untoldDrops += entries;
    }
    if (batches.length > 0) this.#tellWaiters();
  }

  /** Fresh tables with what the waiting batches need; the next batch begins a new epoch. */
  #moveTables(): void {
    const stacks = this.#tables.stackParent.length;
    if (stacks < this.#moveAtStacks && this.#buffer.size > 1) return;
    const fresh = new SampleTables();
    this.#buffer.moveTo(this.#tables, fresh);
    this.#tables = fresh;
    this.#moveAtStacks = fresh.full ? 2 * fresh.stackParent.length : 0;
    this.#epoch = new Epoch(this.#epoch.number + 1, fresh);
    this.#session?.forgetHeld();
  }

  #tellWaiters(): void {
    for (const check of this.#waiters) check();
  }

  #wait(timeoutMs: number, isDone: () => boolean): Promise<boolean> {
    if (isDone()) return Promise.resolve(true);
    const timers = this.#deps.waitTimers ?? holdingTimers;
    this.#held++;
    this.#session?.hold(true);
    return new Promise((resolve) => {
      const finish = (isSettled: boolean): void => {
        cancel();
        this.#waiters.delete(check);
        if (--this.#held === 0) this.#session?.hold(false);
        resolve(isSettled);
      };
      const check = (): void => {
        if (isDone()) finish(true);
      };
      const cancel = timers.after(timeoutMs, () => finish(false));
      this.#waiters.add(check);
    });
  }
}
