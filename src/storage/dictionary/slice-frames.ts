import type { TableLengths } from './lengths.ts';
import { FRAME_DAMAGED, FRAME_INLINED, NO_FUNCTION, type FrameColumns } from './rows.ts';
import { countWhere, spread, type ColumnReader, type ColumnWriter } from './slice-columns.ts';

// Flags of a frame in a slice: bits 0 and 1 as in memory, then which columns have the row.
const HAS_FUNCTION = 4;
const HAS_COLUMN = 8;
/** The mapping is not that of the row before (of the first row: not none). */
const HAS_MAPPING = 16;
const FLAGS_KNOWN = FRAME_INLINED | FRAME_DAMAGED | HAS_FUNCTION | HAS_COLUMN | HAS_MAPPING;

/** Writes the frames of a slice: a byte of flags each, then only the columns that a row needs. */
export function writeFrames(out: ColumnWriter, frames: FrameColumns): void {
  const flags = sliceFlags(frames);
  out.raw(flags);
  out.deltasWhere(frames.fn, flags, HAS_FUNCTION, HAS_FUNCTION);
  out.plainWhere(frames.line, flags, HAS_FUNCTION, HAS_FUNCTION);
  out.plainWhere(frames.column, flags, HAS_COLUMN, HAS_COLUMN);
  out.deltasWhere(frames.mappingFile, flags, HAS_MAPPING, HAS_MAPPING);
  out.deltasWhere(frames.buildId, flags, HAS_MAPPING, HAS_MAPPING);
  out.deltasWhere(frames.addressLow, flags, HAS_FUNCTION, 0);
  out.deltasWhere(frames.addressHigh, flags, HAS_FUNCTION, 0);
}

/** Reads what {@link writeFrames} wrote. */
export function readFrames(input: ColumnReader, count: number, to: TableLengths): FrameColumns {
  const flags = Uint8Array.from(input.raw(count));
  for (const flag of flags) {
    const hasFunction = (flag & HAS_FUNCTION) !== 0;
    if ((flag & ~FLAGS_KNOWN) !== 0) input.fail(`frame flags ${flag}`);
    if (hasFunction ? (flag & FRAME_DAMAGED) !== 0 : (flag & (HAS_COLUMN | FRAME_INLINED)) !== 0) {
      input.fail(`frame flags ${flag}`);
    }
  }
  const symbolised = countWhere(flags, HAS_FUNCTION, HAS_FUNCTION);
  const columns = countWhere(flags, HAS_COLUMN, HAS_COLUMN);
  const mappings = countWhere(flags, HAS_MAPPING, HAS_MAPPING);
  const fn = input.deltas(symbolised, to.functions);
  const line = input.plain(symbolised);
  const column = input.plain(columns);
  const mappingFile = input.deltas(mappings, to.strings);
  const buildId = input.deltas(mappings, to.strings);
  const addressLow = input.deltas(count - symbolised);
  const addressHigh = input.deltas(count - symbolised);
  return {
    fn: spread(fn, flags, HAS_FUNCTION, HAS_FUNCTION, NO_FUNCTION),
    line: spread(line, flags, HAS_FUNCTION, HAS_FUNCTION, 0),
    column: spread(column, flags, HAS_COLUMN, HAS_COLUMN, 0),
    mappingFile: carry(mappingFile, flags),
    buildId: carry(buildId, flags),
    addressLow: spread(addressLow, flags, HAS_FUNCTION, 0, 0),
    addressHigh: spread(addressHigh, flags, HAS_FUNCTION, 0, 0),
    flags: flags.map((flag) => flag & (FRAME_INLINED | FRAME_DAMAGED)),
  };
}

function sliceFlags(frames: FrameColumns): Uint8Array {
  const { fn, column, mappingFile, buildId } = frames;
  let fileBefore = 0;
  let buildIdBefore = 0;
  return frames.flags.map((kept, i) => {
    const changed = mappingFile[i] !== fileBefore || buildId[i] !== buildIdBefore;
    fileBefore = mappingFile[i] as number;
    buildIdBefore = buildId[i] as number;
    return (
      kept |
      (fn[i] === NO_FUNCTION ? 0 : HAS_FUNCTION) |
      (column[i] === 0 ? 0 : HAS_COLUMN) |
      (changed ? HAS_MAPPING : 0)
    );
  });
}

/** Spreads a column of the changes of the mapping: rows between them repeat. */
function carry(changes: Uint32Array, flags: Uint8Array): Uint32Array {
  const all = new Uint32Array(flags.length);
  let next = 0;
  let value = 0;
  for (let i = 0; i < flags.length; i++) {
    if (((flags[i] as number) & HAS_MAPPING) !== 0) value = changes[next++] as number;
    all[i] = value;
  }
  return all;
}
