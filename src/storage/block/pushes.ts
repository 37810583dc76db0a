/** The list of pushes beside a minute column; drawn in encode.ts. About 7 bytes a push. */
import { assert } from '../../base/assert.ts';
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { HOUR_MS, MINUTE_MS } from '../../base/time.ts';
import { saturate, TOTAL_MAX, type TypeTicks } from '../column/entries.ts';
import { columnCount, readBig, valueTotal } from '../column/types.ts';

/** Where a push lies in the raw tier. */
export interface PushRef {
  /** Start of the hour in which its fragment arrived, Unix ms. */
  readonly arrivalHourMs: number;
  readonly incarnation: number;
  readonly seq: number;
  /** Its place within its section of the fragment. */
  readonly index: number;
  /**
   * Whether the ids in its fragment are canonical ids of the partition. Where they are not, its
   * entries cannot be read by the canonical dictionary alone.
   */
  readonly canonical: boolean;
}

/** A push of a minute. */
export interface PushEntry {
  /** Start within the minute, ms: 0 to 59,999. */
  readonly offsetMs: number;
  /** Sum of its values, one a type of the family. */
  readonly totals: readonly bigint[];
  readonly ref: PushRef;
}

/** Pushes by offset. An array is one; what is long may be made while it is read. */
export interface PushList extends Iterable<PushEntry> {
  readonly length: number;
}

/** What refs of a section are relative to. */
export interface RefBase {
  readonly dayMs: number;
  readonly incarnation: number;
  readonly seq: number;
}

const OTHER_INCARNATION = 1;
const OTHER_HOUR = 2;
const HAS_INDEX = 4;
const NOT_CANONICAL = 8;
const ALL_FLAGS = 15;

/** Writes the list; pushes come by offset (asserted) and `types` are those of the column. */
export function writePushes(
  writer: ByteWriter,
  pushes: PushList,
  types: readonly TypeTicks[],
  minute: number,
  base: RefBase,
): void {
  assert(pushes.length > 0, 'a minute without pushes');
  const eventHour = hourOf(minute, base);
  let offset = 0;
  let { seq } = base;
  for (const { offsetMs, totals, ref } of pushes) {
    assert(offsetMs < MINUTE_MS, 'a push starts outside of its minute');
    const incarnation = ref.incarnation === base.incarnation ? 0 : OTHER_INCARNATION;
    const hour = ref.arrivalHourMs / HOUR_MS - eventHour;
    const hourFlag = hour === 0 ? 0 : OTHER_HOUR;
    // The varint refuses offsets that do not ascend.
    const index = (ref.index === 0 ? 0 : HAS_INDEX) | (ref.canonical ? 0 : NOT_CANONICAL);
    writer.varint(offsetMs - offset).u8(incarnation | hourFlag | index);
    if (incarnation !== 0) writer.varint(ref.incarnation);
    if (hour !== 0) writer.zigzag(hour);
    writer.zigzag(ref.seq - seq);
    if (ref.index !== 0) writer.varint(ref.index);
    if (pushes.length > 1) writeTicks(writer, totals, types);
    offset = offsetMs;
    ({ seq } = ref);
  }
}

/** Reads `count` pushes with the totals of `types`, which are those of the column. */
export function readPushes(
  reader: ByteReader,
  count: number,
  types: readonly TypeTicks[],
  minute: number,
  base: RefBase,
): PushEntry[] {
  const columns = columnCount(types);
  const eventHour = hourOf(minute, base);
  const pushes: PushEntry[] = [];
  let offsetMs = 0;
  let { seq } = base;
  for (let i = 0; i < count; i++) {
    offsetMs += reader.varint();
    if (offsetMs >= MINUTE_MS) reader.fail(`offset ${offsetMs} in a minute`);
    const flags = reader.u8();
    if (flags > ALL_FLAGS) reader.fail(`unknown flags ${flags}`);
    const incarnation = (flags & OTHER_INCARNATION) === 0 ? base.incarnation : reader.varint();
    const hour = (flags & OTHER_HOUR) === 0 ? 0 : reader.zigzag();
    seq += reader.zigzag();
    const index = (flags & HAS_INDEX) === 0 ? 0 : reader.varint();
    const totals = count > 1 ? readTicks(reader, columns, types) : types.map(({ total }) => total);
    const canonical = (flags & NOT_CANONICAL) === 0;
    const arrivalHourMs = (eventHour + hour) * HOUR_MS;
    const ref = { arrivalHourMs, incarnation, seq, index, canonical };
    pushes.push({ offsetMs, totals, ref });
  }
  reader.expectEnd();
  return pushes;
}

function writeTicks(
  writer: ByteWriter,
  totals: readonly bigint[],
  types: readonly TypeTicks[],
): void {
  assert(totals.length === types.length, 'a push has one total a type');
  const ticks = tickTotals(types, totals);
  for (let t = 0; t < types.length; t++) {
    const { grain, column } = types[t] as TypeTicks;
    const total = saturate((ticks[column] as bigint) * grain);
    assert(total === totals[t], 'a total of a push does not fit the grains of its column');
  }
  for (const tick of ticks) writer.varintBig(tick);
}

/** Sum of the ticks of each column, from the totals of the types that read them. */
export function tickTotals(
  types: readonly Pick<TypeTicks, 'grain' | 'column'>[],
  totals: readonly bigint[],
): bigint[] {
  const ticks: bigint[] = [];
  for (let t = 0; t < types.length; t++) {
    const { grain, column } = types[t] as TypeTicks;
    const total = totals[t] as bigint;
    const own = total === TOTAL_MAX ? TOTAL_MAX : total / grain;
    while (ticks.length <= column) ticks.push(TOTAL_MAX);
    // A type that saturated says less than one that did not: the smallest is the true one.
    if (own < (ticks[column] as bigint)) ticks[column] = own;
  }
  return ticks;
}

function readTicks(reader: ByteReader, columns: number, types: readonly TypeTicks[]): bigint[] {
  const ticks: bigint[] = [];
  for (let c = 0; c < columns; c++) ticks.push(readBig(reader));
  return types.map(({ grain, column }) => valueTotal(ticks[column] ?? 0n, grain));
}

/** Hours since 1970 of the hour in which a minute of the day lies. */
function hourOf(minute: number, base: RefBase): number {
  return base.dayMs / HOUR_MS + Math.floor(minute / 60);
}
