import { assert } from '../base/assert.ts';
import type { ByteReader, ByteWriter } from '../base/bytes.ts';

/** Hours of a day. */
export const HOURS = 24;

/** Bit h = hour h of the day. */
export function hourMask(hours: readonly number[]): number {
  let mask = 0;
  for (const hour of hours) {
    assert(Number.isInteger(hour) && hour >= 0 && hour < HOURS, `hour ${hour} of a day`);
    mask |= 1 << hour;
  }
  return mask;
}

/** Three bytes, little-endian: the mask of hours of a day. */
export function writeHours(writer: ByteWriter, hours: readonly number[]): void {
  const mask = hourMask(hours);
  writer
    .u8(mask & 0xff)
    .u8((mask >> 8) & 0xff)
    .u8(mask >> 16);
}

/** What {@link writeHours} wrote, ascending. */
export function readHours(reader: ByteReader): number[] {
  const mask = reader.u8() | (reader.u8() << 8) | (reader.u8() << 16);
  const hours: number[] = [];
  for (let hour = 0; hour < HOURS; hour++) if (((mask >> hour) & 1) === 1) hours.push(hour);
  return hours;
}
