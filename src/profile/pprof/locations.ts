import { TephraError } from '../../base/errors.ts';
import { NO_MAPPING } from '../columns.ts';
import type { ProfileLimits } from '../limits.ts';
import { FIELD, KNOWN } from './fields.ts';
import type { IdTable } from './ids.ts';
import type { PprofScan } from './scan.ts';
import type { PprofScratch } from './scratch.ts';
import { type Cursor, failProfile, formatVarint } from './wire.ts';

const LOCATION_TAG = 0x22;

/** The tables by which references of a profile are resolved. */
export interface Ids {
  readonly mappings: IdTable;
  readonly functions: IdTable;
  readonly locations: IdTable;
}

/** Reads locations and their lines, with mappings and functions resolved to rows. */
export class LocationReader {
  readonly #limits: ProfileLimits;
  readonly #scratch: PprofScratch;
  readonly #cursor: Cursor;
  readonly #ids: Ids;
  /** Lines read so far. */
  lines = 0;

  constructor(limits: ProfileLimits, scratch: PprofScratch, cursor: Cursor, ids: Ids) {
    this.#limits = limits;
    this.#scratch = scratch;
    this.#cursor = cursor;
    this.#ids = ids;
  }

  /** Reads the whole table; the shape of the loop is told in tables.ts. */
  read(bytes: Uint8Array, scan: PprofScan): void {
    const cursor = this.#cursor;
    const scratch = this.#scratch;
    const ids = this.#ids.locations;
    const mappingIds = this.#ids.mappings;
    const functionIds = this.#ids.functions;
    const mappings = scratch.locationMapping;
    const addressLows = scratch.locationAddressLow;
    const addressHighs = scratch.locationAddressHigh;
    const lineStarts = scratch.locationLineStart;
    const lineFunctions = scratch.lineFunction;
    const lineNumbers = scratch.lineNumber;
    const lineColumns = scratch.lineColumn;
    const linesMax = this.#limits.linesPerLocationMax;
    const to = scan.to[FIELD.location] as number;
    let at = scan.from[FIELD.location] as number;
    let row = 0;
    let line = 0;
    ids.begin(scan.rows[FIELD.location] as number);
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
      if (tag !== LOCATION_TAG) {
        at += size;
        continue;
      }
      const end = at + size;
      lineStarts[row] = line;
      plain: {
        let next = at;
        let id = 0;
        let mapping = NO_MAPPING;
        let addressLow = 0;
        let addressHigh = 0;
        let lineEnd = line;
        if (bytes[next] === 0x08) {
          id = bytes[next + 1] as number;
          next += 2;
          if (id >= 0x80) {
            id = cursor.fastInt(bytes, next - 1);
            next = cursor.at;
          }
        }
        if (bytes[next] === 0x10) {
          const mappingId = bytes[next + 1] as number;
          next += 2;
          if (mappingId > 0x7f) break plain;
          if (mappingId !== 0) {
            mapping = mappingIds.find(mappingId, 0);
            if (mapping < 0) break plain;
          }
        }
        if (bytes[next] === 0x18) {
          cursor.fastRead(bytes, next + 1);
          addressLow = cursor.lo;
          addressHigh = cursor.hi;
          next = cursor.at;
        }
        while (next < end && bytes[next] === 0x22) {
          const lineStop = next + 2 + (bytes[next + 1] as number);
          next += 2;
          let functionId = 0;
          let number = 0;
          let column = 0;
          if (bytes[next] === 0x08) {
            functionId = bytes[next + 1] as number;
            next += 2;
            if (functionId >= 0x80) {
              functionId = cursor.fastInt(bytes, next - 1);
              next = cursor.at;
            }
          }
          // The line may be empty of the rest, and then the next one's tag is no field of it.
          if (next < lineStop && bytes[next] === 0x10) {
            number = bytes[next + 1] as number;
            next += 2;
            if (number >= 0x80) {
              number = cursor.fastInt(bytes, next - 1);
              next = cursor.at;
            }
          }
          if (next < lineStop && bytes[next] === 0x18) {
            column = bytes[next + 1] as number;
            next += 2;
            if (column >= 0x80) {
              column = cursor.fastInt(bytes, next - 1);
              next = cursor.at;
            }
          }
          if (functionId <= 0) break plain;
          const functionRow = functionIds.find(functionId, 0);
          if (next !== lineStop || functionRow < 0 || number < 0 || column < 0) break plain;
          lineFunctions[lineEnd] = functionRow;
          lineNumbers[lineEnd] = number;
          lineColumns[lineEnd++] = column;
        }
        // Go's runtime sends the mapping last.
        if (next < end && bytes[next] === 0x10) {
          const mappingId = bytes[next + 1] as number;
          next += 2;
          mapping = mappingIds.find(mappingId, 0);
          if (mappingId > 0x7f || mapping < 0) break plain;
        }
        if (next < end && bytes[next] === 0x28 && (bytes[next + 1] as number) < 0x80) next += 2;
        if (next !== end || id <= 0 || lineEnd - line > linesMax) break plain;
        ids.push(row, id, 0);
        mappings[row] = mapping;
        addressLows[row] = addressLow;
        addressHighs[row++] = addressHigh;
        line = lineEnd;
        at = end;
        continue;
      }
      this.#location(bytes, at, end, row, line);
      line = this.lines;
      row++;
      at = end;
    }
    lineStarts[row] = line;
    this.lines = line;
    if (line > this.#limits.linesPerProfileMax) this.#failLines(line);
    const double = ids.index();
    if (double >= 0) failProfile(`location ${double}: duplicate location id`);
  }

