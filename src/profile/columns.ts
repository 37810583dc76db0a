/**
 * One decoded profile as columns: no object per sample. Readers of all formats (pprof, folded, …)
 * give this shape; everything behind them knows no format.
 *
 * Rows refer to other tables by *index* (dense from 0), never by the ids of the file. A CSR column
 * pair `xStart` has count + 1 rows: the items of row i are `[xStart[i], xStart[i + 1])`.
 *
 * Arrays may be longer than the count (scratch that is used again): only `[0, count)` means
 * something. Everything is valid until the same reader decodes its next profile.
 */
export interface ProfileColumns {
  /** The decompressed bytes that strings point into. */
  readonly bytes: Uint8Array;

  /** String i is the UTF-8 in `bytes[stringStart[i], stringEnd[i])`. String 0 is empty. */
  readonly stringCount: number;
  readonly stringStart: Uint32Array;
  readonly stringEnd: Uint32Array;

  /** What each value column measures; at least one. */
  readonly sampleTypes: readonly ValueType[];
  /** Unit of `period`, or empty texts. */
  readonly periodType: ValueType;
  /** Events between samples; 0 = unknown. */
  readonly period: bigint;
  /** Unix nanoseconds of the start; 0n = unknown. */
  readonly timeNanos: bigint;
  readonly durationNanos: bigint;

  readonly functionCount: number;
  /** String indices. */
  readonly functionName: Uint32Array;
  readonly functionSystemName: Uint32Array;
  readonly functionFile: Uint32Array;
  readonly functionStartLine: Float64Array;

  readonly mappingCount: number;
  /** String indices. */
  readonly mappingFile: Uint32Array;
  readonly mappingBuildId: Uint32Array;

  readonly locationCount: number;
  /** Mapping index, or NO_MAPPING. */
  readonly locationMapping: Int32Array;
  /** Address, low and high 32 bits. */
  readonly locationAddressLow: Uint32Array;
  readonly locationAddressHigh: Uint32Array;
  /** CSR into lines; several lines = inlining, the last is the outermost caller. */
  readonly locationLineStart: Uint32Array;
  /** Function index of each line. */
  readonly lineFunction: Uint32Array;
  /** 1-based line, 0 = unknown. */
  readonly lineNumber: Float64Array;
  readonly lineColumn: Float64Array;

  readonly sampleCount: number;
  /** CSR into `sampleLocations`. */
  readonly sampleLocationStart: Uint32Array;
  /** Location indices, leaf first. */
  readonly sampleLocations: Uint32Array;
  /**
   * Values by type, then by sample: value of type t of sample s is `values[t * sampleCount + s]`.
   * Exact where `wideValues` is undefined.
   */
  readonly values: Float64Array;
  /** The same in full width; there only if some value lies beyond ±(2^53 - 1). */
  readonly wideValues: BigInt64Array | undefined;

  /** CSR into the sample labels. */
  readonly sampleLabelStart: Uint32Array;
  /** String indices. */
  readonly labelKey: Uint32Array;
  /** String index of the value; 0 = the label is a number (which is not kept). */
  readonly labelText: Uint32Array;
}

/** A pair (type, unit) of a value column or of the period. */
export interface ValueType {
  readonly type: string;
  readonly unit: string;
}

/** In `locationMapping`: the location has no mapping. */
export const NO_MAPPING = -1;

/** Text of string `index`; invalid UTF-8 becomes U+FFFD. */
export function stringAt(columns: ProfileColumns, index: number): string {
  const start = columns.stringStart[index] ?? 0;
  const end = columns.stringEnd[index] ?? 0;
  return Buffer.from(
    columns.bytes.buffer,
    columns.bytes.byteOffset + start,
    Math.max(0, end - start),
  ).toString('utf8');
}
