import { failProfile, formatVarint } from '../pprof/wire.ts';

/** Where the strings of a request are; row 0 is empty. */
export class StringTable {
  readonly start: Uint32Array;
  readonly end: Uint32Array;

  constructor(rows: number) {
    this.start = new Uint32Array(Math.max(1, rows));
    this.end = new Uint32Array(Math.max(1, rows));
  }

  /** The index whose varint lies at `at`. Throws `malformed_profile` if there is no such string. */
  check(bytes: Uint8Array, index: number, at: number, what: string): number {
    return checkIndex(bytes, index, at, this.start.length, what);
  }

  /** Whether a string is empty. */
  isEmpty(index: number): boolean {
    return this.start[index] === this.end[index];
  }
}

/**
 * The index whose varint, at `at`, was read as `index`; a table that is missing has row 0. Throws
 * `malformed_profile` if there is no such row, or the number is negative.
 */
export function checkIndex(
  bytes: Uint8Array,
  index: number,
  at: number,
  rows: number,
  what: string,
): number {
  if (index >= 0 && index < rows) return index;
  return failProfile(`${what}: ${formatVarint(bytes, at, true)} is not below ${rows}`);
}
