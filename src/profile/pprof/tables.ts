import { NO_MAPPING } from '../columns.ts';
import { TAG } from './fields.ts';
import type { IdTable } from './ids.ts';
import type { PprofScan } from './scan.ts';
import type { PprofScratch } from './scratch.ts';
import { type Cursor, failProfile, formatVarint } from './wire.ts';

/*
 * The second pass over the tables. All walkers have one shape, written out because a callback per
 * field costs more than the field: read a tag; skip what is not wanted; read a size; decode up to
 * its end. The scan has checked every bound.
 */

/** Strings as ranges of the payload; longer ones than `bytesKept` are cut between characters. */
export function readStrings(
  bytes: Uint8Array,
  scan: PprofScan,
  scratch: PprofScratch,
  cursor: Cursor,
  bytesKept: number,
): void {
  const starts = scratch.stringStart;
  const ends = scratch.stringEnd;
  const to = scan.stringsTo;
  let at = scan.stringsFrom;
  let row = 0;
  while (at < to) {
    let tag = bytes[at++] as number;
    if (tag >= 0x80) {
      tag = cursor.number(bytes, at - 1);
      at = cursor.at;
    }
    if (tag !== TAG.profileString) {
      at = cursor.skip(bytes, tag, at);
      continue;
    }
    let size = bytes[at++] as number;
    if (size >= 0x80) {
      size = cursor.number(bytes, at - 1);
      at = cursor.at;
    }
    starts[row] = at;
    ends[row++] = size <= bytesKept ? at + size : cutText(bytes, at, at + bytesKept);
    at += size;
  }
  if (row === 0 || ends[0] !== starts[0]) failProfile('string_table[0] must be ""');
}

/** The last boundary of a UTF-8 character in `(start, end]`. */
export function cutText(bytes: Uint8Array, start: number, end: number): number {
  let cut = end;
  // At most three continuation bytes belong to a character; more is no UTF-8 and is cut as it is.
  while (cut > start && cut > end - 4 && ((bytes[cut] as number) & 0xc0) === 0x80) cut--;
  return ((bytes[cut] as number) & 0xc0) === 0x80 ? end : cut;
}

/** Files and build ids of mappings. */
export function readMappings(
  bytes: Uint8Array,
  scan: PprofScan,
  scratch: PprofScratch,
  cursor: Cursor,
  ids: IdTable,
): void {
  const strings = scan.strings;
  const to = scan.mappingsTo;
  let at = scan.mappingsFrom;
  let row = 0;
  ids.reset(scan.mappings);
  while (at < to) {
    let tag = cursor.number(bytes, at);
    at = cursor.at;
    if (tag !== TAG.profileMapping) {
      at = cursor.skip(bytes, tag, at);
      continue;
    }
    const size = cursor.number(bytes, at);
    at = cursor.at;
    const end = at + size;
    let idLow = 0;
    let idHigh = 0;
    let file = 0;
    let buildId = 0;
    while (at < end) {
      tag = cursor.number(bytes, at);
      at = cursor.at;
      if (tag === TAG.mappingId) {
        cursor.read(bytes, at);
        idLow = cursor.lo;
        idHigh = cursor.hi;
      } else if (tag === TAG.mappingFile) {
        file = cursor.number(bytes, at);
        if (file < 0 || file >= strings) failString(bytes, at, strings, 'mapping', row, 'filename');
      } else if (tag === TAG.mappingBuildId) {
        buildId = cursor.number(bytes, at);
        if (buildId < 0 || buildId >= strings) {
          failString(bytes, at, strings, 'mapping', row, 'build_id');
        }
      } else {
        at = cursor.skip(bytes, tag, at);
        continue;
      }
      at = cursor.at;
    }
    if (idLow === 0 && idHigh === 0) failProfile(`mapping ${row}: id 0`);
    ids.push(idLow, idHigh);
    scratch.mappingFile[row] = file;
    scratch.mappingBuildId[row++] = buildId;
  }
  const double = ids.index();
  if (double >= 0) failProfile(`duplicate mapping id, mapping ${double}`);
}

