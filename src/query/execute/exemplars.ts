import type { Label } from '../../profile/labels.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import type { PushView } from '../../storage/fragment/decode.ts';
import { labelsKey } from '../labels/label-sets.ts';
import type { SeriesRequest } from '../request.ts';
import { isBetter } from '../series/exemplar-order.ts';
import type { PartExemplar } from '../series/part.ts';
import { type Steps, stepAt, stepsOf } from '../series/steps.ts';
import { shownProfileId } from './profile-id.ts';

/** A profile that may stand for a point. */
export interface Candidate {
  readonly timestampMs: number;
  readonly value: bigint;
  readonly dictionary: Dictionary;
  readonly series: number;
  /** The push, or undefined where it is no longer in the raw tier. */
  readonly read: () => Promise<PushView | undefined>;
}

/** Keeps, for each point of each line, the profile with the largest value. */
export class Exemplars {
  readonly #steps: Steps;
  readonly #groupBy: ReadonlySet<string>;
  readonly #max: number;
  readonly #best = new Map<string, { group: readonly Label[]; step: number; one: Candidate }>();

  /** `max`: how many are looked up, the largest first. */
  constructor(request: SeriesRequest, max: number) {
    this.#steps = stepsOf(request);
    this.#groupBy = new Set(request.groupBy);
    this.#max = max;
  }

  /** Takes a profile of the line `group`. */
  offer(group: readonly Label[], one: Candidate): void {
    const step = stepAt(this.#steps, one.timestampMs);
    if (step < 0) return;
    const key = `${step}/${labelsKey(group)}`;
    const best = this.#best.get(key)?.one;
    if (best === undefined || isBetter(one, best)) this.#best.set(key, { group, step, one });
  }

  /** Looks them up. */
  async finish(): Promise<PartExemplar[]> {
    const largest = [...this.#best.values()].sort((a, b) => (isBetter(a.one, b.one) ? -1 : 1));
    const found: PartExemplar[] = [];
    for (const { group, step, one } of largest.slice(0, this.#max)) {
      const push = await one.read();
      if (push === undefined) continue;
      const { timestampMs, value, dictionary, series } = one;
      const labels = dictionary
        .seriesRow(series)
        .labels.filter(([name]) => !this.#groupBy.has(name));
      const profileId = shownProfileId(push);
      found.push({ group, step, exemplar: { timestampMs, profileId, value, labels } });
    }
    return found;
  }
}
