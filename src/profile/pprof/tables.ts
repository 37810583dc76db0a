import { FIELD, KNOWN } from './fields.ts';
import type { IdTable } from './ids.ts';
import type { PprofScan } from './scan.ts';
import type { PprofScratch } from './scratch.ts';
import { type Cursor, failProfile, failString } from './wire.ts';

/*
 * Strings, mappings and functions. The walkers of this folder have one shape. A row is first read
 * as nearly all writers write it, fields ascending and each at most once: straight through, without
 * a choice per field and without asking where it ends. If that did not come out exactly at the end,
 * or any value is not plain, the row is read again field by field with every check; that way throws
 * the errors, too.
 */

const MAPPING_TAG = 0x1a;
const FUNCTION_TAG = 0x2a;
const STRING_TAG = 0x32;

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
  const to = scan.to[FIELD.string] as number;
  let at = scan.from[FIELD.string] as number;
  let row = 0;
  while (at < to) {
    let tag = bytes[at++] as number;
    if (tag >= 0x80) {
      tag = cursor.tag(bytes, at - 1, to);
      at = cursor.at;
    }
    if ((tag & 7) !== 2) {
      at = cursor.behind(bytes, tag, at, to);
      continue;
    }
    let size = bytes[at++] as number;
    if (size >= 0x80) {
      size = cursor.fastInt(bytes, at - 1);
      at = cursor.at;
    }
    if (tag !== STRING_TAG) {
      at += size;
      continue;
    }
    starts[row] = at;
    ends[row++] = size <= bytesKept ? at + size : cutText(bytes, at, at + bytesKept);
    at += size;
  }
  if (row === 0 || ends[0] !== starts[0]) failProfile('string_table[0] must be ""');
}

/** The last boundary of a UTF-8 character in `(start, end]`; text that is no UTF-8 is cut at `end`. */
export function cutText(bytes: Uint8Array, start: number, end: number): number {
  let cut = end;
  while (cut > start && cut > end - 3 && ((bytes[cut] as number) & 0xc0) === 0x80) cut--;
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
  const strings = scan.rows[FIELD.string] as number;
  const to = scan.to[FIELD.mapping] as number;
  let at = scan.from[FIELD.mapping] as number;
  let row = 0;
  ids.begin(scan.rows[FIELD.mapping] as number);
  while (at < to) {
    let tag = bytes[at++] as number;
    if (tag >= 0x80) {
      tag = cursor.tag(bytes, at - 1, to);
      at = cursor.at;
    }
    if ((tag & 7) !== 2) {
      at = cursor.behind(bytes, tag, at, to);
      continue;
    }
    let size = bytes[at++] as number;
    if (size >= 0x80) {
      size = cursor.fastInt(bytes, at - 1);
      at = cursor.at;
    }
    if (tag !== MAPPING_TAG) {
      at += size;
      continue;
    }
    const end = at + size;
    let next = at;
    let id = 0;
    let file = 0;
    let buildId = 0;
    while (next < end) {
      tag = bytes[next++] as number;
      if ((tag & 0x87) !== 0 || tag === 0 || tag > 0x50) break;
      const valueAt = next;
      let value = bytes[next++] as number;
      if (value >= 0x80) {
        // Start, limit and offset are long and not kept: only their end matters.
        while ((bytes[next++] as number) >= 0x80);
        if (next - valueAt > 10) break;
        if (tag === 0x08 || tag === 0x28 || tag === 0x30) value = cursor.fastInt(bytes, valueAt);
      }
      if (tag === 0x08) id = value;
      else if (tag === 0x28) file = value;
      else if (tag === 0x30) buildId = value;
    }
    if (next === end && id > 0 && file >>> 0 < strings && buildId >>> 0 < strings) {
      ids.push(row, id, 0);
      scratch.mappingFile[row] = file;
      scratch.mappingBuildId[row] = buildId;
    } else {
      readMapping(bytes, at, end, strings, scratch, cursor, ids, row);
    }
    row++;
    at = end;
  }
  const double = ids.index();
  if (double >= 0) failProfile(`mapping ${double}: duplicate mapping id`);
}

