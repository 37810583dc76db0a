import type { ServerDuplexStream } from '@grpc/grpc-js';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { StreamOpened, StreamOpening, StreamReport } from '../../ingest/stream/messages.ts';
import { FieldError } from '../../profile/stream/field-error.ts';
import type { Hold } from '../body/credits.ts';
import { ackBytes, welcomeBytes, type PendingAck, type StreamWindow } from './messages.ts';

/** A message with the credits that it holds. */
export interface HeldMessage {
  readonly bytes: Uint8Array;
  readonly hold: Hold;
}

/** The call as the library gives it; messages come through the bounds, which hold credits for them. */
export type StreamCall = Pick<
  ServerDuplexStream<HeldMessage, Buffer>,
  'on' | 'once' | 'write' | 'end' | 'emit' | 'pause' | 'resume'
>;

/** What a session asks of the hub. */
export interface SessionHub {
  open(session: StreamSession, bytes: Uint8Array): Promise<StreamOpened>;
  send(session: StreamSession, message: HeldMessage): void;
  closed(session: StreamSession): void;
  window(): StreamWindow;
  nowMs(): number;
}

/**
 * One call: opens, hands batches to the hub, writes acks. At most one ack is on its way to the client;
 * while it is not taken, what there is to tell is kept as one: a client that never reads costs no more.
 */
export class StreamSession {
  readonly id: number;
  /** What `open` said, once it was answered. */
  opening: StreamOpening | undefined;
  shard = -1;
  /** When the last message came; of the call, before one did. */
  lastMs: number;
  /** Resolves when the call has ended; rejects with why, if badly. */
  readonly ended: Promise<void>;
  readonly #call: StreamCall;
  readonly #hub: SessionHub;
  #state: 'new' | 'opening' | 'open' | 'over' = 'new';
  #outstanding = 0;
  #halfClosed = false;
  #ending: TephraError | undefined;
  #pending: PendingAck | undefined;
  #writing = false;
  #resolve: () => void = () => {};
  #reject: (error: TephraError) => void = () => {};

  constructor(id: number, call: StreamCall, hub: SessionHub) {
    this.id = id;
    this.#call = call;
    this.#hub = hub;
    this.lastMs = hub.nowMs();
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    call.on('data', (message: HeldMessage) => this.#take(message));
    call.on('end', () => {
      this.#halfClosed = true;
      this.#advance();
    });
    call.on('error', () => {});
    call.once('cancelled', () => this.#over(new TephraError('canceled', 'the client left')));
  }

  /** Whether `open` was answered. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** What became of `count` messages. */
  report(report: StreamReport, count: number): void {
    this.#outstanding -= count;
    const pending = (this.#pending ??= {
      settled: 0,
      refused: [],
      refusedUnlisted: 0,
      epochEnd: undefined,
    });
    pending.settled = Math.max(pending.settled, report.settled);
    if (report.epochEnd !== undefined) pending.epochEnd = report.epochEnd;
    for (const refused of report.refused) {
      if (pending.refused.length < LIMITS.streamRefusalsMax) pending.refused.push(refused);
      else pending.refusedUnlisted++;
    }
    if (report.failed !== undefined) this.end(TephraError.from(report.failed));
    this.#advance();
  }

  /** `count` messages have failed, and it is not known what became of them. */
  fail(error: TephraError, count: number): void {
    this.#outstanding -= count;
    this.end(error);
  }

  /** Ends the call when what it sent is settled; the last ack goes first. */
  end(error: TephraError): void {
    this.#ending ??= error;
    this.#call.pause();
    this.#advance();
  }

  #take(message: HeldMessage): void {
    this.lastMs = this.#hub.nowMs();
    if (this.#state === 'over' || this.#ending !== undefined) {
      message.hold.release();
    } else if (this.#state === 'new') {
      this.#state = 'opening';
      this.#open(message).catch((thrown: unknown) => this.end(TephraError.from(thrown)));
    } else if (this.#state === 'opening') {
      message.hold.release();
      this.end(new FieldError('stream_order', 'batch', 'sent before the welcome'));
    } else {
      this.#outstanding++;
      this.#hub.send(this, message);
    }
  }

  async #open({ bytes, hold }: HeldMessage): Promise<void> {
    try {
      const opened = await this.#hub.open(this, bytes);
      if (this.#state !== 'opening') {
        this.#hub.closed(this);
        return;
      }
      this.#state = 'open';
      this.#call.write(Buffer.from(welcomeBytes(opened, this.#hub.window())));
      this.#advance();
    } catch (thrown) {
      if (this.#state === 'opening') this.#state = 'new';
      throw thrown;
    } finally {
      hold.release();
    }
  }

  /** Writes what is to be told, and ends the call when there is nothing left to wait for. */
  #advance(): void {
    if (this.#state === 'over') return;
    if (this.#state === 'opening' && this.#ending === undefined) return;
    if (this.#pending !== undefined && !this.#writing) {
      const bytes = ackBytes(this.#pending, this.#hub.window());
      this.#pending = undefined;
      this.#writing = true;
      this.#call.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), () => {
        this.#writing = false;
        this.#advance();
      });
    }
    if (this.#outstanding > 0) return;
    if (this.#ending !== undefined) {
      // Without waiting for a client that does not read: all that is missing is told at the next open.
      this.#over(this.#ending);
    } else if (this.#halfClosed && this.#pending === undefined) {
      this.#over(undefined);
    }
  }

  #over(error: TephraError | undefined): void {
    if (this.#state === 'over') return;
    const wasThere = error?.reason !== 'canceled';
    this.#state = 'over';
    this.#pending = undefined;
    this.#hub.closed(this);
    if (error === undefined) this.#resolve();
    else this.#reject(error);
    if (wasThere && error === undefined) this.#call.end();
  }
}
