/** Whether `a` stands for a point rather than `b`: the larger value, then the earlier time. */
export function isBetter(
  a: { readonly value: bigint; readonly timestampMs: number },
  b: { readonly value: bigint; readonly timestampMs: number },
): boolean {
  return a.value === b.value ? a.timestampMs < b.timestampMs : a.value > b.value;
}
