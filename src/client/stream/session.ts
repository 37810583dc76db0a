import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Timers } from '../../base/clock.ts';
import {
  StreamRequestSchema,
  StreamResponseSchema,
  type StreamAck,
  type StreamLimits,
  type StreamRefusal,
  type StreamWelcome,
} from '../../gen/tephra/v1/stream_pb.ts';
import { labelMessages } from '../push.ts';
import type { StreamTarget } from '../transport.ts';
import { badAnswer, refuseArgument, type TephraClientError } from '../error.ts';
import type { BatchBuffer } from './buffer.ts';
import { encodeBatch } from './encode.ts';
import type { Epoch } from './epoch.ts';
import { GrpcCall } from './grpc-call.ts';
import type { Batch } from './part.ts';

/** Version of the protocol. */
const VERSION = 1;

/** How long the server may take to answer `open`: it may have to finish what the call before sent. */
const WELCOME_TIMEOUT_MS = 30_000;

/** Who streams. */
export interface SessionIdentity {
  /** 16 random bytes. */
  readonly instance: Uint8Array;
  /** Name and version of the agent. */
  readonly agent: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What a session works on and tells; it belongs to the stream and outlives the session. */
export interface SessionHost {
  readonly buffer: BatchBuffer;
  /** The present epoch; 0 rows at first. */
  readonly epoch: Epoch;
  /** Begins another one. */
  renewEpoch(): Epoch;
  /** Whether no more batches come: the call ends when all are settled. */
  readonly isClosing: boolean;
  welcomed(): void;
  settled(batches: readonly Batch[], refused: ReadonlyMap<number, StreamRefusal>): void;
  /** Was refused here: it cannot be made a message. */
  dropped(batch: Batch, why: string): void;
  bytesSent(bytes: number): void;
  ended(error: TephraClientError | undefined, welcomed: boolean): void;
}

/** One call of `IngestService.Stream`, from `open` to its end. */
export class StreamSession {
  readonly #host: SessionHost;
  readonly #call: GrpcCall;
  #welcomed = false;
  #ended = false;
  #pumping = false;
  #halfClosed = false;
  #window = { batches: 1, bytes: 0 };
  #limits: StreamLimits | undefined;
  /** Bytes of the batches in flight, by batch, oldest first. */
  #flying: { readonly sequence: number; readonly bytes: number }[] = [];
  /** Encoded, and waiting for room in the window. */
  #held: { readonly batch: Batch; readonly message: Uint8Array } | undefined;
  readonly #cancelTimeout: () => void;

