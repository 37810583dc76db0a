import { TephraError } from '../../base/errors.ts';
import type { ProfileLimits } from '../limits.ts';
import { TAG } from './fields.ts';
import type { IdTable } from './ids.ts';
import type { PprofScan } from './scan.ts';
import type { PprofScratch } from './scratch.ts';
import { failString } from './tables.ts';
import { type Cursor, failProfile, formatVarint } from './wire.ts';

/** Row of the synthetic locations, -1 where the profile needs none. */
export interface SyntheticLocations {
  readonly noStack: number;
  readonly truncated: number;
}

/**
 * Decodes the samples into `scratch`: locations as rows, values by type, labels. Returns whether a
 * value lies beyond ±(2^53 - 1), in which case {@link readWideValues} has to be called.
 *
 * This loop is where nine tenths of a profile's bytes go; hence the varints written out.
 */
export function readSamples(
  bytes: Uint8Array,
  scan: PprofScan,
  scratch: PprofScratch,
  cursor: Cursor,
  ids: IdTable,
  synthetic: SyntheticLocations,
  limits: ProfileLimits,
): boolean {
  const locations = scratch.sampleLocations;
  const locationStarts = scratch.sampleLocationStart;
  const labelStarts = scratch.sampleLabelStart;
  const values = scratch.values;
  const samples = scan.samples;
  const valueSlots = samples * scan.sampleTypes;
  const locationCount = scan.locations;
  const contiguous = ids.base >= 0;
  const base = ids.base;
  const to = scan.samplesTo;
  let at = scan.samplesFrom;
  let row = 0;
  let frame = 0;
  let label = 0;
  let wide = false;
  while (at < to) {
    let tag = bytes[at++] as number;
    if (tag >= 0x80) {
      tag = cursor.number(bytes, at - 1);
      at = cursor.at;
    }
    if (tag !== TAG.profileSample) {
      at = cursor.skip(bytes, tag, at);
      continue;
    }
    let size = bytes[at++] as number;
    if (size >= 0x80) {
      size = cursor.number(bytes, at - 1);
      at = cursor.at;
    }
    const end = at + size;
    const frameFrom = frame;
    const frameEnd = frame + limits.stackDepthKept;
    let dropped = false;
    // The slot of the next value: column by column, so it moves by a column's length.
    let slot = row;
    locationStarts[row] = frame;
    labelStarts[row] = label;
    while (at < end) {
      tag = bytes[at++] as number;
      if (tag >= 0x80) {
        tag = cursor.number(bytes, at - 1);
        at = cursor.at;
      }
      switch (tag) {
        case TAG.sampleLocationPacked:
        case TAG.sampleLocation: {
          let stop = at + 1;
          if (tag === TAG.sampleLocationPacked) {
            size = bytes[at++] as number;
            if (size >= 0x80) {
              size = cursor.number(bytes, at - 1);
              at = cursor.at;
            }
            stop = at + size;
          }
          while (at < stop) {
            const idAt = at;
            let id = bytes[at++] as number;
            let index = -1;
            if (id >= 0x80) {
              const second = bytes[at++] as number;
              if (second < 0x80) {
                id = (id & 0x7f) | (second << 7);
              } else {
                const third = bytes[at++] as number;
                if (third < 0x80) {
                  id = (id & 0x7f) | ((second & 0x7f) << 7) | (third << 14);
                } else {
                  cursor.read(bytes, idAt);
                  at = cursor.at;
                  index = ids.find(cursor.lo, cursor.hi);
                  id = -1;
                }
              }
            }
            if (id >= 0) index = contiguous ? id - base : ids.find(id, 0);
            if (index < 0 || index >= locationCount) failLocation(bytes, idAt, row);
            if (frame < frameEnd) locations[frame++] = index;
            else dropped = true;
          }
          break;
        }
        case TAG.sampleValuePacked:
        case TAG.sampleValue: {
          let stop = at + 1;
          if (tag === TAG.sampleValuePacked) {
            size = bytes[at++] as number;
            if (size >= 0x80) {
              size = cursor.number(bytes, at - 1);
              at = cursor.at;
            }
            stop = at + size;
          }
          while (at < stop) {
            const valueAt = at;
            let value = bytes[at++] as number;
            if (value >= 0x80) {
              const second = bytes[at++] as number;
              if (second < 0x80) {
                value = (value & 0x7f) | (second << 7);
              } else {
                value = cursor.number(bytes, valueAt);
                at = cursor.at;
                if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER) wide = true;
              }
            }
            if (slot < valueSlots) values[slot] = value;
            slot += samples;
          }
          break;
        }
        case TAG.sampleLabel: {
          size = bytes[at++] as number;
          if (size >= 0x80) {
            size = cursor.number(bytes, at - 1);
            at = cursor.at;
          }
          readLabel(bytes, at, at + size, scan, scratch, cursor, label, row);
          label++;
          at += size;
          break;
        }
        default:
          at = cursor.skip(bytes, tag, at);
      }
    }
    if (slot !== row + valueSlots) failValueCount((slot - row) / samples, scan, row);
    if (frame === frameFrom) locations[frame++] = synthetic.noStack;
    if (dropped) locations[frame++] = synthetic.truncated;
    if (frame > limits.framesPerProfileMax) {
      throw new TephraError('total_frames_limit', `more than ${limits.framesPerProfileMax}`);
    }
    row++;
  }
  locationStarts[row] = frame;
  labelStarts[row] = label;
  return wide;
}

