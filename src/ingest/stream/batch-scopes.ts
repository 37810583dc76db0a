import { DAY_MS, floorTo, HOUR_MS } from '../../base/time.ts';
import { serviceOf } from '../../profile/labels.ts';
import { markerKey, rawVolume } from '../../storage/keys.ts';
import type { WriterScope } from '../../storage/shard/shard-state.ts';
import { liveScope, scopeKey } from '../scopes.ts';
import type { ScopeName } from '../scopes.ts';
import { isInWindow } from '../window.ts';
import type { OpenCall } from './stream-calls.ts';
import type { StreamShard } from './stream-shard.ts';

/** A scope by name, and its key in the shard. */
export interface Place {
  readonly name: ScopeName;
  readonly key: string;
}

/** A batch cannot be taken before these are open. */
export class NeededScopes {
  readonly names: readonly ScopeName[];

  constructor(names: readonly ScopeName[]) {
    this.names = names;
  }
}

/** Finds the live scopes that a batch is stored in: one for each of its days, and nearly always one. */
export class BatchScopes {
  readonly #shard: StreamShard;
  /** Of the present batch, by day. */
  readonly #scopes = new Map<number, WriterScope>();
  #volumeHour = -1;
  #volume = '';
  #markers = '';

  constructor(shard: StreamShard) {
    this.#shard = shard;
  }

  /** What keys of markers of the present batch begin with. */
  get markers(): string {
    return this.#markers;
  }

  /** Of the batch that was read last; valid until the next one. */
  of(
    call: OpenCall,
    bytes: Uint8Array,
    arrivalMs: number,
  ): ReadonlyMap<number, WriterScope> | NeededScopes {
    const { readers, rules, state } = this.#shard;
    const { batch, part } = readers;
    const scopes = this.#scopes;
    scopes.clear();
    const missing: ScopeName[] = [];
    let lastDayMs = Number.NaN;
    for (let i = 0; i < batch.partAt.length; i++) {
      const at = batch.partAt.array[i] as number;
      const startMs = part.peekStart(bytes, at, batch.partEnd.array[i] as number);
      const dayMs = floorTo(startMs, DAY_MS);
      if (dayMs === lastDayMs || scopes.has(dayMs)) continue;
      // What lies outside of the window is refused: nothing has to be opened for it.
      if (!isInWindow(rules, startMs, arrivalMs)) continue;
      lastDayMs = dayMs;
      const { name, key } = this.#placeOf(call, dayMs, arrivalMs);
      const scope = state.gate === undefined ? liveScope(state, name, key) : undefined;
      if (scope === undefined) missing.push(name);
      else scopes.set(dayMs, scope);
    }
    return missing.length === 0 ? scopes : new NeededScopes(missing);
  }

  /** Made once a call, day and volume: the text of a key costs more than the look-up. */
  #placeOf(call: OpenCall, dayMs: number, arrivalMs: number): Place {
    const volume = this.#volumeOf(arrivalMs);
    let { place } = call;
    if (place?.name.dayMs !== dayMs || place.name.rawVolume !== volume) {
      const { tenant, labels } = call.opening;
      const name = { tenant, service: serviceOf(labels), dayMs, rawVolume: volume };
      place = call.place = { name, key: scopeKey(name) };
    }
    return place;
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
}
