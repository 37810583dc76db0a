import type { Clock, Timers } from '../../base/clock.ts';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { StreamOpened } from '../../ingest/stream/messages.ts';
import type { Engine } from '../../shards/engine.ts';
import { grpcStatus } from '../grpc/status.ts';
import type { PartialBytes } from '../grpc/patch.ts';
import type { Hold } from '../body/credits.ts';
import { ANONYMOUS, observed, type RunDeps } from '../rpc/run.ts';
import { readOpen, type StreamWindow } from './messages.ts';
import { SpareBuffers } from './spare-buffers.ts';
import { StreamSession, type HeldMessage, type SessionHub, type StreamCall } from './session.ts';

/** Path of the method without the slash in front, and its metric label. */
export const STREAM_NAME = 'tephra.v1.IngestService/Stream';

/** What the hub needs. */
export interface HubDeps extends RunDeps {
  readonly engine: Engine;
  readonly timers: Timers;
  readonly clock: Clock;
  /** Whether much of what may be in flight is in flight. */
  readonly isBusy: () => boolean;
}

/** Messages of one shard that go to its owner together. */
interface Bundle {
  readonly sessions: StreamSession[];
  readonly messages: HeldMessage[];
  bytes: number;
}

/** A call whose message may be under way. */
interface Watched {
  readonly partial: () => object | undefined;
  readonly end: (error: TephraError) => void;
  seen: object | undefined;
  sinceMs: number;
}

/** A bundle goes at the end of the tick, or when it is this large. */
const BUNDLE_BYTES = 1024 * 1024;
/** How often silent calls are looked for. */
const SWEEP_MS = 1_000;

/**
 * All open streams: bundles what they send by shard and tick, so that a message costs a copy and not a
 * message between threads, and ends those that are silent.
 */
export class StreamHub implements SessionHub {
  /** Messages that have begun and not ended. */
  readonly partial: PartialBytes = { bytes: 0, bytesMax: LIMITS.streamPartialBytes };
  readonly #deps: HubDeps;
  readonly #sessions = new Map<number, StreamSession>();
  /** By shard. An array, as they come and go with each tick: see base/slots.ts. */
  readonly #bundles: (Bundle | undefined)[] = [];
  readonly #watched = new Set<Watched>();
  readonly #spare = new SpareBuffers(LIMITS.streamSpareBytes);
  #lastId = 0;
  #draining = false;
  #sweeping = false;

  constructor(deps: HubDeps) {
    this.#deps = deps;
  }

  /** Streams that are open. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Serves a call until its end. */
  serve(call: StreamCall): void {
    const session = new StreamSession(++this.#lastId, call, this);
    this.#sessions.set(session.id, session);
    this.#sweepLater();
    observed(STREAM_NAME, this.#deps, () => session.ended).catch((thrown: unknown) => {
      const error = TephraError.from(thrown);
      if (error.reason !== 'canceled') call.emit('error', grpcStatus(error));
    });
    if (this.#draining) session.end(new TephraError('draining', 'the server is stopping'));
  }

  /** Ends all streams when what they have sent is settled. */
  drain(): void {
    this.#draining = true;
    const error = new TephraError('draining', 'the server is stopping');
    for (const session of this.#sessions.values()) session.end(error);
  }

  async open(session: StreamSession, bytes: Uint8Array): Promise<StreamOpened> {
    const { engine } = this.#deps;
    const opening = readOpen(bytes, session.id, ANONYMOUS, (labels) => engine.streamLabels(labels));
    session.shard = engine.streamShard(opening.tenant, opening.labels);
    session.opening = opening;
    const opened = await engine.openStream(session.shard, opening);
    const replaced =
      opened.replaces === undefined ? undefined : this.#sessions.get(opened.replaces);
    replaced?.end(new TephraError('stream_replaced', 'the same agent has opened another stream'));
    return opened;
  }

  send(session: StreamSession, message: HeldMessage): void {
    const { shard } = session;
    let bundle = this.#bundles[shard];
    if (bundle === undefined) {
      const fresh: Bundle = { sessions: [], messages: [], bytes: 0 };
      bundle = fresh;
      this.#bundles[shard] = fresh;
      void this.#deps.timers.yield().then(() => this.#flush(shard, fresh));
    }
    bundle.sessions.push(session);
    bundle.messages.push(message);
    bundle.bytes += message.bytes.byteLength;
    if (bundle.bytes >= BUNDLE_BYTES) this.#flush(shard, bundle);
  }

  closed(session: StreamSession): void {
    this.#sessions.delete(session.id);
    if (session.opening !== undefined) {
      void this.#deps.engine.closeStream(session.shard, session.id);
    }
  }

  window(): StreamWindow {
    return this.#deps.isBusy()
      ? { batches: LIMITS.streamBusyWindowBatches, bytes: LIMITS.streamBusyWindowBytes }
      : { batches: LIMITS.streamWindowBatches, bytes: LIMITS.streamWindowBytes };
  }

  nowMs(): number {
    return this.#deps.clock.monotonicMs();
  }

  /** Ends a call whose message does not come to its end; the returned function stops looking. */
  watch(partial: () => object | undefined, end: (error: TephraError) => void): () => void {
    const watched: Watched = { partial, end, seen: undefined, sinceMs: 0 };
    this.#watched.add(watched);
    return () => this.#watched.delete(watched);
  }

  #flush(shard: number, bundle: Bundle): void {
    if (this.#bundles[shard] !== bundle) return;
    this.#bundles[shard] = undefined;
    this.#deliver(shard, bundle).catch((thrown: unknown) => {
      this.#deps.logger.error('a bundle of streams was lost', { detail: String(thrown) });
    });
  }

