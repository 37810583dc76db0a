import { growU32, growU8 } from './grow.ts';
import { HashTable } from './hash-table.ts';
import { hashFour, type Hashing } from './hashing.ts';
import {
  DAMAGED_FRAME,
  FRAME_DAMAGED,
  FRAME_INLINED,
  NO_FUNCTION,
  type FrameColumns,
  type FrameRow,
} from './rows.ts';

/**
 * The table of frames. A frame with a function is told by everything but the address, which is not
 * kept. A frame without is told by its build id (else its file) and the address: nothing else is
 * known of it, and the file that is kept is the first one seen.
 */
export class Frames {
  count = 0;
  fn: Uint32Array = new Uint32Array(0);
  line: Uint32Array = new Uint32Array(0);
  column: Uint32Array = new Uint32Array(0);
  mappingFile: Uint32Array = new Uint32Array(0);
  buildId: Uint32Array = new Uint32Array(0);
  addressLow: Uint32Array = new Uint32Array(0);
  addressHigh: Uint32Array = new Uint32Array(0);
  flags: Uint8Array = new Uint8Array(0);
  #hashes: Uint32Array = new Uint32Array(0);
  #indexed = 0;
  /** The row after the one found last: agents name things in the same order again and again. */
  #next = 0;
  readonly #hashing: Hashing;
  readonly #table: HashTable;
  readonly #hashOf = (id: number): number => this.#hashes[id] as number;

  constructor(hashing: Hashing) {
    this.#hashing = hashing;
    this.#table = new HashTable(hashing);
    this.#push(NO_FUNCTION, 0, 0, 0, 0, 0, 0, FRAME_DAMAGED);
  }

  /** Has the next look-up try row `id` first. */
  guess(id: number): void {
    this.#next = id;
  }

  /** Bytes held. */
  get bytesInMemory(): number {
    return (
      this.fn.byteLength * 7 +
      this.flags.byteLength +
      this.#hashes.byteLength +
      this.#table.bytesInMemory
    );
  }

  /** The row as an object. */
  row(id: number): FrameRow {
    return {
      fn: this.fn[id] as number,
      line: this.line[id] as number,
      column: this.column[id] as number,
      mappingFile: this.mappingFile[id] as number,
      buildId: this.buildId[id] as number,
      addressLow: this.addressLow[id] as number,
      addressHigh: this.addressHigh[id] as number,
      flags: this.flags[id] as number,
    };
  }

  /** Id of a frame with a function; lines in the stored form. */
  internSymbolised(
    fn: number,
    line: number,
    column: number,
    mappingFile: number,
    buildId: number,
    flags: number,
  ): number {
    const kept = flags & FRAME_INLINED;
    const next = this.#next;
    if (
      next < this.count &&
      this.#isSymbolised(next, fn, line, column, mappingFile, buildId, kept)
    ) {
      this.#next = next + 1;
      return next;
    }
    return this.#internSymbolised(fn, line, column, mappingFile, buildId, kept);
  }

