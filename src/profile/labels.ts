/** A label: name and value. */
export type Label = readonly [name: string, value: string];

/** Labels of a series: sorted by name in byte order, no name twice. */
export type LabelSet = readonly Label[];

/** The value of `name`, or undefined. */
export function labelValue(labels: readonly Label[], name: string): string | undefined {
  for (const [candidate, value] of labels) if (candidate === name) return value;
  return undefined;
}