  /** One location, field by field; leaves the number of lines in `lines`. */
  #location(bytes: Uint8Array, start: number, end: number, row: number, lineFrom: number): void {
    const cursor = this.#cursor;
    const scratch = this.#scratch;
    let idLow = 0;
    let idHigh = 0;
    let mapping = NO_MAPPING;
    let mappingAt = -1;
    let mappingLow = 0;
    let mappingHigh = 0;
    let addressLow = 0;
    let addressHigh = 0;
    let line = lineFrom;
    let at = start;
    while (at < end) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.at;
      switch (tag) {
        case 0x08:
          cursor.varint(bytes, at, end);
          idLow = cursor.lo;
          idHigh = cursor.hi;
          at = cursor.at;
          break;
        case 0x10:
          cursor.varint(bytes, at, end);
          mappingAt = at;
          mappingLow = cursor.lo;
          mappingHigh = cursor.hi;
          at = cursor.at;
          break;
        case 0x18:
          cursor.varint(bytes, at, end);
          addressLow = cursor.lo;
          addressHigh = cursor.hi;
          at = cursor.at;
          break;
        case 0x22: {
          const next = cursor.span(bytes, at, end);
          this.#line(bytes, cursor.at, next, row, line++);
          at = next;
          break;
        }
        case 0x28:
          cursor.varint(bytes, at, end);
          at = cursor.at;
          break;
        default:
          at = cursor.skip(bytes, tag, at, end, KNOWN.location);
      }
    }
    const linesMax = this.#limits.linesPerLocationMax;
    if (line - lineFrom > linesMax) {
      throw new TephraError(
        'location_lines_limit',
        `location ${row}: ${line - lineFrom} > ${linesMax}`,
      );
    }
    if (line > this.#limits.linesPerProfileMax) this.#failLines(line);
    if (idLow === 0 && idHigh === 0) failProfile(`location ${row}: id 0`);
    if (mappingLow !== 0 || mappingHigh !== 0) {
      mapping = this.#ids.mappings.find(mappingLow, mappingHigh);
      if (mapping < 0) {
        failProfile(`location ${row}: unknown mapping ${formatVarint(bytes, mappingAt, false)}`);
      }
    }
    this.#ids.locations.push(row, idLow, idHigh);
    scratch.locationMapping[row] = mapping;
    scratch.locationAddressLow[row] = addressLow;
    scratch.locationAddressHigh[row] = addressHigh;
    this.lines = line;
  }

  #line(bytes: Uint8Array, start: number, end: number, row: number, line: number): void {
    const cursor = this.#cursor;
    const scratch = this.#scratch;
    // Resolved at the end: of a field that comes twice, the last one counts.
    let idAt = -1;
    let idLow = 0;
    let idHigh = 0;
    let number = 0;
    let column = 0;
    let at = start;
    while (at < end) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.at;
      if (tag !== 0x08 && tag !== 0x10 && tag !== 0x18) {
        at = cursor.skip(bytes, tag, at, end, KNOWN.line);
        continue;
      }
      cursor.varint(bytes, at, end);
      if (tag === 0x08) {
        idAt = at;
        idLow = cursor.lo;
        idHigh = cursor.hi;
      } else if (tag === 0x10) {
        number = cursor.signed();
      } else {
        column = cursor.signed();
      }
      at = cursor.at;
    }
    if (idLow === 0 && idHigh === 0) failProfile(`location ${row}: function id 0`);
    const functionRow = this.#ids.functions.find(idLow, idHigh);
    if (functionRow < 0) {
      failProfile(`location ${row}: unknown function ${formatVarint(bytes, idAt, false)}`);
    }
    scratch.lineFunction[line] = functionRow;
    scratch.lineNumber[line] = number;
    scratch.lineColumn[line] = column;
  }

  #failLines(lines: number): never {
    const limit = this.#limits.linesPerProfileMax;
    throw new TephraError('location_lines_limit', `lines of all locations: ${lines} > ${limit}`);
  }
}
