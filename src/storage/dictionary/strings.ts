import { assert } from '../../base/assert.ts';
import { utf8 } from '../../base/bytes.ts';
import { LIMITS } from '../../base/limits.ts';
import { growU32, growU8 } from './grow.ts';
import { HashTable } from './hash-table.ts';
import type { Hashing } from './hashing.ts';
import { DAMAGED_NAME } from './rows.ts';

/** About what a cached JavaScript string costs beside its characters. */
const CACHED_TEXT_BYTES = 32;

/** Inputs up to here are compared byte by byte: making a view of them would cost more than it saves. */
const SMALL_BYTES = 1_024;

/**
 * The table of strings: UTF-8 bytes end to end in one arena. Two strings are one when their bytes
 * are equal; bytes that are not UTF-8 are kept and shown with U+FFFD.
 */
export class Strings {
  count = 0;
  /** String i is `arena[ends[i], ends[i + 1])`: the first element is 0. */
  ends: Uint32Array = new Uint32Array(16);
  arena: Uint8Array = new Uint8Array(64);
  #view: DataView = new DataView(this.arena.buffer, 0);
  #hashes: Uint32Array = new Uint32Array(0);
  #indexed = 0;
  readonly #hashing: Hashing;
  readonly #table: HashTable;
  readonly #hashOf = (id: number): number => this.#hashes[id] as number;
  /** The row after the one found last: agents name things in the same order again and again. */
  #next = 0;
  #texts: (string | undefined)[] = [];
  #textBytes = 0;
  // The bytes of one profile come in many calls: their view is made once.
  #input: Uint8Array | undefined;
  #inputView: DataView = this.#view;

  constructor(hashing: Hashing) {
    this.#hashing = hashing;
    this.#table = new HashTable(hashing);
    this.pushBytes(new Uint8Array(0), 0, 0);
    const damaged = utf8(DAMAGED_NAME);
    this.pushBytes(damaged, 0, damaged.byteLength);
  }

  /** Has the next look-up try row `id` first. */
  guess(id: number): void {
    this.#next = id;
  }

  /** Bytes held. */
  get bytesInMemory(): number {
    return (
      this.arena.byteLength +
      this.ends.byteLength +
      this.#hashes.byteLength +
      this.#table.bytesInMemory +
      this.#textBytes
    );
  }

  /** The string's bytes: a view until the next growth. */
  bytes(id: number): Uint8Array {
    return this.arena.subarray(this.ends[id], this.ends[id + 1]);
  }

