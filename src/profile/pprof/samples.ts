import { TephraError } from '../../base/errors.ts';
import type { ProfileLimits } from '../limits.ts';
import { FIELD, KNOWN } from './fields.ts';
import type { IdTable } from './ids.ts';
import type { PprofScan } from './scan.ts';
import type { PprofScratch } from './scratch.ts';
import { type Cursor, failProfile, failString, formatVarint } from './wire.ts';

const SAMPLE_TAG = 0x12;

/**
 * Reads samples: locations as rows, values by type, labels. Where nine tenths of a profile's bytes
 * are; hence the varints written out. The shape of the loop is told in tables.ts.
 */
export class SampleReader {
  readonly #limits: ProfileLimits;
  readonly #scratch: PprofScratch;
  readonly #cursor: Cursor;
  readonly #ids: IdTable;
  #frames = 0;
  #labels = 0;
  /** A value lies beyond ±(2^53 - 1): {@link readWideValues} is to be called. */
  wide = false;
  /** Whether some sample refers to the synthetic location, which is then to be made. */
  emptyStacks = false;
  deepStacks = false;

  constructor(limits: ProfileLimits, scratch: PprofScratch, cursor: Cursor, ids: IdTable) {
    this.#limits = limits;
    this.#scratch = scratch;
    this.#cursor = cursor;
    this.#ids = ids;
  }

