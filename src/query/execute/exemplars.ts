import type { Label } from '../../profile/labels.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import type { PushView } from '../../storage/fragment/decode.ts';
import { labelsKey } from '../labels/label-sets.ts';
import type { HeatEdges, SeriesRequest } from '../request.ts';
import { isBetter } from '../series/exemplar-order.ts';
import { bucketOf } from '../series/heat.ts';
import type { PartExemplar } from '../series/part.ts';
import { type Steps, stepAt, stepsOf } from '../series/steps.ts';
import { shownProfileId } from './profile-id.ts';

/** A profile that may stand for a point. */
export interface Candidate {
  readonly timestampMs: number;
  readonly value: bigint;
  readonly dictionary: Dictionary;
  readonly series: number;
  /** Whose value it is, if that of a span. */
  readonly spanId?: string | undefined;
  readonly traceId?: string | undefined;
  /** The push, or undefined where it is no longer in the raw tier. */
  readonly read: () => Promise<PushView | undefined>;
}

interface Best {
  readonly group: readonly Label[];
  readonly step: number;
  readonly bucket: number | undefined;
  readonly one: Candidate;
}

/** Keeps, for each point of each line, the profile with the largest value. */
export class Exemplars {
  readonly #steps: Steps;
  readonly #groupBy: ReadonlySet<string>;
  readonly #max: number;
  readonly #edges: HeatEdges | undefined;
  readonly #best = new Map<string, Best>();

  /** `max`: how many are looked up, the largest first. */
  constructor(request: SeriesRequest, max: number) {
    this.#steps = stepsOf(request);
    this.#groupBy = new Set(request.groupBy);
    this.#max = max;
    this.#edges = request.heat?.edges;
  }

  /** Takes a profile of the line `group`; a heat map keeps one for each of its cells. */
  offer(group: readonly Label[], one: Candidate): void {
    const step = stepAt(this.#steps, one.timestampMs);
    if (step < 0) return;
    const bucket = this.#edges === undefined ? undefined : bucketOf(this.#edges, one.value);
    const key = `${step}/${bucket}/${labelsKey(group)}`;
    const best = this.#best.get(key)?.one;
    if (best === undefined || isBetter(one, best)) {
      this.#best.set(key, { group, step, bucket, one });
    }
  }

  /** Looks them up. */
  async finish(): Promise<PartExemplar[]> {
    const largest = [...this.#best.values()].sort((a, b) => (isBetter(a.one, b.one) ? -1 : 1));
    const found: PartExemplar[] = [];
    for (const { group, step, bucket, one } of largest.slice(0, this.#max)) {
      const push = await one.read();
      if (push === undefined) continue;
      const { timestampMs, value, dictionary, series, spanId, traceId } = one;
      const labels = dictionary
        .seriesRow(series)
        .labels.filter(([name]) => !this.#groupBy.has(name));
      const profileId = shownProfileId(push);
      const exemplar = { timestampMs, profileId, value, labels, spanId, traceId };
      found.push({ group, step, bucket, exemplar });
    }
    return found;
  }
}
