import type { Lanes } from './lanes.ts';

/**
 * A merged call tree by function names: columns, child index > parent index, no name twice under
 * one parent. Node 0 is the root, named `total`, with parent -1. The typed arrays may be transferred
 * to another thread.
 */
export interface NameTree {
  readonly names: readonly string[];
  readonly parent: Int32Array;
  /** Index into `names`. */
  readonly name: Uint32Array;
  /** Value of the samples that end in the node; one lane only where all of them sum to < 2^53. */
  readonly self: Lanes;
  /** Own value and everything below, where it is known already: saves a sweep. */
  readonly total?: Lanes | undefined;
}

/** The name of every root. */
export const ROOT_NAME = 'total';

/** A tree without samples. */
export function emptyNameTree(): NameTree {
  return {
    names: [ROOT_NAME],
    parent: Int32Array.of(-1),
    name: Uint32Array.of(0),
    self: { lo: new Float64Array(1), hi: undefined },
  };
}

/** A tree of one or two sides (flame graph, diff): columns as in {@link NameTree}. */
export interface SidedTree {
  readonly names: readonly string[];
  readonly parent: Int32Array;
  readonly name: Uint32Array;
  /** Own values, one column a side. */
  readonly sides: readonly Lanes[];
  /** Totals of the sides, where they are known already. */
  readonly totals?: readonly Lanes[] | undefined;
}