  /**
   * Reads the whole table. A sample without locations gets the row behind the table,
   * `rows[location]`; a stack that is cut ends in the one behind that.
   */
  read(bytes: Uint8Array, scan: PprofScan): void {
    const cursor = this.#cursor;
    const scratch = this.#scratch;
    const ids = this.#ids;
    const locations = scratch.sampleLocations;
    const locationStarts = scratch.sampleLocationStart;
    const labelStarts = scratch.sampleLabelStart;
    const labelKeys = scratch.labelKey;
    const labelTexts = scratch.labelText;
    const values = scratch.values;
    const samples = scan.rows[FIELD.sample] as number;
    const valueSlots = samples * (scan.rows[FIELD.sampleType] as number);
    const locationCount = scan.rows[FIELD.location] as number;
    const strings = scan.rows[FIELD.string] as number;
    const { stackDepthKept, framesPerProfileMax, labelsPerSampleMax } = this.#limits;
    const base = ids.base;
    const to = scan.to[FIELD.sample] as number;
    let at = scan.from[FIELD.sample] as number;
    let row = 0;
    let frame = 0;
    let label = 0;
    let wide = false;
    this.wide = this.emptyStacks = this.deepStacks = false;
    while (at < to) {
      let tag = bytes[at++] as number;
      if (tag >= 0x80) {
        tag = cursor.tag(bytes, at - 1, to);
        at = cursor.at;
      }
      if ((tag & 7) !== 2) {
        at = cursor.behind(bytes, tag, at, to);
        continue;
      }
      let size = bytes[at++] as number;
      if (size >= 0x80) {
        size = cursor.fastInt(bytes, at - 1);
        at = cursor.at;
      }
      if (tag !== SAMPLE_TAG) {
        at += size;
        continue;
      }
      const end = at + size;
      locationStarts[row] = frame;
      labelStarts[row] = label;
      plain: {
        let next = at;
        let frameNext = frame;
        let labelNext = label;
        // The slot of the next value: column by column, so it moves by a column's length.
        let slot = row;
        // The most location ids that may come: no stack is cut here.
        if (size > stackDepthKept) break plain;
        // The order varies too much to be guessed (Go sends values first), and fields of one or two
        // numbers come unpacked from Go: a packed field and a single number are read alike.
        while (next < end) {
          tag = bytes[next++] as number;
          if (tag === 0x0a || tag === 0x08) {
            let stop = next + 1;
            if (tag === 0x0a) {
              size = bytes[next++] as number;
              if (size >= 0x80) {
                size = cursor.fastInt(bytes, next - 1);
                next = cursor.at;
              }
              stop = next + size;
              if (size < 0 || stop > end) break plain;
            }
            while (next < stop) {
              let id = bytes[next++] as number;
              if (id >= 0x80) {
                const second = bytes[next++] as number;
                id = (id & 0x7f) | (second << 7);
                if (second >= 0x80) {
                  const third = bytes[next++] as number;
                  if (third >= 0x80) break plain;
                  id = (id & 0x3fff) | (third << 14);
                }
              }
              const index = base > 0 ? id - base : ids.find(id, 0);
              if (index >>> 0 >= locationCount) break plain;
              locations[frameNext++] = index;
            }
            if (tag === 0x0a && next !== stop) break plain;
          } else if (tag === 0x12 || tag === 0x10) {
            let stop = next + 1;
            if (tag === 0x12) {
              size = bytes[next++] as number;
              stop = next + size;
              if (size >= 0x80 || stop > end) break plain;
            }
            while (next < stop) {
              const valueAt = next;
              let value = bytes[next++] as number;
              if (value >= 0x80) {
                const second = bytes[next++] as number;
                value = (value & 0x7f) | (second << 7);
                if (second >= 0x80) {
                  cursor.fastRead(bytes, valueAt);
                  next = cursor.at;
                  const long = cursor.signed();
                  if (long > Number.MAX_SAFE_INTEGER || long < Number.MIN_SAFE_INTEGER) {
                    wide = true;
                  }
                  values[slot] = long;
                  slot += samples;
                  continue;
                }
              }
              values[slot] = value;
              slot += samples;
            }
            if (tag === 0x12 && next !== stop) break plain;
          } else if (tag === 0x1a) {
            // `1a size 08 key`, then `10 str` or `18 num [20 unit]`; keys and texts of up to two bytes.
            const stop = next + 1 + (bytes[next] as number);
            if (bytes[next + 1] !== 0x08) break plain;
            next += 2;
            let key = bytes[next++] as number;
            if (key >= 0x80) {
              const second = bytes[next++] as number;
              if (second >= 0x80) break plain;
              key = (key & 0x7f) | (second << 7);
            }
            let text = 0;
            tag = bytes[next++] as number;
            if (tag === 0x10) {
              text = bytes[next++] as number;
              if (text >= 0x80) {
                const second = bytes[next++] as number;
                if (second >= 0x80) break plain;
                text = (text & 0x7f) | (second << 7);
              }
            } else if (tag === 0x18) {
              cursor.fastRead(bytes, next);
              next = cursor.at;
              if (next < stop && bytes[next] === 0x20) {
                if ((bytes[next + 1] as number) >= Math.min(strings, 0x80)) break plain;
                next += 2;
              }
            } else {
              break plain;
            }
            if (next !== stop || key === 0 || key >= strings || text >= strings) break plain;
            labelKeys[labelNext] = key;
            labelTexts[labelNext++] = text;
          } else {
            break plain;
          }
        }
        if (next !== end || frameNext === frame || slot !== row + valueSlots) break plain;
        if (labelNext - label > labelsPerSampleMax) break plain;
        frame = frameNext;
        label = labelNext;
        row++;
        at = end;
        continue;
      }
      this.#frames = frame;
      this.#labels = label;
      this.#sample(bytes, at, end, row, scan);
      frame = this.#frames;
      label = this.#labels;
      row++;
      at = end;
    }
    // Only now: the array is as long as the limit, and writing behind its end does nothing.
    if (frame > framesPerProfileMax) {
      throw new TephraError('total_frames_limit', `${frame} > ${framesPerProfileMax}`);
    }
    locationStarts[row] = frame;
    labelStarts[row] = label;
    if (wide) this.wide = true;
  }

