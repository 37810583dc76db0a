import type { ByteReader, ByteWriter } from '../../base/bytes.ts';

/** How many rows each table of a dictionary has; also a position in all six at once. */
export interface TableLengths {
  readonly strings: number;
  readonly functions: number;
  readonly frames: number;
  readonly nodes: number;
  readonly stacks: number;
  readonly series: number;
}

/**
 * Lengths of an empty dictionary: the rows that every dictionary is born with (the strings `` and
 * `(damaged)`, the frame and the node that stand for what could not be read). They are never stored.
 */
export const NO_LENGTHS: TableLengths = {
  strings: 2,
  functions: 0,
  frames: 1,
  nodes: 1,
  stacks: 0,
  series: 0,
};

/** The tables in the order in which formats name them. */
export const TABLES = [
  'strings',
  'functions',
  'frames',
  'nodes',
  'stacks',
  'series',
] as const satisfies readonly (keyof TableLengths)[];

/** Whether both are the same in every table. */
export function lengthsEqual(a: TableLengths, b: TableLengths): boolean {
  return TABLES.every((table) => a[table] === b[table]);
}

/** Whether `a` is at least `b` in every table. */
export function lengthsAtLeast(a: TableLengths, b: TableLengths): boolean {
  return TABLES.every((table) => a[table] >= b[table]);
}

/** The smaller one in every table. */
export function lengthsMin(a: TableLengths, b: TableLengths): TableLengths {
  const least = (table: keyof TableLengths): number => Math.min(a[table], b[table]);
  return {
    strings: least('strings'),
    functions: least('functions'),
    frames: least('frames'),
    nodes: least('nodes'),
    stacks: least('stacks'),
    series: least('series'),
  };
}

/** `2/0/1/1/0/0`, for messages. */
export function formatLengths(lengths: TableLengths): string {
  return TABLES.map((table) => lengths[table]).join('/');
}

/** Six varints: each table's length beyond `base`. */
export function writeLengths(writer: ByteWriter, lengths: TableLengths, base: TableLengths): void {
  for (const table of TABLES) writer.varint(lengths[table] - base[table]);
}

/** What {@link writeLengths} wrote; lengths past 2^31 throw `corrupt_block`. */
export function readLengths(reader: ByteReader, base: TableLengths): TableLengths {
  const read = (table: keyof TableLengths): number => {
    const length = base[table] + reader.varint();
    if (length > 0x7fff_ffff) reader.fail(`table of ${length} rows`);
    return length;
  };
  return {
    strings: read('strings'),
    functions: read('functions'),
    frames: read('frames'),
    nodes: read('nodes'),
    stacks: read('stacks'),
    series: read('series'),
  };
}