  #internSymbolised(
    fn: number,
    line: number,
    column: number,
    mappingFile: number,
    buildId: number,
    kept: number,
  ): number {
    if (this.#indexed !== this.count) this.#index();
    const hash = this.#hashSymbolised(fn, line, column, mappingFile, buildId, kept);
    const found = this.#findSymbolised(hash, fn, line, column, mappingFile, buildId, kept);
    if (found >= 0) {
      this.#next = found + 1;
      return found;
    }
    return this.#remember(hash, this.#push(fn, line, column, mappingFile, buildId, 0, 0, kept));
  }

  /** Id of a frame without a function; an address of two u32 halves. */
  internAddress(mappingFile: number, buildId: number, low: number, high: number): number {
    const next = this.#next;
    if (next < this.count && this.#isAddress(next, mappingFile, buildId, low, high)) {
      this.#next = next + 1;
      return next;
    }
    if (this.#indexed !== this.count) this.#index();
    const hash = this.#hashAddress(mappingFile, buildId, low, high);
    const found = this.#findAddress(hash, mappingFile, buildId, low, high);
    if (found >= 0) {
      this.#next = found + 1;
      return found;
    }
    return this.#remember(hash, this.#push(NO_FUNCTION, 0, 0, mappingFile, buildId, low, high, 0));
  }

  /** Id of a row of another dictionary, its references already translated. */
  internRow(row: FrameRow): number {
    if ((row.flags & FRAME_DAMAGED) !== 0) return DAMAGED_FRAME;
    return row.fn === NO_FUNCTION
      ? this.internAddress(row.mappingFile, row.buildId, row.addressLow, row.addressHigh)
      : this.internSymbolised(
          row.fn,
          row.line,
          row.column,
          row.mappingFile,
          row.buildId,
          row.flags,
        );
  }

  /** Adds rows as they are. */
  pushRows(rows: FrameColumns): void {
    const { count } = this;
    this.#reserve(count + rows.fn.length);
    this.fn.set(rows.fn, count);
    this.line.set(rows.line, count);
    this.column.set(rows.column, count);
    this.mappingFile.set(rows.mappingFile, count);
    this.buildId.set(rows.buildId, count);
    this.addressLow.set(rows.addressLow, count);
    this.addressHigh.set(rows.addressHigh, count);
    this.flags.set(rows.flags, count);
    this.count = count + rows.fn.length;
  }

  /** Columns of the rows [from, to): views. */
  rows(from: number, to: number): FrameColumns {
    return {
      fn: this.fn.subarray(from, to),
      line: this.line.subarray(from, to),
      column: this.column.subarray(from, to),
      mappingFile: this.mappingFile.subarray(from, to),
      buildId: this.buildId.subarray(from, to),
      addressLow: this.addressLow.subarray(from, to),
      addressHigh: this.addressHigh.subarray(from, to),
      flags: this.flags.subarray(from, to),
    };
  }

  #push(
    fn: number,
    line: number,
    column: number,
    mappingFile: number,
    buildId: number,
    low: number,
    high: number,
    flags: number,
  ): number {
    const id = this.count;
    this.#reserve(id + 1);
    this.fn[id] = fn;
    this.line[id] = line;
    this.column[id] = column;
    this.mappingFile[id] = mappingFile;
    this.buildId[id] = buildId;
    this.addressLow[id] = low;
    this.addressHigh[id] = high;
    this.flags[id] = flags;
    this.count = id + 1;
    return id;
  }

  #reserve(rows: number): void {
    if (rows <= this.fn.length) return;
    this.fn = growU32(this.fn, rows);
    this.line = growU32(this.line, rows);
    this.column = growU32(this.column, rows);
    this.mappingFile = growU32(this.mappingFile, rows);
    this.buildId = growU32(this.buildId, rows);
    this.addressLow = growU32(this.addressLow, rows);
    this.addressHigh = growU32(this.addressHigh, rows);
    this.flags = growU8(this.flags, rows);
  }

  #remember(hash: number, id: number): number {
    this.#hashes = growU32(this.#hashes, id + 1);
    this.#hashes[id] = hash;
    this.#table.insert(id, hash, this.#hashOf);
    this.#indexed = id + 1;
    this.#next = id + 1;
    return id;
  }

  #hashSymbolised(
    fn: number,
    line: number,
    column: number,
    mappingFile: number,
    buildId: number,
    flags: number,
  ): number {
    return hashFour(this.#hashing, fn, line, column * 2 + flags, mappingFile * 31 + buildId);
  }

  #hashAddress(mappingFile: number, buildId: number, low: number, high: number): number {
    return hashFour(this.#hashing, buildId === 0 ? ~mappingFile : buildId, low, high, -1);
  }

  #findSymbolised(
    hash: number,
    fn: number,
    line: number,
    column: number,
    mappingFile: number,
    buildId: number,
    flags: number,
  ): number {
    const { slots, mask, bits } = this.#table;
    for (let at = hash & bits; ; at = (at + 1) & mask) {
      const id = (slots[at] as number) - 1;
      if (id < 0) return id;
      if (this.#isSymbolised(id, fn, line, column, mappingFile, buildId, flags)) return id;
    }
  }

  #isSymbolised(
    id: number,
    fn: number,
    line: number,
    column: number,
    mappingFile: number,
    buildId: number,
    flags: number,
  ): boolean {
    return (
      this.fn[id] === fn &&
      this.line[id] === line &&
      this.column[id] === column &&
      this.mappingFile[id] === mappingFile &&
      this.buildId[id] === buildId &&
      this.flags[id] === flags
    );
  }

  #findAddress(
    hash: number,
    mappingFile: number,
    buildId: number,
    low: number,
    high: number,
  ): number {
    const { slots, mask, bits } = this.#table;
    for (let at = hash & bits; ; at = (at + 1) & mask) {
      const id = (slots[at] as number) - 1;
      if (id < 0 || this.#isAddress(id, mappingFile, buildId, low, high)) return id;
    }
  }

  #isAddress(id: number, mappingFile: number, buildId: number, low: number, high: number): boolean {
    return (
      this.fn[id] === NO_FUNCTION &&
      this.addressLow[id] === low &&
      this.addressHigh[id] === high &&
      this.buildId[id] === buildId &&
      (buildId !== 0 || this.mappingFile[id] === mappingFile) &&
      // A damaged frame is not the frame at address 0, though it looks like it.
      this.flags[id] === 0
    );
  }

  #index(): void {
    this.#hashes = growU32(this.#hashes, this.count);
    this.#table.reserve(this.count, this.#hashOf);
    for (let id = this.#indexed; id < this.count; id++) {
      const row = this.row(id);
      if ((row.flags & FRAME_DAMAGED) !== 0) continue;
      const { fn, line, column, mappingFile, buildId, addressLow, addressHigh, flags } = row;
      const isAddress = fn === NO_FUNCTION;
      const hash = isAddress
        ? this.#hashAddress(mappingFile, buildId, addressLow, addressHigh)
        : this.#hashSymbolised(fn, line, column, mappingFile, buildId, flags);
      this.#hashes[id] = hash;
      const found = isAddress
        ? this.#findAddress(hash, mappingFile, buildId, addressLow, addressHigh)
        : this.#findSymbolised(hash, fn, line, column, mappingFile, buildId, flags);
      if (found < 0) this.#table.insert(id, hash, this.#hashOf);
    }
    this.#indexed = this.count;
  }
}