/** One mapping, field by field. */
function readMapping(
  bytes: Uint8Array,
  start: number,
  end: number,
  strings: number,
  scratch: PprofScratch,
  cursor: Cursor,
  ids: IdTable,
  row: number,
): void {
  let idLow = 0;
  let idHigh = 0;
  let file = 0;
  let buildId = 0;
  let at = start;
  while (at < end) {
    const tag = cursor.tag(bytes, at, end);
    at = cursor.at;
    const field = tag >>> 3;
    if ((tag & 7) !== 0 || field === 0 || field > 10) {
      at = cursor.skip(bytes, tag, at, end, KNOWN.mapping);
      continue;
    }
    const value = cursor.int(bytes, at, end);
    if (field === 1) {
      idLow = cursor.lo;
      idHigh = cursor.hi;
    } else if (field === 5 || field === 6) {
      if (value < 0 || value >= strings) {
        failString(bytes, at, strings, `mapping ${row}: ${field === 5 ? 'filename' : 'build_id'}`);
      }
      if (field === 5) file = value;
      else buildId = value;
    }
    at = cursor.at;
  }
  if (idLow === 0 && idHigh === 0) failProfile(`mapping ${row}: id 0`);
  ids.push(row, idLow, idHigh);
  scratch.mappingFile[row] = file;
  scratch.mappingBuildId[row] = buildId;
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
  const strings = scan.rows[FIELD.string] as number;
  const to = scan.to[FIELD.function] as number;
  let at = scan.from[FIELD.function] as number;
  let row = 0;
  ids.begin(scan.rows[FIELD.function] as number);
  while (at < to) {
    let tag = bytes[at++] as number;
    if (tag >= 0x80) {
      tag = cursor.tag(bytes, at - 1, to);
      at = cursor.at;
    }
    if ((tag & 7) !== 2) {
      at = cursor.behind(bytes, tag, at, to);
      continue;
    }
    let size = bytes[at++] as number;
    if (size >= 0x80) {
      size = cursor.fastInt(bytes, at - 1);
      at = cursor.at;
    }
    // Go sends locations, functions and samples as it meets them: tables lie among one another.
    if (tag !== FUNCTION_TAG) {
      at += size;
      continue;
    }
    const end = at + size;
    let next = at;
    let id = 0;
    let name = 0;
    let systemName = 0;
    let file = 0;
    let startLine = 0;
    if (bytes[next] === 0x08) {
      id = bytes[next + 1] as number;
      next += 2;
      if (id >= 0x80) {
        id = cursor.fastInt(bytes, next - 1);
        next = cursor.at;
      }
    }
    if (bytes[next] === 0x10) {
      name = bytes[next + 1] as number;
      next += 2;
      if (name >= 0x80) {
        name = cursor.fastInt(bytes, next - 1);
        next = cursor.at;
      }
    }
    if (bytes[next] === 0x18) {
      systemName = bytes[next + 1] as number;
      next += 2;
      if (systemName >= 0x80) {
        systemName = cursor.fastInt(bytes, next - 1);
        next = cursor.at;
      }
    }
    if (bytes[next] === 0x20) {
      file = bytes[next + 1] as number;
      next += 2;
      if (file >= 0x80) {
        file = cursor.fastInt(bytes, next - 1);
        next = cursor.at;
      }
    }
    if (bytes[next] === 0x28) {
      startLine = bytes[next + 1] as number;
      next += 2;
      if (startLine >= 0x80) {
        startLine = cursor.fastInt(bytes, next - 1);
        next = cursor.at;
      }
    }
    // As unsigned numbers, -1 (not below 2^31) is beyond every table.
    if (
      next === end &&
      id > 0 &&
      name >>> 0 < strings &&
      systemName >>> 0 < strings &&
      file >>> 0 < strings &&
      startLine >= 0
    ) {
      ids.push(row, id, 0);
      names[row] = name;
      systemNames[row] = systemName;
      files[row] = file;
      startLines[row] = startLine;
    } else {
      readFunction(bytes, at, end, strings, scratch, cursor, ids, row);
    }
    row++;
    at = end;
  }
  const double = ids.index();
  if (double >= 0) failProfile(`function ${double}: duplicate function id`);
}

/** One function, field by field. */
function readFunction(
  bytes: Uint8Array,
  start: number,
  end: number,
  strings: number,
  scratch: PprofScratch,
  cursor: Cursor,
  ids: IdTable,
  row: number,
): void {
  let idLow = 0;
  let idHigh = 0;
  const texts = [0, 0, 0];
  let startLine = 0;
  let at = start;
  while (at < end) {
    const tag = cursor.tag(bytes, at, end);
    at = cursor.at;
    const field = tag >>> 3;
    if ((tag & 7) !== 0 || field === 0 || field > 5) {
      at = cursor.skip(bytes, tag, at, end, KNOWN.function);
      continue;
    }
    const value = cursor.int(bytes, at, end);
    if (field === 1) {
      idLow = cursor.lo;
      idHigh = cursor.hi;
    } else if (field === 5) {
      startLine = cursor.signed();
    } else {
      if (value < 0 || value >= strings) {
        failString(bytes, at, strings, `function ${row}: ${TEXT_FIELDS[field - 2]}`);
      }
      texts[field - 2] = value;
    }
    at = cursor.at;
  }
  if (idLow === 0 && idHigh === 0) failProfile(`function ${row}: id 0`);
  ids.push(row, idLow, idHigh);
  scratch.functionName[row] = texts[0] as number;
  scratch.functionSystemName[row] = texts[1] as number;
  scratch.functionFile[row] = texts[2] as number;
  scratch.functionStartLine[row] = startLine;
}

const TEXT_FIELDS = ['name', 'system_name', 'filename'];
