import { growU32 } from './grow.ts';
import { HashTable } from './hash-table.ts';
import { hashFour, type Hashing } from './hashing.ts';
import type { FunctionColumns, FunctionRow } from './rows.ts';

/** A line as it is stored: what is negative or no u32 means nothing and becomes 0, unknown. */
export function storedLine(line: number): number {
  return line >= 0 && line <= 0xffff_ffff ? line : 0;
}

/** The table of functions: equal when all four columns are. */
export class Functions {
  count = 0;
  name: Uint32Array = new Uint32Array(0);
  systemName: Uint32Array = new Uint32Array(0);
  file: Uint32Array = new Uint32Array(0);
  startLine: Uint32Array = new Uint32Array(0);
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
  }

  /** Has the next look-up try row `id` first. */
  guess(id: number): void {
    this.#next = id;
  }

  /** Bytes held. */
  get bytesInMemory(): number {
    return this.name.byteLength * 4 + this.#hashes.byteLength + this.#table.bytesInMemory;
  }

  /** The row as an object. */
  row(id: number): FunctionRow {
    return {
      name: this.name[id] as number,
      systemName: this.systemName[id] as number,
      file: this.file[id] as number,
      startLine: this.startLine[id] as number,
    };
  }

  /** Id of a function; string ids, and a line already in the stored form. */
  intern(name: number, systemName: number, file: number, startLine: number): number {
    const next = this.#next;
    if (next < this.count && this.#is(next, name, systemName, file, startLine)) {
      this.#next = next + 1;
      return next;
    }
    return this.#intern(name, systemName, file, startLine);
  }

  #intern(name: number, systemName: number, file: number, startLine: number): number {
    if (this.#indexed !== this.count) this.#index();
    const hash = hashFour(this.#hashing, name, systemName, file, startLine);
    const found = this.#find(hash, name, systemName, file, startLine);
    if (found >= 0) {
      this.#next = found + 1;
      return found;
    }
    const id = this.count;
    this.#next = id + 1;
    this.#reserve(id + 1);
    this.name[id] = name;
    this.systemName[id] = systemName;
    this.file[id] = file;
    this.startLine[id] = startLine;
    this.count = id + 1;
    this.#hashes = growU32(this.#hashes, id + 1);
    this.#hashes[id] = hash;
    this.#table.insert(id, hash, this.#hashOf);
    this.#indexed = id + 1;
    return id;
  }

  /** Adds rows as they are. */
  pushRows(rows: FunctionColumns): void {
    this.#reserve(this.count + rows.name.length);
    this.name.set(rows.name, this.count);
    this.systemName.set(rows.systemName, this.count);
    this.file.set(rows.file, this.count);
    this.startLine.set(rows.startLine, this.count);
    this.count += rows.name.length;
  }

  /** Columns of the rows [from, to): views. */
  rows(from: number, to: number): FunctionColumns {
    return {
      name: this.name.subarray(from, to),
      systemName: this.systemName.subarray(from, to),
      file: this.file.subarray(from, to),
      startLine: this.startLine.subarray(from, to),
    };
  }

  #reserve(rows: number): void {
    if (rows <= this.name.length) return;
    this.name = growU32(this.name, rows);
    this.systemName = growU32(this.systemName, rows);
    this.file = growU32(this.file, rows);
    this.startLine = growU32(this.startLine, rows);
  }

  #find(hash: number, name: number, systemName: number, file: number, startLine: number): number {
    const { slots, mask, bits } = this.#table;
    for (let at = hash & bits; ; at = (at + 1) & mask) {
      const id = (slots[at] as number) - 1;
      if (id < 0 || this.#is(id, name, systemName, file, startLine)) return id;
    }
  }

  #is(id: number, name: number, systemName: number, file: number, startLine: number): boolean {
    return (
      this.name[id] === name &&
      this.file[id] === file &&
      this.startLine[id] === startLine &&
      this.systemName[id] === systemName
    );
  }

  #index(): void {
    this.#hashes = growU32(this.#hashes, this.count);
    this.#table.reserve(this.count, this.#hashOf);
    for (let id = this.#indexed; id < this.count; id++) {
      const { name, systemName, file, startLine } = this.row(id);
      const hash = hashFour(this.#hashing, name, systemName, file, startLine);
      this.#hashes[id] = hash;
      // Damaged rows are all alike: only the first of equal rows goes into the table.
      if (this.#find(hash, name, systemName, file, startLine) < 0) {
        this.#table.insert(id, hash, this.#hashOf);
      }
    }
    this.#indexed = this.count;
  }
}