/** Decodes one label into row `label`. */
function readLabel(
  bytes: Uint8Array,
  from: number,
  end: number,
  scan: PprofScan,
  scratch: PprofScratch,
  cursor: Cursor,
  label: number,
  sample: number,
): void {
  let at = from;
  let key = 0;
  let text = 0;
  let hasNumber = false;
  while (at < end) {
    let tag = bytes[at++] as number;
    if (tag >= 0x80) {
      tag = cursor.number(bytes, at - 1);
      at = cursor.at;
    }
    if (tag > TAG.labelNumUnit || (tag & 7) !== 0) {
      at = cursor.skip(bytes, tag, at);
      continue;
    }
    const value = cursor.number(bytes, at);
    if (tag === TAG.labelNum) {
      hasNumber = value !== 0;
    } else {
      if (value < 0 || value >= scan.strings) failString(bytes, at, scan.strings, 'sample', sample, 'label');
      if (tag === TAG.labelKey) key = value;
      else if (tag === TAG.labelStr) text = value;
    }
    at = cursor.at;
  }
  if (key === 0) failLabel(scratch, sample, label, 'no key');
  if (hasNumber && text !== 0) failLabel(scratch, sample, label, 'both str and num');
  scratch.labelKey[label] = key;
  scratch.labelText[label] = text;
}

/** All values once more, exact to int64; same layout as `scratch.values`. */
export function readWideValues(bytes: Uint8Array, scan: PprofScan, cursor: Cursor): BigInt64Array {
  const samples = scan.samples;
  const wide = new BigInt64Array(samples * scan.sampleTypes);
  const halves = new Int32Array(wide.buffer);
  let row = 0;
  let at = scan.samplesFrom;
  while (at < scan.samplesTo) {
    const tag = cursor.number(bytes, at);
    at = cursor.at;
    if (tag !== TAG.profileSample) {
      at = cursor.skip(bytes, tag, at);
      continue;
    }
    const size = cursor.number(bytes, at);
    at = cursor.at;
    const end = at + size;
    let slot = row++;
    while (at < end) {
      const fieldTag = cursor.number(bytes, at);
      at = cursor.at;
      if (fieldTag !== TAG.sampleValue && fieldTag !== TAG.sampleValuePacked) {
        at = cursor.skip(bytes, fieldTag, at);
        continue;
      }
      let stop = at + 1;
      if (fieldTag === TAG.sampleValuePacked) {
        const packed = cursor.number(bytes, at);
        at = cursor.at;
        stop = at + packed;
      }
      while (at < stop) {
        cursor.read(bytes, at);
        at = cursor.at;
        halves[slot * 2] = cursor.lo;
        halves[slot * 2 + 1] = cursor.hi;
        slot += samples;
      }
    }
  }
  return wide;
}

function failLabel(scratch: PprofScratch, sample: number, label: number, why: string): never {
  const index = label - (scratch.sampleLabelStart[sample] as number);
  failProfile(`sample ${sample}: label ${index}: ${why}`);
}

function failLocation(bytes: Uint8Array, at: number, sample: number): never {
  const id = formatVarint(bytes, at, false);
  failProfile(id === '0' ? `sample ${sample}: location id 0` : `sample ${sample}: unknown location ${id}`);
}

function failValueCount(found: number, scan: PprofScan, sample: number): never {
  failProfile(`sample ${sample} has ${found} values, expected ${scan.sampleTypes}`);
}
