import type { Label } from '../../profile/labels.ts';
import { compareText } from '../../base/text-order.ts';

/** A key that is equal exactly for equal label lists. */
export function labelsKey(labels: readonly Label[]): string {
  let key = '';
  for (const [name, value] of labels) key += `${name.length}:${name}${value.length}:${value}`;
  return key;
}

/** Order of two label lists: pair by pair, name before value; the shorter first. */
export function compareLabels(a: readonly Label[], b: readonly Label[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const left = a[i] as Label;
    const right = b[i] as Label;
    const order = compareText(left[0], right[0]) || compareText(left[1], right[1]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}
