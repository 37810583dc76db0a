import type { Pause } from './slice.ts';

/** Work that may be interrupted wherever it yields, and its result. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Rows that a sweep takes without a break: about a millisecond at 100 ns each. */
const SWEEP_ROWS = 8_192;

/**
 * Runs `body` over `[from, to)`, `rows` at a time, upwards. The loop over the rows is the body's: it is
 * compiled as if nothing could interrupt it.
 */
export function* sweep(
  from: number,
  to: number,
  body: (from: number, to: number) => void,
  rows = SWEEP_ROWS,
): Steps<void> {
  for (let at = from; at < to; at += rows) {
    body(at, Math.min(to, at + rows));
    yield;
  }
}

/** As {@link sweep}, the last rows first; within its range the body goes down too. */
export function* sweepDown(
  from: number,
  to: number,
  body: (from: number, to: number) => void,
): Steps<void> {
  for (let at = to; at > from; at -= SWEEP_ROWS) {
    body(Math.max(from, at - SWEEP_ROWS), at);
    yield;
  }
}

/** Repeats `body`, which takes up to `rows` rows, until it says that none is left. */
export function* drain(body: (rows: number) => boolean, rows = SWEEP_ROWS): Steps<void> {
  while (body(rows)) yield;
}

/** Items that are sorted without a break. */
const SORTED_AT_ONCE = 1_024;

/** The items in order; equal ones keep theirs. */
export function* sortSteps<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
): Steps<readonly T[]> {
  let runs: (readonly T[])[] = [];
  for (let at = 0; at < items.length; at += SORTED_AT_ONCE) {
    runs.push(items.slice(at, at + SORTED_AT_ONCE).sort(compare));
    yield;
  }
  while (runs.length > 1) {
    const merged: (readonly T[])[] = [];
    for (let i = 0; i < runs.length; i += 2) {
      merged.push(yield* merge(runs[i] as readonly T[], runs[i + 1] ?? [], compare));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

function* merge<T>(
  left: readonly T[],
  right: readonly T[],
  compare: (a: T, b: T) => number,
): Steps<readonly T[]> {
  if (right.length === 0) return left;
  const all: T[] = [];
  let l = 0;
  yield* sweep(0, left.length + right.length, (from, to) => {
    for (let i = from; i < to; i++) {
      const r = i - l;
      const takesLeft =
        r === right.length || (l < left.length && compare(left[l] as T, right[r] as T) <= 0);
      all.push((takesLeft ? left[l++] : right[r]) as T);
    }
  });
  return all;
}

/** Does the work and breathes between its steps. Rejects with what the pause throws. */
export async function inSlices<T>(steps: Steps<T>, pause: Pause): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    const rest = pause.here();
    if (rest !== undefined) await rest;
  }
}

/** Does the work without a break: where there is little of it. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}
