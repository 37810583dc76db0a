import { concatBytes } from '../../base/bytes.ts';
import type { TableLengths } from './lengths.ts';
import type { Rows } from './rows.ts';
import { decodeRows, encodeRows } from './slice.ts';

/** Rows [from, to) as they are stored. */
interface StoredSlice {
  readonly from: TableLengths;
  readonly to: TableLengths;
  readonly slice: Uint8Array;
}

/** Joins slices, each of which begins where the one before ends. Throws `corrupt_block`. */
export function mergeSlices(parts: readonly StoredSlice[]): Uint8Array {
  const all = parts.map((part) => decodeRows(part.slice, part.from, part.to));
  return encodeRows(concatRows(all), parts[0]?.from.nodes ?? 0);
}

function concatRows(all: readonly Rows[]): Rows {
  const u32 = (column: (rows: Rows) => Uint32Array): Uint32Array => concatU32(all.map(column));
  let base = 0;
  const stringEnd = u32((rows) => {
    const shifted = rows.stringEnd.map((end) => end + base);
    base += rows.stringBytes.byteLength;
    return shifted;
  });
  const parents = concatBytes(
    all.map(({ nodeParent: p }) => new Uint8Array(p.buffer, p.byteOffset, p.byteLength)),
  );
  return {
    stringEnd,
    stringBytes: concatBytes(all.map((rows) => rows.stringBytes)),
    functions: {
      name: u32((rows) => rows.functions.name),
      systemName: u32((rows) => rows.functions.systemName),
      file: u32((rows) => rows.functions.file),
      startLine: u32((rows) => rows.functions.startLine),
    },
    frames: {
      fn: u32((rows) => rows.frames.fn),
      line: u32((rows) => rows.frames.line),
      column: u32((rows) => rows.frames.column),
      mappingFile: u32((rows) => rows.frames.mappingFile),
      buildId: u32((rows) => rows.frames.buildId),
      addressLow: u32((rows) => rows.frames.addressLow),
      addressHigh: u32((rows) => rows.frames.addressHigh),
      flags: concatBytes(all.map((rows) => rows.frames.flags)),
    },
    nodeParent: new Int32Array(parents.buffer),
    nodeFrame: u32((rows) => rows.nodeFrame),
    stackNode: u32((rows) => rows.stackNode),
    series: all.flatMap((rows) => rows.series),
  };
}

function concatU32(columns: readonly Uint32Array[]): Uint32Array {
  const joined = new Uint32Array(columns.reduce((sum, column) => sum + column.length, 0));
  let at = 0;
  for (const column of columns) {
    joined.set(column, at);
    at += column.length;
  }
  return joined;
}
