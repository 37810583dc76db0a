import { sortedTexts } from '../../base/text-order.ts';
import type { Label } from '../../profile/labels.ts';
import { formatProfileType } from '../../profile/profile-type.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import { projectRow } from '../labels/merge.ts';

/** Grouped labels of the series of dictionaries, made once each. */
export class Groups {
  readonly #groupBy: readonly string[];
  readonly #labels = new Map<Dictionary, Map<number, readonly Label[]>>();

  constructor(groupBy: readonly string[]) {
    this.#groupBy = sortedTexts(groupBy);
  }

  /** The labels of one series. */
  of(dictionary: Dictionary, series: number): readonly Label[] {
    let known = this.#labels.get(dictionary);
    if (known === undefined) this.#labels.set(dictionary, (known = new Map()));
    let labels = known.get(series);
    if (labels === undefined) {
      const { labels: all, type } = dictionary.seriesRow(series);
      labels = projectRow({ labels: all, type: formatProfileType(type) }, this.#groupBy);
      known.set(series, labels);
    }
    return labels;
  }
}
