import { TephraError } from '../../base/errors.ts';
import { type BlockSectionView, readMinute, readMinutePushes } from '../block/decode.ts';
import { decodeEntries } from '../column/decode.ts';
import type { TypeColumn } from '../column/entries.ts';
import { valueTotal } from '../column/types.ts';
import type { TableLengths } from '../dictionary/lengths.ts';
import type { SectionView } from '../fragment/decode.ts';

/**
 * Decodes every column of a block's section: sums equal totals, totals of the pushes add up to those of
 * the minute, and stacks and series are in the dictionary. Throws `corrupt_block`.
 */
export function checkBlockSection(view: BlockSectionView, rows: TableLengths, what: string): void {
  for (const family of view.families) {
    for (let i = 0; i < family.minutes.length; i++) {
      const minute = readMinute(view, family, i);
      const where = `${what}, minute ${minute.minute}`;
      checkTypes(minute.types, rows, where);
      checkSums(
        sumsOf([[view.bytes, minute.entriesAt, minute.entriesEnd]], rows.stacks, where),
        minute.types,
        where,
      );
      const pushes = readMinutePushes(view, minute);
      for (const [t, { total }] of minute.types.entries()) {
        const sum = pushes.reduce((before, { totals }) => before + (totals[t] ?? 0n), 0n);
        if (sum !== total && total < SATURATED) {
          fail(where, `pushes add up to ${sum}, the column to ${total}`);
        }
      }
    }
  }
}

/** The same for a section of a fragment. Throws `corrupt_block`. */
export function checkFragmentSection(
  bytes: Uint8Array,
  view: SectionView,
  rows: TableLengths,
  what: string,
): void {
  for (const push of view.pushes) {
    const where = `${what}, push ${push.index}`;
    checkTypes(push.types, rows, where);
    const parts = push.groups.map(({ at, end }) => [bytes, at, end] as const);
    checkSums(sumsOf(parts, rows.stacks, where), push.types, where);
  }
}

// Totals stop here.
const SATURATED = (1n << 63n) - 1n;

function checkTypes(types: readonly TypeColumn[], rows: TableLengths, where: string): void {
  for (const { series } of types) {
    if (series >= rows.series) fail(where, `series ${series} of ${rows.series}`);
  }
}

/** Ticks of each column, over all parts. */
function sumsOf(
  parts: readonly (readonly [bytes: Uint8Array, at: number, end: number])[],
  stacks: number,
  where: string,
): bigint[] {
  const sums: bigint[] = [];
  for (const [bytes, at, end] of parts) {
    const entries = decodeEntries(bytes, at, end);
    const last = entries.stacks.at(-1) ?? -1;
    if (last >= stacks) fail(where, `stack ${last} of ${stacks}`);
    for (const [column, ticks] of entries.ticks.entries()) {
      let sum = sums[column] ?? 0n;
      for (const tick of ticks) sum += BigInt(tick);
      sums[column] = sum;
    }
  }
  return sums;
}

function checkSums(sums: readonly bigint[], types: readonly TypeColumn[], where: string): void {
  for (const { column, grain, total } of types) {
    const sum = valueTotal(sums[column] ?? 0n, grain);
    if (sum !== total) fail(where, `column ${column} adds up to ${sum}, its total is ${total}`);
  }
}

function fail(where: string, why: string): never {
  throw new TephraError('corrupt_block', `${where}: ${why}`);
}
