import { assert } from '../base/assert.ts';
import type { Timers } from '../base/clock.ts';
import { TephraError } from '../base/errors.ts';
import type { Reason } from '../base/errors.ts';
import { HOUR_MS, floorTo } from '../base/time.ts';
import { decodeFragment, readSection } from '../storage/fragment/decode.ts';
import type { FragmentView, SectionEntry, SectionView } from '../storage/fragment/decode.ts';
import { encodeFragment } from '../storage/fragment/encode.ts';
import { PushWriter } from '../storage/fragment/push-writer.ts';
import type { FragmentPush, FragmentSection } from '../storage/fragment/encode.ts';
import { fragmentKey } from '../storage/keys.ts';
import { CanonicalDictionaries } from '../storage/shard/canonical.ts';
import { headSection } from '../storage/shard/head.ts';
import type { ShardState, WriterScope } from '../storage/shard/shard-state.ts';

/** Pushes of one profile (one per label set) with the marker that makes their identity durable. */
export interface WriterItem {
  readonly scope: WriterScope;
  readonly arrivalMs: number;
  /** Encoded at once: nothing refers to them afterwards. */
  readonly pushes: readonly FragmentPush[];
  /** Key of the identity's marker, in the scope's raw volume. Asked for once, if it is put. */
  readonly marker: string | undefined;
  /** Of the items of one fragment with the same text only the last one's marker is put. */
  readonly markedBy?: string | undefined;
}

/** Who is told what became of items, once: one or the other. */
export interface Waiter {
  /** They are durable and in the head. */
  stored(): void;
  failed(error: TephraError): void;
}

/** Thrown to the pusher when the outcome of its put is not known; carries the later truth. */
export class WriteDoubtError extends TephraError {
  /** Resolves to whether the pushes are durable after all. */
  readonly settled: Promise<boolean>;

  constructor(detail: string, settled: Promise<boolean>, cause: TephraError) {
    super(cause.reason === 'storage_full' ? 'storage_full' : 'write_unknown', detail, { cause });
    this.settled = settled;
  }
}

interface Draft {
  readonly rawVolume: string;
  /** One scope for each (tenant, service, day): a section is found by these. */
  readonly scopes: Map<string, WriterScope>;
  readonly pushes: Map<WriterScope, PushWriter>;
  readonly arrivalMs: number;
  readonly waiters: Waiter[];
  readonly markers: string[];
  /** The last item of each name. */
  readonly marked: Map<string, WriterItem>;
  bytes: number;
  due: boolean;
}

/** When a flush closes. */
export interface FlushRules {
  readonly flushBytes: number;
  readonly flushLingerMs: number;
  /** How long a store may leave open whether a failed put landed, before pushes are refused. */
  readonly doubtWaitMs: number;
}

/**
 * Group commit of one shard: one fragment is being put, the next one collects. A fragment closes when
 * it is large or old enough; its pushes are acknowledged when its put resolved and the head has it.
 *
 * A put that fails leaves a doubt: its pushes and those that collect behind it fail, the shard's
 * epochs end (their rows may be lost), and nothing more is put until `get` told whether the fragment
 * is there. Sequences are dense; one that is known to be absent is listed as skipped by the next.
 *
 * A store that does not tell within `doubtWaitMs` keeps nobody waiting: until it tells, everything that
 * waits for this shard is refused, retryably, and so is what comes.
 */
export class ShardWriter {
  readonly #state: ShardState;
  readonly #timers: Timers;
  readonly #rules: FlushRules;
  readonly #queue: Draft[] = [];
  #busy = false;
  #seq = 0;
  #skipped: number[] = [];
  #idle: (() => void)[] = [];
  #refusal: TephraError | undefined;
  readonly #refusable = new Set<(refusal: TephraError) => void>();
  #stopped = false;

  constructor(state: ShardState, timers: Timers, rules: FlushRules) {
    this.#state = state;
    this.#timers = timers;
    this.#rules = rules;
    state.settled = () => this.settled();
  }

