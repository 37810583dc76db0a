/** Tells where an answer differs from the reference. */

/** What an answer says of its own exactness. */
export interface ExactNotes {
  readonly wholeMinutes: number;
  readonly damagedStacks: number;
  readonly saturated: boolean;
}

/** Throws unless both have the same stacks with the same values, and the answer says it is exact. */
export function sameStacks(
  what: string,
  actual: ReadonlyMap<string, bigint>,
  expected: ReadonlyMap<string, bigint>,
  notes: ExactNotes,
): void {
  const lines = (stacks: ReadonlyMap<string, bigint>): string[] =>
    [...stacks].map(([stack, value]) => `${value} ${stack}`).sort();
  same(what, lines(actual), lines(expected));
  const inexact = notes.wholeMinutes > 0 || notes.damagedStacks > 0 || notes.saturated;
  if (inexact) differs(`${what}: notes`, notes, 'an exact answer');
}

/** Throws unless both have the same rows, each once; in any order. */
export function same(what: string, actual: readonly string[], expected: readonly string[]): void {
  const missing = expected.filter((row) => !actual.includes(row));
  const extra = actual.filter((row) => !expected.includes(row));
  if (missing.length === 0 && extra.length === 0 && actual.length === expected.length) return;
  differs(what, { missing, extra, size: actual.length }, `${expected.length} rows`);
}

/** Throws, with what was asked, expected and found. */
export function differs(what: string, actual: unknown, expected: unknown): never {
  throw new Error(`${what}\nexpected ${show(expected)}\nfound ${show(actual)}`);
}

function show(value: unknown): string {
  return JSON.stringify(
    value,
    (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item),
    1,
  ).slice(0, 3_000);
}