  constructor(target: StreamTarget, identity: SessionIdentity, timers: Timers, host: SessionHost) {
    this.#host = host;
    this.#call = new GrpcCall(target, '/tephra.v1.IngestService/Stream', timers, {
      message: (bytes) => this.#take(bytes),
      end: (error) => this.#end(error),
    });
    this.#cancelTimeout = timers.after(WELCOME_TIMEOUT_MS, () => this.#call.close());
    const { buffer, epoch } = host;
    const { strings, stacks, series } = epoch.rows;
    const open = {
      version: VERSION,
      instance: identity.instance as Uint8Array<ArrayBuffer>,
      agent: identity.agent,
      labels: labelMessages(identity.labels),
      firstSequence: BigInt(buffer.firstSequence),
      lastSequence: BigInt(buffer.lastSequence),
      epoch: strings + stacks + series === 0 ? 0 : epoch.number,
    };
    const message = create(StreamRequestSchema, { message: { case: 'open', value: open } });
    void this.#call.write(toBinary(StreamRequestSchema, message));
  }

  /** Whether the connection keeps the process alive. */
  hold(held: boolean): void {
    this.#call.hold(held);
  }

  /** There is something new to send, or nothing more will come. */
  wake(): void {
    if (this.#welcomed && !this.#pumping) void this.#pump();
  }

  /** The epoch was renewed by the host: what is held refers to the old one. */
  forgetHeld(): void {
    this.#held = undefined;
  }

  /** Ends the call at once. */
  close(): void {
    this.#call.close();
  }

  #take(bytes: Uint8Array): void {
    try {
      const { message } = fromBinary(StreamResponseSchema, bytes);
      if (message.case === 'welcome' && !this.#welcomed) this.#takeWelcome(message.value);
      else if (message.case === 'ack' && this.#welcomed) this.#takeAck(message.value);
      else if (message.case !== undefined) throw badAnswer(`${message.case} out of order`);
    } catch {
      this.#call.close();
      return;
    }
    this.wake();
  }

  #takeWelcome(welcome: StreamWelcome): void {
    const { buffer } = this.#host;
    this.#welcomed = true;
    this.#cancelTimeout();
    this.#limits = welcome.limits;
    this.#takeWindow(welcome);
    this.#host.welcomed();
    this.#settle(Number(welcome.settled), []);
    buffer.resend();
    const { epoch } = this.#host;
    const rows = welcome.rows ?? { strings: 0, frames: 0, stacks: 0, series: 0 };
    if (welcome.epoch !== 0 && welcome.epoch === epoch.number) epoch.keepOnly(rows);
    else if (epoch.rows.strings + epoch.rows.series > 0) this.#host.renewEpoch();
  }

  #takeAck(ack: StreamAck): void {
    const { buffer, epoch } = this.#host;
    this.#takeWindow(ack);
    this.#settle(Number(ack.settled), ack.refused);
    if (ack.epochEnd === undefined || ack.epochEnd.epoch !== epoch.number) return;
    this.#host.renewEpoch();
    this.#held = undefined;
    this.#flying = [];
    buffer.resend();
  }

  #takeWindow({ window }: Pick<StreamAck, 'window'>): void {
    if (window === undefined) return;
    this.#window = { batches: window.batches, bytes: Number(window.bytes) };
  }

  #settle(sequence: number, refused: readonly StreamRefusal[]): void {
    const batches = this.#host.buffer.settle(sequence);
    while ((this.#flying[0]?.sequence ?? Infinity) <= sequence) this.#flying.shift();
    if (this.#held !== undefined && this.#held.batch.sequence <= sequence) {
      // Its rows have ids and will not be sent.
      this.#host.renewEpoch();
      this.#held = undefined;
    }
    const reasons = new Map(refused.map((one) => [Number(one.sequence), one] as const));
    if (batches.length > 0) this.#host.settled(batches, reasons);
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    try {
      while (!this.#ended && !this.#halfClosed) {
        const held = (this.#held ??= this.#prepare());
        if (held === undefined) {
          this.#finish();
          return;
        }
        if (!this.#hasRoom(held.message.byteLength)) return;
        this.#held = undefined;
        this.#host.buffer.sent();
        const { sequence } = held.batch;
        this.#flying.push({ sequence, bytes: held.message.byteLength });
        this.#host.bytesSent(held.message.byteLength);
        // HTTP/2 takes it when the server reads: that is what slows us down.
        await this.#call.write(held.message);
      }
    } finally {
      this.#pumping = false;
    }
  }

  #prepare(): { batch: Batch; message: Uint8Array } | undefined {
    const { buffer } = this.#host;
    const batch = buffer.next();
    if (batch === undefined) return undefined;
    let { epoch } = this.#host;
    const isFresh = epoch.rows.series === 0;
    let message = encodeBatch(batch, epoch);
    const rows = this.#limits?.rows;
    if (!isFresh && rows !== undefined && epoch.exceeds(rows)) {
      epoch = this.#host.renewEpoch();
      message = encodeBatch(batch, epoch);
    }
    const bytesMax = Number(this.#limits?.messageBytes ?? 0n);
    if (bytesMax > 0 && message.byteLength > bytesMax) {
      this.#host.dropped(batch, `its message has ${message.byteLength} bytes of ${bytesMax}`);
      batch.parts = [];
      message = encodeBatch(batch, this.#host.renewEpoch());
    }
    return { batch, message };
  }

  #hasRoom(bytes: number): boolean {
    const { batches, bytes: bytesMax } = this.#window;
    if (this.#flying.length === 0) return true;
    const flying = this.#flying.reduce((sum, one) => sum + one.bytes, 0);
    return this.#flying.length < batches && flying + bytes <= bytesMax;
  }

  #finish(): void {
    if (!this.#host.isClosing || this.#host.buffer.size > 0) return;
    this.#halfClosed = true;
    this.#call.halfClose();
  }

  #end(error: TephraClientError | undefined): void {
    this.#ended = true;
    this.#cancelTimeout();
    this.#host.ended(error, this.#welcomed);
  }
}

/** Labels of a stream. Throws {@link TephraClientError}. */
export function checkLabels(labels: Readonly<Record<string, string>>): void {
  if ('__name__' in labels) throw refuseArgument('labels: __name__ is part of the profile types');
}
