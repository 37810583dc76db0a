import type { LabelSet } from '../../profile/labels.ts';
import type { ProfileType } from '../../profile/profile-type.ts';

/** In `nodeParent`: the node hangs under the root. */
export const NO_PARENT = -1;
/** In place of a function id: the frame has no symbols. */
export const NO_FUNCTION = 0xffff_ffff;
/** Frame flag: inlined into the frame before it, towards the root. */
export const FRAME_INLINED = 1;
/** Frame flag: stands for a frame that could not be read. */
export const FRAME_DAMAGED = 2;

/** The string `(damaged)`, a row that every dictionary has. */
export const DAMAGED_STRING = 1;
/** The frame of damaged stacks, a row that every dictionary has; never given for a real frame. */
export const DAMAGED_FRAME = 0;
/** The node where damaged stacks end, a row that every dictionary has. */
export const DAMAGED_NODE = 0;
/** What stands in an answer for symbols that could not be read. */
export const DAMAGED_NAME = '(damaged)';
/** What stands in an answer for a frame about which nothing is known. */
export const UNKNOWN_NAME = '(unknown)';

/** A function; ids of strings, and the line where it begins (0 = unknown). */
export interface FunctionRow {
  readonly name: number;
  readonly systemName: number;
  readonly file: number;
  readonly startLine: number;
}

/** A frame: a place in a function, or an address where there are no symbols. */
export interface FrameRow {
  /** Function id or NO_FUNCTION. */
  readonly fn: number;
  /** 1-based, 0 = unknown. */
  readonly line: number;
  readonly column: number;
  /** String ids. */
  readonly mappingFile: number;
  readonly buildId: number;
  /** 0 for frames with a function. */
  readonly addressLow: number;
  readonly addressHigh: number;
  /** FRAME_INLINED, FRAME_DAMAGED. */
  readonly flags: number;
}

/** A series: labels and type. */
export interface SeriesRow {
  readonly labels: LabelSet;
  readonly type: ProfileType;
}

/** Columns of functions. */
export interface FunctionColumns {
  readonly name: Uint32Array;
  readonly systemName: Uint32Array;
  readonly file: Uint32Array;
  readonly startLine: Uint32Array;
}

/** Columns of frames. */
export interface FrameColumns {
  readonly fn: Uint32Array;
  readonly line: Uint32Array;
  readonly column: Uint32Array;
  readonly mappingFile: Uint32Array;
  readonly buildId: Uint32Array;
  readonly addressLow: Uint32Array;
  readonly addressHigh: Uint32Array;
  readonly flags: Uint8Array;
}

/**
 * Consecutive rows of all six tables, as a slice holds them; the ids in them count in the whole
 * dictionary. Arrays are exactly as long as there are rows.
 */
export interface Rows {
  /** String i of these is `stringBytes[stringEnd[i - 1] ?? 0, stringEnd[i])`. */
  readonly stringEnd: Uint32Array;
  readonly stringBytes: Uint8Array;
  readonly functions: FunctionColumns;
  readonly frames: FrameColumns;
  readonly nodeParent: Int32Array;
  readonly nodeFrame: Uint32Array;
  readonly stackNode: Uint32Array;
  readonly series: readonly SeriesRow[];
}
