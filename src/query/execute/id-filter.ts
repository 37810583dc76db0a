import { decodeTicks, readEntriesHeader } from '../../storage/column/decode.ts';
import type { TypeColumn } from '../../storage/column/entries.ts';
import type { ValueSums } from '../../storage/column/sum.ts';
import type { GroupView, PushView } from '../../storage/fragment/decode.ts';
import type { Narrowing } from '../request.ts';
import { comparedProfileId, shownProfileId } from './profile-id.ts';

/**
 * Picks single profiles, spans and traces. Only the raw tier knows them: a minute column is the sum of
 * all its pushes.
 */
export class IdFilter {
  readonly #profiles: ReadonlySet<string> | undefined;
  readonly #spans: ReadonlySet<string> | undefined;
  readonly #traces: ReadonlySet<string> | undefined;

  constructor(request: Narrowing) {
    this.#profiles = setOf(request.profileIds?.map(comparedProfileId));
    this.#spans = setOf(request.spanIds);
    this.#traces = setOf(request.traceIds);
  }

  /** The filter of a request, undefined if it names no id. */
  static of(request: Narrowing): IdFilter | undefined {
    const filter = new IdFilter(request);
    return (filter.#profiles ?? filter.#spans ?? filter.#traces) ? filter : undefined;
  }

  /** Adds what the filter leaves of a push; false if nothing. */
  add(sums: ValueSums, bytes: Uint8Array, push: PushView, type: TypeColumn): boolean {
    if (this.#profiles?.has(comparedProfileId(shownProfileId(push))) === false) return false;
    const groups = push.groups.filter((group) => this.#takes(group));
    for (const { at, end } of groups) {
      const header = readEntriesHeader(bytes, at, end);
      const whole = groups.length === push.groups.length && groups.length === 1;
      const total = whole ? type.total : groupValue(bytes, header, type);
      sums.add(bytes, header, { ...type, total });
    }
    return groups.length > 0;
  }

  #takes({ spanId, traceId }: GroupView): boolean {
    return this.#spans?.has(spanId) !== false && this.#traces?.has(traceId) !== false;
  }
}

function setOf(ids: readonly string[] | undefined): ReadonlySet<string> | undefined {
  return ids === undefined || ids.length === 0 ? undefined : new Set(ids);
}

/** Value of one group: the total that is stored is that of all groups together. */
export function groupValue(
  bytes: Uint8Array,
  header: ReturnType<typeof readEntriesHeader>,
  type: TypeColumn,
): bigint {
  let ticks = 0n;
  for (const tick of decodeTicks(bytes, header, type.column)) ticks += BigInt(tick);
  return ticks * type.grain;
}