  /** How often what was to be written was given up. */
  abandoned = 0;

  /** Last sequence that was given out. */
  get seq(): number {
    return this.#seq;
  }

  /** Why nothing can be written until the store tells what became of a failed put, if that is so. */
  get refusal(): TephraError | undefined {
    return this.#refusal;
  }

  /** What `work` settles to, unless it is pending while there is a {@link refusal}: rejects with that. */
  async orRefused<T>(work: Promise<T>): Promise<T> {
    let leave = (): void => {};
    const refused = new Promise<never>((_, reject) => {
      leave = () => this.#refusable.delete(reject);
      if (this.#refusal === undefined) this.#refusable.add(reject);
      else reject(this.#refusal);
    });
    try {
      return await Promise.race([work, refused]);
    } finally {
      leave();
    }
  }

  /** Adds pushes; resolves when they are durable and in the head. */
  add(item: WriterItem): Promise<void> {
    return this.addAll([item]);
  }

  /** The same for several items of one arrival: all of them are in one fragment. */
  addAll(items: readonly WriterItem[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.give(items, { stored: resolve, failed: reject });
    });
  }

  /** {@link addAll} without a promise; may fail at once. */
  give(items: readonly WriterItem[], waiter: Waiter): void {
    if (this.#refusal !== undefined) {
      // The rows that these added are in no fragment.
      this.#giveUp(this.#refusal);
      waiter.failed(this.#refusal);
      return;
    }
    const draft = this.#draftFor(items);
    try {
      for (const item of items) collect(draft, item);
    } catch (thrown) {
      // Some of them may be in the draft already: it goes, and what builds on its rows.
      const error = TephraError.from(thrown);
      this.#giveUp(error);
      waiter.failed(error);
      return;
    }
    draft.waiters.push(waiter);
    if (draft.bytes >= this.#rules.flushBytes) draft.due = true;
    if (draft.due) this.#pump();
  }

  /** Resolves when nothing is collecting, being put or in doubt. Rejects with a {@link refusal}. */
  async settled(): Promise<void> {
    while (this.#busy || this.#queue.length > 0) {
      for (const draft of this.#queue) draft.due = true;
      this.#pump();
      const idle = new Promise<void>((resolve) => {
        this.#idle.push(resolve);
      });
      await this.orRefused(idle);
    }
  }

  /** Asks no more about a put in doubt: the next start finds out. Nothing may be added afterwards. */
  stop(): void {
    this.#stopped = true;
  }

  #draftFor(items: readonly WriterItem[]): Draft {
    const [item] = items;
    assert(item !== undefined, 'an item to write');
    const open = this.#queue.at(-1);
    if (open !== undefined && items.every((one) => this.#mayTake(open, one))) return open;
    // What is behind another draft must not overtake it: its rows build on it.
    if (open !== undefined) open.due = true;
    const draft: Draft = {
      rawVolume: item.scope.rawVolume,
      scopes: new Map(),
      pushes: new Map(),
      arrivalMs: item.arrivalMs,
      waiters: [],
      markers: [],
      marked: new Map(),
      bytes: 0,
      due: this.#rules.flushLingerMs === 0,
    };
    this.#queue.push(draft);
    if (!draft.due) {
      this.#timers.after(this.#rules.flushLingerMs, () => {
        draft.due = true;
        this.#pump();
      });
    }
    return draft;
  }

  #mayTake(draft: Draft, item: WriterItem): boolean {
    if (draft.rawVolume !== item.scope.rawVolume) return false;
    if (draft.bytes >= this.#rules.flushBytes) return false;
    const scope = draft.scopes.get(scopeKey(item.scope));
    return scope === undefined || scope === item.scope;
  }

  #pump(): void {
    const draft = this.#queue[0];
    if (this.#busy || draft === undefined || !draft.due) return;
    this.#queue.shift();
    this.#busy = true;
    void this.#flush(draft).finally(() => {
      this.#busy = false;
      const idle = this.#idle;
      this.#idle = [];
      for (const wake of idle) wake();
      this.#pump();
    });
  }

  /** Never rejects: every outcome goes to the waiters. */
  async #flush(draft: Draft): Promise<void> {
    // A process that slept for a day wakes with pushes for a volume that retention takes away.
    if (this.#state.releasedVolumes.has(draft.rawVolume)) {
      const detail = `${draft.rawVolume} is past its retention; send again`;
      this.#abandon(draft, new TephraError('write_unknown', detail));
      return;
    }
    this.#state.puttingTo = draft.rawVolume;
    try {
      await this.#put(draft);
    } finally {
      this.#state.puttingTo = undefined;
    }
  }

