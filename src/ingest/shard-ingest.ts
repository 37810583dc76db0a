import type { Clock, Timers } from '../base/clock.ts';
import { hex } from '../base/bytes.ts';
import { TephraError } from '../base/errors.ts';
import { createPause } from '../base/slice.ts';
import { DAY_MS, floorTo, HOUR_MS } from '../base/time.ts';
import { markerKey, rawVolume } from '../storage/keys.ts';
import type { ShardState } from '../storage/shard/shard-state.ts';
import type { Acceptor, AcceptRules } from './accept.ts';
import { DuplicateMemory } from './duplicate-memory.ts';
import type { Reservation } from './duplicate-memory.ts';
import { identityOf } from './identity.ts';
import { findMarkers } from './markers.ts';
import type { PushItem, PushOutcome } from './push.ts';
import { liveScope, openScope } from './scopes.ts';
import { ShardWriter, WriteDoubtError } from './shard-writer.ts';
import type { FlushRules } from './shard-writer.ts';

/** What ingest of a shard is governed by. */
export interface IngestRules extends AcceptRules, FlushRules {
  /** Span of arrival that the duplicate memory holds exactly. */
  readonly duplicateSpanMs: number;
  /** Identities in it at most. */
  readonly duplicateEntriesMax: number;
}

/** Counters of one shard since it was opened. */
export interface IngestCounters {
  pushesStored: number;
  pushesDuplicate: number;
  pushesRefused: number;
  pushesWithoutIdentity: number;
  entriesStored: number;
  samplesDropped: number;
  labelSetsFolded: number;
}

/**
 * From accepted bytes to durable fragments of one shard: identity, decoding, limits, resolution
 * against the scope's dictionary, group commit. All of a push becomes durable in one put.
 */
export class ShardIngest {
  readonly counters: IngestCounters = {
    pushesStored: 0,
    pushesDuplicate: 0,
    pushesRefused: 0,
    pushesWithoutIdentity: 0,
    entriesStored: 0,
    samplesDropped: 0,
    labelSetsFolded: 0,
  };
  readonly #state: ShardState;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #rules: IngestRules;
  readonly #memory: DuplicateMemory;
  readonly #writer: ShardWriter;
  readonly #acceptor: Acceptor;

