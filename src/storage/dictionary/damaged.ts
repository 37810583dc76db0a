import { utf8 } from '../../base/bytes.ts';
import type { TableLengths } from './lengths.ts';
import {
  DAMAGED_FRAME,
  DAMAGED_NAME,
  DAMAGED_NODE,
  DAMAGED_STRING,
  FRAME_DAMAGED,
  NO_FUNCTION,
  NO_PARENT,
  type Rows,
  type SeriesRow,
} from './rows.ts';

/**
 * Rows that stand for [from, to) where a slice cannot be read, so that the ids behind it stay what
 * they are and no value is lost: texts and functions are called `(damaged)`, stacks end at the
 * damaged node, series have no labels and an empty type unless they are given.
 */
export function damagedRows(
  from: TableLengths,
  to: TableLengths,
  series?: readonly SeriesRow[],
): Rows {
  const column = (table: keyof TableLengths, value = 0): Uint32Array =>
    new Uint32Array(to[table] - from[table]).fill(value);
  const text = utf8(DAMAGED_NAME);
  const stringEnd = column('strings').map((_, i) => (i + 1) * text.byteLength);
  const stringBytes = new Uint8Array(stringEnd.length * text.byteLength);
  for (let at = 0; at < stringBytes.byteLength; at += text.byteLength) stringBytes.set(text, at);
  return {
    stringEnd,
    stringBytes,
    functions: {
      name: column('functions', DAMAGED_STRING),
      systemName: column('functions'),
      file: column('functions'),
      startLine: column('functions'),
    },
    frames: {
      fn: column('frames', NO_FUNCTION),
      line: column('frames'),
      column: column('frames'),
      mappingFile: column('frames'),
      buildId: column('frames'),
      addressLow: column('frames'),
      addressHigh: column('frames'),
      flags: new Uint8Array(to.frames - from.frames).fill(FRAME_DAMAGED),
    },
    nodeParent: new Int32Array(to.nodes - from.nodes).fill(NO_PARENT),
    nodeFrame: column('nodes', DAMAGED_FRAME),
    stackNode: column('stacks', DAMAGED_NODE),
    series:
      series?.length === to.series - from.series
        ? series
        : Array.from({ length: to.series - from.series }, () => ({
            labels: [],
            type: { name: '', type: '', unit: '', periodType: '', periodUnit: '' },
          })),
  };
}