  async #put(draft: Draft): Promise<void> {
    const seq = ++this.#seq;
    const skipped = this.#skipped;
    const arrivalHourMs = floorTo(draft.arrivalMs, HOUR_MS);
    const { shard, incarnation, store } = this.#state;
    const key = fragmentKey({ arrivalHourMs, shard, incarnation, seq });
    const scopes = new Map<number, WriterScope>();
    let bytes: Uint8Array;
    try {
      const sections = sectionsOf(draft, scopes);
      bytes = encodeFragment({ incarnation, seq, shard, arrivalHourMs, skipped, sections });
      for (const { pushes } of sections) if (SPARE.length < SPARE_MAX) SPARE.push(pushes);
    } catch (thrown) {
      this.#skipped = [...skipped, seq];
      this.#abandon(draft, TephraError.from(thrown));
      return;
    }
    const markers = markersOf(draft);
    try {
      await store.put(key, bytes, markers);
    } catch (thrown) {
      await this.#settle(draft, key, seq, bytes, scopes, thrown);
      return;
    }
    this.#skipped = [];
    this.#land(bytes, scopes);
    for (const waiter of draft.waiters) waiter.stored();
  }

  /** Puts the durable fragment's sections into the head. */
  #land(bytes: Uint8Array, scopes: ReadonlyMap<number, WriterScope>): void {
    const fragment = decodeFragment(bytes);
    this.#state.land(fragment.incarnation, fragment.seq);
    // Decoded again when somebody reads it: what is kept until then is bytes.
    let again: FragmentView | undefined;
    for (const [i, entry] of fragment.sections.entries()) {
      const scope = scopes.get(entry.epoch);
      assert(scope !== undefined, `no scope of epoch ${entry.epoch}`);
      const read = (): SectionView => {
        again ??= decodeFragment(bytes);
        return readSection(bytes, again.sections[i] as SectionEntry);
      };
      this.#state.head.add(headSection(fragment, entry, read, scope, bytes));
    }
  }

  /** Ends the doubt about a failed put; pushers are told at once, resends wait for the truth. */
  async #settle(
    draft: Draft,
    key: string,
    seq: number,
    bytes: Uint8Array,
    scopes: ReadonlyMap<number, WriterScope>,
    thrown: unknown,
  ): Promise<void> {
    const cause = TephraError.from(thrown);
    let tell = (_: boolean): void => {};
    const settled = new Promise<boolean>((resolve) => {
      tell = resolve;
    });
    const detail = `the put of ${key} failed: ${cause.message}`;
    this.#abandon(draft, new WriteDoubtError(detail, settled, cause));
    const forget = this.#timers.after(this.#rules.doubtWaitMs, () => this.#refuse(key, cause));
    const present = !NOT_ATTEMPTED.has(cause.reason) && (await this.#isPresent(key));
    forget();
    this.#refusal = undefined;
    if (present === undefined) return;
    if (present) {
      this.#skipped = [];
      this.#land(bytes, scopes);
    } else {
      this.#skipped = [...this.#skipped, seq];
    }
    tell(present);
  }

  /**
   * Fails a fragment and all that collected behind it, whose slices build on rows that it may have
   * lost, and ends the epochs that gave out those rows.
   */
  #abandon(draft: Draft, error: TephraError): void {
    fail(draft.waiters, error);
    this.#giveUp(
      new TephraError('write_unknown', 'the put before this one failed; nothing was stored'),
    );
  }

  /** Fails what collects, and ends the epochs that gave out its rows. */
  #giveUp(error: TephraError): void {
    this.#state.endEpochs();
    this.abandoned++;
    for (const { waiters } of this.#queue.splice(0)) fail(waiters, error);
  }

  /** The store did not tell in time. */
  #refuse(key: string, cause: TephraError): void {
    const reason = cause.reason === 'storage_full' ? 'storage_full' : 'write_unknown';
    const detail = `the store does not tell whether ${key} is there; send again later`;
    this.#refusal = new TephraError(reason, detail, { cause });
    this.#giveUp(this.#refusal);
    for (const reject of this.#refusable) reject(this.#refusal);
    this.#refusable.clear();
  }

  /**
   * Asks until the store answers: it closes and reopens a volume whose write failed. Undefined once
   * nobody wants to know.
   */
  async #isPresent(key: string): Promise<boolean | undefined> {
    while (!this.#stopped) {
      try {
        return (await this.#state.store.size(key)) !== null;
      } catch (thrown) {
        // What is set aside answers nothing any more: no reader will ever see it there.
        if (TephraError.from(thrown).reason === 'volume_quarantined') return false;
        // Not told is the doubt itself: nothing of this shard may be put before it is settled.
        await new Promise<void>((resolve) => {
          this.#timers.after(SETTLE_RETRY_MS, resolve);
        });
      }
    }
    return undefined;
  }
}

