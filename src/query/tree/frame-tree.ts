import type { FrameColumns, FunctionColumns } from '../../storage/dictionary/rows.ts';
import type { Lanes } from './lanes.ts';

/**
 * A merged call tree by full frames, with its own tables: what a pprof answer is made of. Columns,
 * child index > parent index, no frame twice under one parent; node 0 is the root with parent -1.
 * The typed arrays may be transferred to another thread.
 */
export interface FrameTree {
  /** String 0 is empty; no text twice. */
  readonly strings: readonly string[];
  /** String indices in `name`, `systemName`, `file`; no row twice. */
  readonly functions: FunctionColumns;
  /** Function indices (or NO_FUNCTION) in `fn`, string indices in `mappingFile`, `buildId`. */
  readonly frames: FrameColumns;
  readonly parent: Int32Array;
  /** Frame index; means nothing at the root. */
  readonly frame: Uint32Array;
  /** Value of the samples that end in the node. */
  readonly self: Lanes;
}
