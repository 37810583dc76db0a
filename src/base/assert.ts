/**
 * Throws when a programming rule is broken. Never used for bad input or failing I/O: those are
 * `TephraError`s (see errors.ts). An assertion that fires is a bug in Tephra.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** A broken invariant: a bug, never an operating condition. Answered as `internal` at the edge. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Marks the branch that an exhaustive `switch` cannot reach. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
