/**
 * The two loops in which a merge spends its time: they walk the ids and the ticks of a column with
 * two cursors and add each tick to its stack. Everything is inline, because a call or an object per
 * varint costs more than the addition (a `{value, end}` result: 12 to 38 %).
 *
 * Safety: lengths were checked by `readEntriesHeader`, so no loop runs longer than the ids have
 * bytes; ids are checked against `stackCount` before they index; both cursors must end exactly where
 * their columns end. Where one does not, `corrupt_block` is thrown and the sums are worthless.
 */
import { TephraError } from '../../base/errors.ts';
import { failColumn, type EntriesHeader } from './decode.ts';

const TWO_28 = 0x1000_0000;

/** Adds a column whose ticks are below 2^32 to `lo[stack]`. */
export function scatterNarrow(
  bytes: Uint8Array,
  header: EntriesHeader,
  column: number,
  lo: Float64Array,
  stackCount: number,
): void {
  const idsEnd = header.columnAt[0] as number;
  const ticksEnd = header.columnAt[column + 1] as number;
  let p = header.idsAt;
  let q = header.columnAt[column] as number;
  let id = -1;
  for (let left = header.count; left > 0; left--) {
    let gap = bytes[p++] as number;
    if (gap >= 0x80) {
      let byte = bytes[p++] as number;
      gap = (gap & 0x7f) | ((byte & 0x7f) << 7);
      if (byte >= 0x80) {
        byte = bytes[p++] as number;
        gap |= (byte & 0x7f) << 14;
        if (byte >= 0x80) {
          byte = bytes[p++] as number;
          gap |= (byte & 0x7f) << 21;
          // A gap of 2^28 is beyond any accumulator.
          if (byte >= 0x80) failId(p);
        }
      }
    }
    id += gap + 1;
    if (id >= stackCount) failId(p);

    let tick = bytes[q++] as number;
    if (tick >= 0x80) {
      let byte = bytes[q++] as number;
      tick = (tick & 0x7f) | ((byte & 0x7f) << 7);
      if (byte >= 0x80) {
        byte = bytes[q++] as number;
        tick |= (byte & 0x7f) << 14;
        if (byte >= 0x80) {
          byte = bytes[q++] as number;
          tick |= (byte & 0x7f) << 21;
          if (byte >= 0x80) {
            byte = bytes[q++] as number;
            if (byte > 0x0f) failColumn('ticks', q);
            tick += byte * TWO_28;
          }
        }
      }
    }
    lo[id] = (lo[id] as number) + tick;
  }
  if (p !== idsEnd) failColumn('ids', p);
  if (q !== ticksEnd) failColumn('ticks', q);
}

/** Adds a column with ticks up to 2^64 - 1: the low 32 bits to `lo[stack]`, the rest to `hi[stack]`. */
export function scatterWide(
  bytes: Uint8Array,
  header: EntriesHeader,
  column: number,
  lo: Float64Array,
  hi: Float64Array,
  stackCount: number,
): void {
  const idsEnd = header.columnAt[0] as number;
  const ticksEnd = header.columnAt[column + 1] as number;
  let p = header.idsAt;
  let q = header.columnAt[column] as number;
  let id = -1;
  for (let left = header.count; left > 0; left--) {
    let gap = 0;
    for (let shift = 0; ; shift += 7) {
      if (shift > 21) failId(p);
      const byte = bytes[p++] as number;
      gap |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    id += gap + 1;
    if (id >= stackCount) failId(p);

    // Bits 0-27, 28-55 and 56-63: each part fits an int32.
    let low = 0;
    let middle = 0;
    let high = 0;
    for (let i = 0; ; i++) {
      const byte = bytes[q++] as number;
      if (i < 4) low |= (byte & 0x7f) << (7 * i);
      else if (i < 8) middle |= (byte & 0x7f) << (7 * (i - 4));
      else high |= (byte & 0x7f) << (7 * (i - 8));
      if (i > 9 || high > 0xff) failColumn('ticks', q);
      if (byte < 0x80) break;
    }
    lo[id] = (lo[id] as number) + low + (middle & 0x0f) * TWO_28;
    hi[id] = (hi[id] as number) + (middle >>> 4) + high * 0x100_0000;
  }
  if (p !== idsEnd) failColumn('ids', p);
  if (q !== ticksEnd) failColumn('ticks', q);
}

function failId(at: number): never {
  throw new TephraError(
    'corrupt_block',
    `entries: a stack id before offset ${at} is not in the dictionary`,
  );
}