function collect(draft: Draft, item: WriterItem): void {
  const { scope, markedBy } = item;
  let pushes = draft.pushes.get(scope);
  if (pushes === undefined) {
    draft.scopes.set(scopeKey(scope), scope);
    pushes = SPARE.pop() ?? new PushWriter();
    pushes.begin(scope.dayMs);
    draft.pushes.set(scope, pushes);
  }
  const before = pushes.size;
  for (const push of item.pushes) pushes.add(push);
  draft.bytes += pushes.size - before;
  if (markedBy !== undefined) draft.marked.set(markedBy, item);
  else if (item.marker !== undefined) draft.markers.push(item.marker);
}

/** Buffers of fragments that were put, for those that follow. */
const SPARE: PushWriter[] = [];
const SPARE_MAX = 4;

function markersOf(draft: Draft): string[] {
  const markers = [...draft.markers];
  for (const { marker } of draft.marked.values()) if (marker !== undefined) markers.push(marker);
  return markers;
}

function fail(waiters: readonly Waiter[], error: TephraError): void {
  for (const waiter of waiters) waiter.failed(error);
}

/** With these the store refused a put before it wrote a byte. */
const NOT_ATTEMPTED: ReadonlySet<Reason> = new Set<Reason>([
  'overloaded',
  'draining',
  'volume_quarantined',
]);

/** Pause between two questions to a store that does not answer. */
const SETTLE_RETRY_MS = 100;

function scopeKey(scope: WriterScope): string {
  return CanonicalDictionaries.key(scope.dayMs, scope.tenant, scope.service);
}

/** One section per scope, with the rows that its pushes added. */
function sectionsOf(draft: Draft, scopes: Map<number, WriterScope>): FragmentSection<PushWriter>[] {
  const sections: FragmentSection<PushWriter>[] = [];
  for (const [scope, pushes] of draft.pushes) {
    scopes.set(scope.epoch, scope);
    const from = scope.written;
    const to = scope.dictionary.lengths;
    sections.push({
      tenant: scope.tenant,
      service: scope.service,
      dayMs: scope.dayMs,
      epoch: scope.epoch,
      seed: scope.seed,
      from,
      to,
      slice: scope.dictionary.encodeSlice(from, to),
      pushes,
    });
    scope.written = to;
  }
  return sections;
}