/** Names, files and lines of functions. */
export function readFunctions(
  bytes: Uint8Array,
  scan: PprofScan,
  scratch: PprofScratch,
  cursor: Cursor,
  ids: IdTable,
): void {
  const names = scratch.functionName;
  const systemNames = scratch.functionSystemName;
  const files = scratch.functionFile;
  const startLines = scratch.functionStartLine;
  const strings = scan.strings;
  const to = scan.functionsTo;
  let at = scan.functionsFrom;
  let row = 0;
  ids.reset(scan.functions);
  while (at < to) {
    let tag = bytes[at++] as number;
    if (tag >= 0x80) {
      tag = cursor.number(bytes, at - 1);
      at = cursor.at;
    }
    if (tag !== TAG.profileFunction) {
      at = cursor.skip(bytes, tag, at);
      continue;
    }
    let size = bytes[at++] as number;
    if (size >= 0x80) {
      size = cursor.number(bytes, at - 1);
      at = cursor.at;
    }
    const end = at + size;
    let idLow = 0;
    let idHigh = 0;
    let name = 0;
    let systemName = 0;
    let file = 0;
    let startLine = 0;
    while (at < end) {
      tag = bytes[at++] as number;
      if (tag >= 0x80) {
        tag = cursor.number(bytes, at - 1);
        at = cursor.at;
      }
      // One varint, its two short forms in place; `valueAt` finds it again for messages.
      const valueAt = at;
      let value = bytes[at++] as number;
      if (value >= 0x80) {
        const second = bytes[at++] as number;
        if (second < 0x80) {
          value = (value & 0x7f) | (second << 7);
        } else {
          value = cursor.number(bytes, valueAt);
          at = cursor.at;
        }
      }
      switch (tag) {
        case TAG.functionId:
          if (value >= 0 && value <= 0xffff_ffff) {
            idLow = value;
            idHigh = 0;
          } else {
            idLow = cursor.lo;
            idHigh = cursor.hi;
          }
          break;
        case TAG.functionName:
          if (value < 0 || value >= strings) {
            failString(bytes, valueAt, strings, 'function', row, 'name');
          }
          name = value;
          break;
        case TAG.functionSystemName:
          if (value < 0 || value >= strings) {
            failString(bytes, valueAt, strings, 'function', row, 'system_name');
          }
          systemName = value;
          break;
        case TAG.functionFile:
          if (value < 0 || value >= strings) {
            failString(bytes, valueAt, strings, 'function', row, 'filename');
          }
          file = value;
          break;
        case TAG.functionStartLine:
          startLine = value;
          break;
        default:
          at = cursor.skip(bytes, tag, valueAt);
      }
    }
    if (idLow === 0 && idHigh === 0) failProfile(`function ${row}: id 0`);
    ids.push(idLow, idHigh);
    names[row] = name;
    systemNames[row] = systemName;
    files[row] = file;
    startLines[row++] = startLine;
  }
  const double = ids.index();
  if (double >= 0) failProfile(`duplicate function id, function ${double}`);
}