  async #deliver(shard: number, bundle: Bundle): Promise<void> {
    const { sessions, messages, bytes: size } = bundle;
    const { engine, clock } = this.#deps;
    // Made alone: it is given away to the owner's thread.
    const bytes = this.#spare.take(size);
    const ends = new Uint32Array(messages.length);
    let at = 0;
    const calls: number[] = [];
    const holds: Hold[] = [];
    const counts = new Map<StreamSession, number>();
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i] as HeldMessage;
      const session = sessions[i] as StreamSession;
      bytes.set(message.bytes, at);
      at += message.bytes.byteLength;
      ends[i] = at;
      calls.push(session.id);
      holds.push(message.hold);
      counts.set(session, (counts.get(session) ?? 0) + 1);
    }
    // The bytes are copied: what they came in may go.
    messages.length = 0;
    try {
      const arrivalMs = clock.nowMs();
      const taken = await engine.takeStream(shard, { calls, ends, bytes, arrivalMs });
      const { reports } = taken;
      this.#spare.give(taken.bytes);
      const byCall = new Map(reports.map((report) => [report.call, report]));
      for (const [session, count] of counts) {
        const report = byCall.get(session.id);
        if (report !== undefined) session.report(report, count);
        else session.fail(new TephraError('internal', 'the engine gave no report'), count);
      }
    } catch (thrown) {
      const error = TephraError.from(thrown);
      for (const [session, count] of counts) session.fail(error, count);
    } finally {
      for (const hold of holds) hold.release();
    }
  }

  #sweepLater(): void {
    if (this.#sweeping) return;
    this.#sweeping = true;
    this.#deps.timers.after(SWEEP_MS, () => {
      this.#sweeping = false;
      this.#sweep();
      if (this.#sessions.size > 0) this.#sweepLater();
    });
  }

  #sweep(): void {
    const nowMs = this.nowMs();
    for (const session of this.#sessions.values()) {
      const silentMs = nowMs - session.lastMs;
      if (!session.isOpen && silentMs >= LIMITS.streamOpenTimeoutMs) {
        const text = `no open within ${LIMITS.streamOpenTimeoutMs} ms, or no answer to it`;
        session.end(new TephraError('request_timeout', text));
      } else if (silentMs >= LIMITS.streamSilenceMs) {
        const text = `no message for ${LIMITS.streamSilenceMs} ms`;
        session.end(new TephraError('stream_silent', text));
      }
    }
    for (const watched of this.#watched) {
      const partial = watched.partial();
      if (partial !== watched.seen) {
        watched.seen = partial;
        watched.sinceMs = nowMs;
      } else if (
        partial !== undefined &&
        nowMs - watched.sinceMs >= LIMITS.streamMessageTimeoutMs
      ) {
        const text = `the message was not complete in ${LIMITS.streamMessageTimeoutMs} ms`;
        watched.end(new TephraError('request_timeout', text));
      }
    }
  }
}
