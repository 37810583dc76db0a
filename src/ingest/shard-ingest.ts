import type { Clock, Timers } from '../base/clock.ts';
import { hex } from '../base/bytes.ts';
import { TephraError } from '../base/errors.ts';
import { release } from '../base/release.ts';
import { createPause } from '../base/slice.ts';
import { DAY_MS, floorTo, HOUR_MS } from '../base/time.ts';
import { markerKey, rawVolume } from '../storage/keys.ts';
import { CanonicalDictionaries } from '../storage/shard/canonical.ts';
import type { ShardState, WriterScope } from '../storage/shard/shard-state.ts';
import type { Accepted, Acceptor, AcceptRules, Draft } from './accept.ts';
import { DuplicateMemory } from './duplicate-memory.ts';
import type { Reservation } from './duplicate-memory.ts';
import { identityOf } from './identity.ts';
import type { MarkerLookup } from './markers.ts';
import type { PushItem, PushOutcome } from './push.ts';
import { liveScope, loadSeed, openScope } from './scopes.ts';
import type { ScopeName } from './scopes.ts';
import { ShardWriter, WriteDoubtError } from './shard-writer.ts';
import type { FlushRules } from './shard-writer.ts';

/** What ingest of a shard is governed by. */
export interface IngestRules extends AcceptRules, FlushRules {
  /** Span of arrival that the duplicate memory holds exactly. */
  readonly duplicateSpanMs: number;
  /** Identities in it at most. */
  readonly duplicateEntriesMax: number;
  /** Nobody else has the payloads that are pushed: each is given back when its push has ended. */
  readonly ownsPayloads: boolean;
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
  readonly #markers: MarkerLookup;

  constructor(options: {
    state: ShardState;
    acceptor: Acceptor;
    /** One for all shards of a thread. */
    markers: MarkerLookup;
    clock: Clock;
    timers: Timers;
    rules: IngestRules;
    openedMs: number;
  }) {
    this.#state = options.state;
    this.#acceptor = options.acceptor;
    this.#markers = options.markers;
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

  /** Stores a push that memory does not know; always settles the reservation, even after a refusal. */
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
    } finally {
      if (this.#rules.ownsPayloads) release(item.payload);
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
    const scopeName = {
      tenant: item.tenant,
      service: accepted.service,
      dayMs: floorTo(startMs, DAY_MS),
      rawVolume: volume,
    };
    // Before anything awaits: another push that is decoded meanwhile would cost decoding this one again.
    let resolved = this.#resolve(item, accepted, identity, scopeName);
    let marker: string | undefined;
    if (accepted.hasIdentity) {
      const hourMs = accepted.clientTimeMs === undefined ? 0 : floorTo(startMs, HOUR_MS);
      const name = hex(identity);
      marker = markerKey(volume, hourMs, name);
      const isKnownNew = this.#isCovered(accepted.clientTimeMs);
      if (!isKnownNew && (await this.#markers.isStored(hourMs, name))) {
        reservation.settle(true);
        this.counters.pushesDuplicate++;
        return { outcome: 'duplicate' };
      }
    } else {
      this.counters.pushesWithoutIdentity++;
      // Equal bytes without id and time are different pushes: nobody may wait for this one.
      reservation.settle(false);
    }
    // An await may have ended the epoch, and with it the meaning of ids: ask again, synchronously.
    while (resolved === undefined || !this.#isLive(resolved.scope)) {
      if (this.#state.gate !== undefined) await this.#state.gate;
      else {
        if (liveScope(this.#state, scopeName) === undefined) {
          openScope(this.#state, scopeName, await loadSeed(this.#state, scopeName));
        }
        resolved = this.#resolve(item, accepted, identity, scopeName);
      }
    }
    // From here to `add` nothing awaits: a scope that is live has all rows of this push, in a fragment
    // before this one or in its own.
    const { scope, draft } = resolved;
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

  /** Resolves an accepted push against its live scope; undefined while there is none. */
  #resolve(
    item: PushItem,
    accepted: Accepted,
    identity: Uint8Array,
    name: ScopeName,
  ): Resolved | undefined {
    const scope = this.#state.gate === undefined ? liveScope(this.#state, name) : undefined;
    if (scope === undefined) return undefined;
    return {
      scope,
      draft: this.#acceptor.assemble(item, accepted, scope.dictionary, identity),
    };
  }

  /** Whether what was resolved against `scope` may be written now. */
  #isLive(scope: WriterScope): boolean {
    const key = CanonicalDictionaries.key(scope.dayMs, scope.tenant, scope.service);
    return this.#state.gate === undefined && this.#state.scopes.get(key) === scope;
  }
}

/** A push as ids of a scope; they mean something as long as the scope is the live one. */
interface Resolved {
  readonly scope: WriterScope;
  readonly draft: Draft;
}