  /** The string, decoded once. */
  text(id: number): string {
    const cached = this.#texts[id];
    if (cached !== undefined) return cached;
    assert(id < this.count, `string ${id} of ${this.count}`);
    const start = this.ends[id] as number;
    const end = this.ends[id + 1] as number;
    const text = Buffer.from(this.arena.buffer, start, end - start).toString('utf8');
    while (this.#texts.length <= id) this.#texts.push(undefined);
    this.#texts[id] = text;
    this.#textBytes += CACHED_TEXT_BYTES + text.length;
    return text;
  }

  /** Id of `bytes[start, end)`; what is longer than LIMITS.stringBytesKept is cut. */
  intern(bytes: Uint8Array, start: number, end: number): number {
    const next = this.#next;
    if (bytes.length <= SMALL_BYTES) {
      if (next < this.count && this.#isSmall(next, bytes, start, end - start)) {
        this.#next = next + 1;
        return next;
      }
    } else {
      if (bytes !== this.#input) this.#openInput(bytes);
      if (next < this.count && this.#is(next, this.#inputView, start, end - start)) {
        this.#next = next + 1;
        return next;
      }
    }
    return this.#intern(bytes, start, end);
  }

  #intern(bytes: Uint8Array, start: number, end: number): number {
    if (bytes !== this.#input) this.#openInput(bytes);
    if (end - start > LIMITS.stringBytesKept) return this.intern(bytes, start, cut(bytes, start));
    if (this.#indexed !== this.count) this.#index();
    const input = this.#inputView;
    const hash = this.#hash(input, start, end);
    let id = this.#find(hash, input, start, end - start);
    if (id < 0) {
      id = this.pushBytes(bytes, start, end);
      this.#remember(id, hash);
    }
    this.#next = id + 1;
    return id;
  }

  /** Forgets the bytes of the last intern, so that a profile is not kept alive. */
  closeInput(): void {
    if (this.#input === undefined) return;
    this.#input = undefined;
    this.#inputView = this.#view;
  }

  /** Adds a row as it is, known or not. */
  pushBytes(bytes: Uint8Array, start: number, end: number): number {
    const id = this.count;
    const from = this.ends[id] as number;
    const size = end - start;
    assert(id < 0x7fff_ffff && from + size < 0xffff_ffff, 'string table is full');
    this.#reserve(id + 1, from + size);
    if (size > 24) this.arena.set(bytes.subarray(start, end), from);
    else for (let i = 0; i < size; i++) this.arena[from + i] = bytes[start + i] as number;
    this.ends[id + 1] = from + size;
    this.count = id + 1;
    return id;
  }

  /** Adds rows as they are; `ends` count in `bytes`. */
  pushRows(ends: Uint32Array, bytes: Uint8Array): void {
    const base = this.ends[this.count] as number;
    this.#reserve(this.count + ends.length, base + bytes.byteLength);
    this.arena.set(bytes, base);
    for (let i = 0; i < ends.length; i++) {
      this.ends[this.count + 1 + i] = base + (ends[i] as number);
    }
    this.count += ends.length;
  }

  #reserve(rows: number, bytes: number): void {
    this.ends = growU32(this.ends, rows + 1);
    if (bytes > this.arena.length) {
      this.arena = growU8(this.arena, bytes);
      this.#view = new DataView(this.arena.buffer);
    }
  }

  #openInput(bytes: Uint8Array): void {
    this.#input = bytes;
    this.#inputView = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #hash(input: DataView, start: number, end: number): number {
    const { multiplierLow, multiplierHigh } = this.#hashing;
    const size = end - start;
    let h = this.#hashing.startLow ^ size;
    if (size < 4) {
      for (let at = start; at < end; at++) {
        h = Math.imul(h ^ input.getUint8(at), multiplierLow);
        h ^= h >>> 15;
      }
    } else {
      for (let at = start + 4; at < end; at += 4) {
        h = Math.imul(h ^ input.getInt32(at - 4, true), multiplierLow);
        h ^= h >>> 15;
      }
      // The last word overlaps the one before: cheaper than single bytes, and the size is hashed.
      h = Math.imul(h ^ input.getInt32(end - 4, true), multiplierHigh);
    }
    return (h ^ (h >>> 15)) >>> 0;
  }

  #remember(id: number, hash: number): void {
    this.#hashes = growU32(this.#hashes, id + 1);
    this.#hashes[id] = hash;
    this.#table.insert(id, hash, this.#hashOf);
    this.#indexed = id + 1;
  }

  /** Rows that came without being looked up are hashed at the first need. */
  #index(): void {
    const { count, ends } = this;
    this.#hashes = growU32(this.#hashes, count);
    this.#table.reserve(count, this.#hashOf);
    for (let id = this.#indexed; id < count; id++) {
      const start = ends[id] as number;
      const end = ends[id + 1] as number;
      const hash = this.#hash(this.#view, start, end);
      this.#hashes[id] = hash;
      // Damaged rows are all alike: only the first of equal rows goes into the table.
      if (this.#find(hash, this.#view, start, end - start) < 0) {
        this.#table.insert(id, hash, this.#hashOf);
      }
    }
    this.#indexed = count;
  }

  #find(hash: number, input: DataView, start: number, size: number): number {
    const { slots, mask, bits } = this.#table;
    for (let at = hash & bits; ; at = (at + 1) & mask) {
      const id = (slots[at] as number) - 1;
      if (id < 0) return id;
      if (this.#hashes[id] === hash && this.#is(id, input, start, size)) return id;
    }
  }

  #isSmall(id: number, input: Uint8Array, start: number, size: number): boolean {
    const { arena } = this;
    const from = this.ends[id] as number;
    if ((this.ends[id + 1] as number) - from !== size) return false;
    for (let k = 0; k < size; k++) if (arena[from + k] !== input[start + k]) return false;
    return true;
  }

  #is(id: number, input: DataView, start: number, size: number): boolean {
    const from = this.ends[id] as number;
    return (
      (this.ends[id + 1] as number) - from === size && same(this.#view, from, input, start, size)
    );
  }
}

/** Whether `size` bytes of `a` at `i` are those of `b` at `j`. */
function same(a: DataView, i: number, b: DataView, j: number, size: number): boolean {
  if (size < 4) {
    for (let k = 0; k < size; k++) if (a.getUint8(i + k) !== b.getUint8(j + k)) return false;
    return true;
  }
  const last = size - 4;
  for (let k = 0; k < last; k += 4) {
    if (a.getInt32(i + k, true) !== b.getInt32(j + k, true)) return false;
  }
  return a.getInt32(i + last, true) === b.getInt32(j + last, true);
}

/** End of the longest prefix that is kept and does not split a character. */
function cut(bytes: Uint8Array, start: number): number {
  const limit = start + LIMITS.stringBytesKept;
  let end = limit;
  while (end > limit - 4 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return end;
}
