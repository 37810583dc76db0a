/**
 * The list that says how sample types read the columns beside it. Types with the same column have
 * the same ticks, so the sum of the ticks is stored once a column and `total` follows from it.
 */
import { assert } from '../../base/assert.ts';
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { saturate, tickTotal, type TypeTicks } from './entries.ts';

/** Grains and columns of types: for each a varint column and a varint grain. */
export function writeGrains(writer: ByteWriter, types: readonly TypeTicks[]): void {
  for (const { grain, column } of types) {
    assert(grain > 0n, 'a grain is at least 1');
    writer.varint(column).varintBig(grain);
  }
}

/** One type's part of what {@link writeGrains} wrote; `columns` = how many there may be. */
export function readGrain(reader: ByteReader, columns: number): { column: number; grain: bigint } {
  const column = reader.varint();
  if (column >= columns) reader.fail(`column ${column} of ${columns}`);
  const grain = readBig(reader);
  if (grain === 0n) reader.fail('grain 0');
  return { column, grain };
}

/** Sums of the ticks, a varint for each column in order. Every column needs a type (asserted). */
export function writeTickTotals(writer: ByteWriter, types: readonly TypeTicks[]): void {
  const columns = columnCount(types);
  for (let column = 0; column < columns; column++) {
    let ticks: bigint | undefined;
    for (const type of types) {
      if (type.column !== column) continue;
      // A type that saturated says less than one that did not: the smallest is the true one.
      const total = tickTotal(type);
      if (ticks === undefined || total < ticks) ticks = total;
    }
    assert(ticks !== undefined, 'a column has no type');
    for (const type of types) {
      if (type.column !== column) continue;
      assert(
        valueTotal(ticks, type.grain) === type.total,
        'a total is no multiple of its grain, or types of one column differ in their ticks',
      );
    }
    writer.varintBig(ticks);
  }
}

/** Value total of a type whose column's ticks sum to `ticks`. */
export function valueTotal(ticks: bigint, grain: bigint): bigint {
  return saturate(ticks * grain);
}

/** A varint below 2^64 as bigint; numbers up to 2^49 without a loop of bigints. */
export function readBig(reader: ByteReader): bigint {
  const { bytes, at } = reader;
  for (let i = 0; i < 7; i++) {
    if ((bytes[at + i] ?? 0) < 0x80) return BigInt(reader.varint());
  }
  return reader.varintBig();
}

/** Columns that types refer to: one more than the highest. */
export function columnCount(types: readonly Pick<TypeTicks, 'column'>[]): number {
  let count = 0;
  for (const { column } of types) if (column >= count) count = column + 1;
  return count;
}
