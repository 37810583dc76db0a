/**
 * The median of numbers and its confidence interval of 95 %, by their order alone: nothing is assumed of how
 * they are spread.
 */
export function medianWithInterval(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const count = sorted.length;
  const reach = 0.98 * Math.sqrt(count);
  const at = (rank) => sorted[Math.min(count - 1, Math.max(0, rank))];
  return {
    median: at(Math.floor(count / 2)),
    low: at(Math.floor(count / 2 - reach)),
    high: at(Math.ceil(count / 2 + reach)),
  };
}