  /** One sample, field by field. */
  #sample(bytes: Uint8Array, start: number, end: number, row: number, scan: PprofScan): void {
    const cursor = this.#cursor;
    const scratch = this.#scratch;
    const samples = scan.rows[FIELD.sample] as number;
    const types = scan.rows[FIELD.sampleType] as number;
    const locationCount = scan.rows[FIELD.location] as number;
    const frameFrom = this.#frames;
    const frameEnd = frameFrom + this.#limits.stackDepthKept;
    const labelFrom = this.#labels;
    let frame = frameFrom;
    let found = 0;
    let dropped = false;
    let at = start;
    while (at < end) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.at;
      switch (tag) {
        case 0x08:
        case 0x0a: {
          const stop = tag === 0x0a ? cursor.span(bytes, at, end) : at + 1;
          if (tag === 0x0a) at = cursor.at;
          while (at < stop) {
            cursor.varint(bytes, at, tag === 0x0a ? stop : end);
            const next = cursor.at;
            const index = this.#ids.find(cursor.lo, cursor.hi);
            if (index < 0) failLocation(bytes, at, row);
            if (frame < frameEnd) scratch.sampleLocations[frame++] = index;
            else dropped = true;
            at = next;
          }
          break;
        }
        case 0x10:
        case 0x12: {
          const stop = tag === 0x12 ? cursor.span(bytes, at, end) : at + 1;
          if (tag === 0x12) at = cursor.at;
          while (at < stop) {
            cursor.varint(bytes, at, tag === 0x12 ? stop : end);
            at = cursor.at;
            const value = cursor.signed();
            if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER) {
              this.wide = true;
            }
            if (found < types) scratch.values[found * samples + row] = value;
            found++;
          }
          break;
        }
        case 0x1a: {
          const stop = cursor.span(bytes, at, end);
          this.#label(bytes, cursor.at, stop, row, this.#labels - labelFrom, scan);
          at = stop;
          break;
        }
        default:
          at = cursor.skip(bytes, tag, at, end, KNOWN.sample);
      }
    }
    if (found !== types) failProfile(`sample ${row} has ${found} values, expected ${types}`);
    if (frame === frameFrom) {
      this.emptyStacks = true;
      scratch.sampleLocations[frame++] = locationCount;
    }
    if (dropped) {
      this.deepStacks = true;
      scratch.sampleLocations[frame++] = locationCount + 1;
    }
    this.#frames = frame;
  }

  #label(
    bytes: Uint8Array,
    start: number,
    end: number,
    row: number,
    index: number,
    scan: PprofScan,
  ): void {
    const cursor = this.#cursor;
    const strings = scan.rows[FIELD.string] as number;
    const labelsMax = this.#limits.labelsPerSampleMax;
    if (index >= labelsMax) {
      throw new TephraError('sample_labels_limit', `sample ${row}: more than ${labelsMax}`);
    }
    let key = 0;
    let text = 0;
    let hasNumber = false;
    let at = start;
    while (at < end) {
      const tag = cursor.tag(bytes, at, end);
      at = cursor.at;
      if (tag !== 0x08 && tag !== 0x10 && tag !== 0x18 && tag !== 0x20) {
        at = cursor.skip(bytes, tag, at, end, KNOWN.label);
        continue;
      }
      const value = cursor.int(bytes, at, end);
      const next = cursor.at;
      if (tag === 0x18) {
        hasNumber = value !== 0;
      } else {
        if (value < 0 || value >= strings) {
          failString(bytes, at, strings, `sample ${row}: label ${index}`);
        }
        if (tag === 0x08) key = value;
        else if (tag === 0x10) text = value;
      }
      at = next;
    }
    if (key === 0) failProfile(`sample ${row}: label ${index}: no key`);
    if (hasNumber && text !== 0) failProfile(`sample ${row}: label ${index}: both str and num`);
    this.#scratch.labelKey[this.#labels] = key;
    this.#scratch.labelText[this.#labels++] = text;
  }

  /** All values once more, exact to int64; the layout is that of `ProfileColumns.values`. */
  readWideValues(bytes: Uint8Array, scan: PprofScan): BigInt64Array {
    const cursor = this.#cursor;
    const samples = scan.rows[FIELD.sample] as number;
    const wide = new BigInt64Array(samples * (scan.rows[FIELD.sampleType] as number));
    const halves = new Int32Array(wide.buffer);
    const to = scan.to[FIELD.sample] as number;
    let row = 0;
    for (let at = scan.from[FIELD.sample] as number; at < to;) {
      const tag = cursor.tag(bytes, at, to);
      const end = cursor.behind(bytes, tag, cursor.at, to);
      if (tag === SAMPLE_TAG) {
        let slot = row++;
        for (let field = cursor.at; field < end;) {
          const fieldTag = cursor.tag(bytes, field, end);
          field = cursor.at;
          const next = cursor.behind(bytes, fieldTag, field, end);
          const packed = fieldTag === 0x12;
          for (let value = packed ? cursor.at : field; value < next; value = cursor.at) {
            if (!packed && fieldTag !== 0x10) break;
            cursor.varint(bytes, value, next);
            // Little-endian, as every machine that Node runs on.
            halves[slot * 2] = cursor.lo;
            halves[slot * 2 + 1] = cursor.hi;
            slot += samples;
          }
          field = next;
        }
      }
      at = end;
    }
    return wide;
  }
}

function failLocation(bytes: Uint8Array, at: number, row: number): never {
  const id = formatVarint(bytes, at, false);
  failProfile(
    id === '0' ? `sample ${row}: location id 0` : `sample ${row}: unknown location ${id}`,
  );
}