  constructor(options: {
    state: ShardState;
    acceptor: Acceptor;
    clock: Clock;
    timers: Timers;
    rules: IngestRules;
    openedMs: number;
  }) {
    this.#state = options.state;
    this.#acceptor = options.acceptor;
    this.#clock = options.clock;
    this.#timers = options.timers;
    this.#rules = options.rules;
    this.#memory = new DuplicateMemory({
      openedMs: options.openedMs,
      spanMs: options.rules.duplicateSpanMs,
      entriesMax: options.rules.duplicateEntriesMax,
    });
    this.#writer = new ShardWriter(options.state, options.timers, options.rules);
  }

  /** Stores profiles; one outcome an item, in order. Never rejects for an item's own fault. */
  async push(items: readonly PushItem[]): Promise<readonly PushOutcome[]> {
    const pause = createPause(this.#clock, this.#timers);
    const outcomes: Promise<PushOutcome>[] = [];
    for (const item of items) {
      outcomes.push(this.#one(item));
      await pause.here();
    }
    const settled = await Promise.all(outcomes);
    const last = items.at(-1);
    if (last !== undefined) this.#memory.prune(last.arrivalMs);
    return settled;
  }

  /** The shard's only way into fragments: streams use it too. */
  get writer(): ShardWriter {
    return this.#writer;
  }

  /**
   * Resolves when everything that was accepted is durable, or the store does not tell: then nothing of
   * it was acknowledged. Nothing may be pushed afterwards.
   */
  async stop(): Promise<void> {
    // Whether it landed is for the next start to find out.
    await this.#writer.settled().catch(() => undefined);
    this.#writer.stop();
  }

  async #one(item: PushItem): Promise<PushOutcome> {
    const identity = identityOf(item);
    const name = hex(identity);
    try {
      for (;;) {
        const known = this.#memory.get(name);
        if (known === undefined) break;
        if (known === 'durable' || (await this.#writer.orRefused(known))) {
          this.counters.pushesDuplicate++;
          return { outcome: 'duplicate' };
        }
      }
      if (this.#writer.refusal !== undefined) throw this.#writer.refusal;
      const reservation = this.#memory.reserve(name, item.arrivalMs);
      // What is refused here may be stored all the same, later: a resend learns of that.
      return await this.#writer.orRefused(this.#store(item, identity, reservation));
    } catch (thrown) {
      this.counters.pushesRefused++;
      return { outcome: 'refused', error: TephraError.from(thrown).toWire() };
    }
  }

  /** Stores a push that memory does not know; always settles the reservation. */
  async #store(
    item: PushItem,
    identity: Uint8Array,
    reservation: Reservation,
  ): Promise<PushOutcome> {
    try {
      const outcome = await this.#commit(item, identity, reservation);
      return outcome;
    } catch (thrown) {
      if (thrown instanceof WriteDoubtError) {
        // A resend waits until it is known whether the put landed.
        void thrown.settled.then((durable) => reservation.settle(durable));
      } else {
        reservation.settle(false);
      }
      throw thrown;
    }
  }

  async #commit(
    item: PushItem,
    identity: Uint8Array,
    reservation: Reservation,
  ): Promise<PushOutcome> {
    const accepted = this.#acceptor.accept(item);
    const { startMs } = accepted;
    const volume = rawVolume(item.arrivalMs);
    let marker: string | undefined;
    if (accepted.hasIdentity) {
      const hourMs = accepted.clientTimeMs === undefined ? 0 : floorTo(startMs, HOUR_MS);
      marker = markerKey(volume, hourMs, hex(identity));
      // No await for a fresh push: another one decoded meanwhile would cost decoding this one again.
      if (!this.#isCovered(accepted.clientTimeMs) && (await this.#storedBefore(hourMs, identity))) {
        reservation.settle(true);
        this.counters.pushesDuplicate++;
        return { outcome: 'duplicate' };
      }
    } else {
      this.counters.pushesWithoutIdentity++;
      // Equal bytes without id and time are different pushes: nobody may wait for this one.
      reservation.settle(false);
    }
    const scopeName = {
      tenant: item.tenant,
      service: accepted.service,
      dayMs: floorTo(startMs, DAY_MS),
      rawVolume: volume,
    };
    let scope = this.#state.gate === undefined ? liveScope(this.#state, scopeName) : undefined;
    while (scope === undefined) {
      if (this.#state.gate !== undefined) await this.#state.gate;
      else await openScope(this.#state, scopeName);
      // Between an await and here the world may have changed: ask again, synchronously.
      if (this.#state.gate === undefined) scope = liveScope(this.#state, scopeName);
    }
    // From here to `add` nothing awaits: rows and the fragment that carries them stay in step.
    const draft = this.#acceptor.assemble(item, accepted, scope.dictionary, identity);
    this.counters.samplesDropped += draft.samplesDropped;
    this.counters.labelSetsFolded += draft.labelSetsFolded;
    if (draft.pushes.length === 0) {
      reservation.settle(false);
      return { outcome: 'empty' };
    }
    await this.#writer.add({
      scope,
      arrivalMs: item.arrivalMs,
      pushes: draft.pushes,
      marker,
      bytes: draft.bytes,
    });
    reservation.settle(true);
    this.counters.pushesStored++;
    this.counters.entriesStored += draft.entries;
    return { outcome: 'stored', entries: draft.entries };
  }

  /**
   * Whether the memory would know the push if it had been stored: it cannot have arrived before its
   * own event time less what is allowed in the future.
   */
  #isCovered(clientTimeMs: number | undefined): boolean {
    const reach = this.#memory.horizonMs + this.#rules.futureMs;
    return clientTimeMs !== undefined && clientTimeMs > reach;
  }

  /** Whether a marker says that the push was stored. */
  async #storedBefore(hourMs: number, identity: Uint8Array): Promise<boolean> {
    const found = await findMarkers(this.#state.store, hourMs, [hex(identity)]);
    return found[0] === true;
  }
}