/** Locations and their lines, with mappings and functions resolved to rows. */
export function readLocations(
  bytes: Uint8Array,
  scan: PprofScan,
  scratch: PprofScratch,
  cursor: Cursor,
  ids: IdTable,
  mappingIds: IdTable,
  functionIds: IdTable,
): void {
  const mappings = scratch.locationMapping;
  const addressLows = scratch.locationAddressLow;
  const addressHighs = scratch.locationAddressHigh;
  const lineStarts = scratch.locationLineStart;
  const lineFunctions = scratch.lineFunction;
  const lineNumbers = scratch.lineNumber;
  const lineColumns = scratch.lineColumn;
  const to = scan.locationsTo;
  let at = scan.locationsFrom;
  let row = 0;
  let line = 0;
  ids.reset(scan.locations);
  while (at < to) {
    let tag = bytes[at++] as number;
    if (tag >= 0x80) {
      tag = cursor.number(bytes, at - 1);
      at = cursor.at;
    }
    if (tag !== TAG.profileLocation) {
      at = cursor.skip(bytes, tag, at);
      continue;
    }
    let size = bytes[at++] as number;
    if (size >= 0x80) {
      size = cursor.number(bytes, at - 1);
      at = cursor.at;
    }
    const end = at + size;
    let idLow = 0;
    let idHigh = 0;
    let mapping = NO_MAPPING;
    let addressLow = 0;
    let addressHigh = 0;
    lineStarts[row] = line;
    while (at < end) {
      tag = bytes[at++] as number;
      if (tag >= 0x80) {
        tag = cursor.number(bytes, at - 1);
        at = cursor.at;
      }
      switch (tag) {
        case TAG.locationId:
          cursor.read(bytes, at);
          idLow = cursor.lo;
          idHigh = cursor.hi;
          at = cursor.at;
          break;
        case TAG.locationMapping:
          cursor.read(bytes, at);
          if (cursor.lo === 0 && cursor.hi === 0) {
            mapping = NO_MAPPING;
          } else {
            mapping = mappingIds.find(cursor.lo, cursor.hi);
            if (mapping < 0) {
              failProfile(`location ${row}: unknown mapping ${formatVarint(bytes, at, false)}`);
            }
          }
          at = cursor.at;
          break;
        case TAG.locationAddress:
          cursor.read(bytes, at);
          addressLow = cursor.lo;
          addressHigh = cursor.hi;
          at = cursor.at;
          break;
        case TAG.locationLine: {
          let lineSize = bytes[at++] as number;
          if (lineSize >= 0x80) {
            lineSize = cursor.number(bytes, at - 1);
            at = cursor.at;
          }
          const lineEnd = at + lineSize;
          let functionRow = -1;
          let number = 0;
          let column = 0;
          while (at < lineEnd) {
            tag = bytes[at++] as number;
            if (tag >= 0x80) {
              tag = cursor.number(bytes, at - 1);
              at = cursor.at;
            }
            const valueAt = at;
            let value = bytes[at++] as number;
            if (value >= 0x80) {
              const second = bytes[at++] as number;
              if (second < 0x80) {
                value = (value & 0x7f) | (second << 7);
              } else {
                value = cursor.number(bytes, valueAt);
                at = cursor.at;
              }
            }
            if (tag === TAG.lineFunction) {
              functionRow =
                value >= 0 && value <= 0xffff_ffff
                  ? functionIds.find(value, 0)
                  : functionIds.find(cursor.lo, cursor.hi);
              if (functionRow < 0) {
                const id = formatVarint(bytes, valueAt, false);
                failProfile(`location ${row}: unknown function ${id}`);
              }
            } else if (tag === TAG.lineLine) {
              number = value;
            } else if (tag === TAG.lineColumn) {
              column = value;
            } else {
              at = cursor.skip(bytes, tag, valueAt);
            }
          }
          if (functionRow < 0) failProfile(`location ${row}: function id 0`);
          lineFunctions[line] = functionRow;
          lineNumbers[line] = number;
          lineColumns[line++] = column;
          break;
        }
        default:
          at = cursor.skip(bytes, tag, at);
      }
    }
    if (idLow === 0 && idHigh === 0) failProfile(`location ${row}: id 0`);
    ids.push(idLow, idHigh);
    mappings[row] = mapping;
    addressLows[row] = addressLow;
    addressHighs[row++] = addressHigh;
  }
  lineStarts[row] = line;
  const double = ids.index();
  if (double >= 0) failProfile(`duplicate location id, location ${double}`);
}

/** Throws for the string index whose varint lies at `at`. */
export function failString(
  bytes: Uint8Array,
  at: number,
  strings: number,
  message: string,
  row: number,
  field: string,
): never {
  failProfile(
    `${message} ${row}: ${field}: string index ${formatVarint(bytes, at, true)} out of range (table ${strings})`,
  );
}
