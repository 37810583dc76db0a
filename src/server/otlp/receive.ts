import type { Metrics } from '../../base/metrics.ts';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { PushItem } from '../../ingest/push.ts';
import type { OtlpSplit } from '../../profile/otlp/split.ts';
import type { Engine } from '../../shards/engine.ts';
import type { Credits, Hold } from '../body/credits.ts';
import type { CallContext } from '../rpc/method.ts';
import { countedRefusals, countOutcomes, foremost, refusalOf } from '../rpc/push.ts';

/** What receiving needs. */
export interface OtlpDeps {
  readonly engine: Engine;
  readonly metrics: Metrics;
  /** Bytes of pushes that requests under way are split into. */
  readonly splitting: Credits;
  /** Names of attributes that become no labels. */
  readonly droppedAttributes: readonly string[];
}

/** What became of a request of which something was stored, or that held nothing. */
export interface OtlpOutcome {
  /** Profiles that were refused. */
  readonly rejected: number;
  /** Why, '' if none was. */
  readonly message: string;
}

/** What a split takes at first, for each byte of the request, and at least: dictionaries are shared. */
const LIKELY_FACTOR = 4;
const LIKELY_BYTES_MIN = 256 * 1024;
const MESSAGE_MAX = 1_024;

/**
 * Takes an `ExportProfilesServiceRequest` in, of either encoding: one worker splits it, the owners of the
 * services store the parts like any other push.
 */
export class OtlpReceiver {
  readonly #deps: OtlpDeps;

  constructor(deps: OtlpDeps) {
    this.#deps = deps;
  }

  /**
   * Stores the profiles of a request. Throws if nothing of it may be stored, if every profile is refused, and
   * with the reason of a part that should be sent again: what is stored is known by then as a resend.
   */
  async receive(
    bytes: Uint8Array,
    isJson: boolean,
    { tenant, arrivalMs }: Pick<CallContext, 'tenant' | 'arrivalMs'>,
  ): Promise<OtlpOutcome> {
    const { engine, metrics } = this.#deps;
    const { split, hold } = await this.#split(bytes, isJson);
    try {
      const refusals = new Map<number, TephraError>();
      for (const { profile, error } of split.refused) {
        refusals.set(profile, TephraError.from(error));
        metrics.profiles.inc({ surface: 'otlp', outcome: error.reason });
      }
      const items = split.pushes.map(({ labels, profileId, payload }): PushItem => ({
        tenant,
        labels,
        profileId,
        format: 'pprof',
        surface: 'otlp',
        payload,
        arrivalMs,
      }));
      const outcomes = items.length === 0 ? [] : await engine.push(items);
      countOutcomes(metrics, items, outcomes);
      outcomes.forEach((outcome, i) => {
        const refusal = refusalOf([outcome]);
        const profile = split.pushes[i]?.profile ?? 0;
        if (refusal === undefined || refusals.get(profile)?.row.retry === true) return;
        // What would pass if it were sent again wins over what never will.
        if (refusal.row.retry || !refusals.has(profile)) refusals.set(profile, refusal);
      });
      return outcomeOf(split.profiles, [...refusals.values()]);
    } finally {
      hold.release();
    }
  }

  /** Splits within credits: for the size that is likely, then for all that one request may become. */
  async #split(bytes: Uint8Array, isJson: boolean): Promise<{ split: OtlpSplit; hold: Hold }> {
    const { engine, splitting, droppedAttributes } = this.#deps;
    const most = LIMITS.otlpSplitBytes;
    const likely = Math.max(LIKELY_BYTES_MIN, LIKELY_FACTOR * bytes.byteLength);
    for (let bytesMax = Math.min(most, likely); ; bytesMax = most) {
      const hold = await splitting.acquire(bytesMax);
      try {
        const split = await engine.splitOtlp(bytes, { isJson, bytesMax, droppedAttributes });
        hold.resize(split.bytes);
        return { split, hold };
      } catch (thrown) {
        hold.release();
        const error = TephraError.from(thrown);
        if (error.reason === 'otlp_layout') this.#countLayout(error.detail);
        if (error.reason !== 'decompressed_size' || bytesMax === most) throw error;
      }
    }
  }

  #countLayout(detail: string): void {
    const layout = /the OTLP (\S+(?: to \S+)?) layout/.exec(detail)?.[1] ?? '';
    this.#deps.metrics.otlpLayouts.inc({ layout });
  }
}

/** Throws where the sender should send all again, or nothing was stored. */
function outcomeOf(profiles: number, refusals: readonly TephraError[]): OtlpOutcome {
  const first = foremost(refusals);
  if (first === undefined) return { rejected: 0, message: '' };
  const text =
    profiles === 1
      ? first.detail
      : `${countedRefusals(refusals, profiles)}; first: ${first.detail}`;
  const message = text.slice(0, MESSAGE_MAX);
  if (profiles === refusals.length || first.row.retry) {
    throw new TephraError(first.reason, message);
  }
  return { rejected: refusals.length, message };
}
