import { TephraError, type Reason } from '../../base/errors.ts';
import type { ProfileLimits } from '../limits.ts';
import { KNOWN, TAG } from './fields.ts';
import { failProfile, failWire, WIRE_BYTES, WIRE_FIXED32, WIRE_FIXED64, WIRE_VARINT } from './wire.ts';

/**
 * The first pass over a pprof: proves that every tag, length and varint lies inside its container,
 * counts the rows of each table and applies the limits. It allocates nothing, so a small gzip that
 * unfolds into millions of empty messages is refused before any memory is taken for it.
 *
 * What holds after {@link run}, and what the second pass therefore does not check again:
 * - every message and varint ends inside its parent, every known field has its wire type;
 * - a packed field ends at the end of a varint (that none of them is over 10 bytes is checked by
 *   `Cursor.read` when they are decoded);
 * - the counts below are exact, `frames` and `valueBytes` are upper bounds.
 */
export class PprofScan {
  readonly #limits: ProfileLimits;
  /** Result of the last slow tag or size, and the offset behind it. */
  #at = 0;
  #unknown = 0;

  samples = 0;
  mappings = 0;
  locations = 0;
  lines = 0;
  functions = 0;
  strings = 0;
  sampleTypes = 0;
  labels = 0;
  /** Upper bound of the frames kept of all samples, synthetic ones included. */
  frames = 0;
  /** Upper bound of the values of all samples. */
  valueBytes = 0;
  /** Samples without any location; samples with more locations than are kept. */
  emptyStacks = 0;
  deepStacks = 0;

  /** Where the fields of a table begin and end; other fields may lie between them. */
  samplesFrom = 0;
  samplesTo = 0;
  mappingsFrom = 0;
  mappingsTo = 0;
  locationsFrom = 0;
  locationsTo = 0;
  functionsFrom = 0;
  functionsTo = 0;
  stringsFrom = 0;
  stringsTo = 0;
  sampleTypesFrom = 0;
  sampleTypesTo = 0;
  periodTypeFrom = 0;
  periodTypeTo = 0;
  commentsFrom = 0;
  commentsTo = 0;

  /** Offset of the varint of the last occurrence; -1 = absent. */
  timeNanosAt = -1;
  durationNanosAt = -1;
  periodAt = -1;
  dropFramesAt = -1;
  keepFramesAt = -1;
  defaultSampleTypeAt = -1;
  docUrlAt = -1;

  constructor(limits: ProfileLimits) {
    this.#limits = limits;
  }

  /**
   * Scans a whole profile. Throws `malformed_protobuf` with the offset, `malformed_profile`, or
   * the reason of the limit that is exceeded.
   */
  run(bytes: Uint8Array): void {
    this.#reset();
    const limits = this.#limits;
    const end = bytes.byteLength;
    let at = 0;
    while (at < end) {
      const fieldAt = at;
      let tag = bytes[at++] as number;
      if (tag >= 0x80) {
        tag = this.#longTag(bytes, fieldAt, end);
        at = this.#at;
      }
      if ((tag & 7) !== WIRE_BYTES || tag > TAG.profileString) {
        at = this.#scalar(bytes, tag, at, fieldAt, end);
        continue;
      }
      let size = bytes[at++] as number;
      if (size >= 0x80) {
        size = this.#longSize(bytes, at - 1, end);
        at = this.#at;
      }
      const next = at + size;
      if (!(next <= end)) failLength(tag, size, at, end, fieldAt);
      switch (tag) {
        case TAG.profileString:
          if (this.strings++ === 0) this.stringsFrom = fieldAt;
          this.stringsTo = next;
          if (this.strings > limits.stringsPerProfileMax) {
            failLimit('strings_limit', limits.stringsPerProfileMax);
          }
          break;
        case TAG.profileSample:
          if (this.samples++ === 0) this.samplesFrom = fieldAt;
          this.samplesTo = next;
          if (this.samples > limits.samplesPerProfileMax) {
            failLimit('samples_limit', limits.samplesPerProfileMax);
          }
          this.#sample(bytes, at, next);
          break;
        case TAG.profileLocation:
          if (this.locations++ === 0) this.locationsFrom = fieldAt;
          this.locationsTo = next;
          if (this.locations > limits.locationsPerProfileMax) {
            failLimit('locations_limit', limits.locationsPerProfileMax);
          }
          this.#location(bytes, at, next);
          break;
        case TAG.profileFunction:
          if (this.functions++ === 0) this.functionsFrom = fieldAt;
          this.functionsTo = next;
          if (this.functions > limits.functionsPerProfileMax) {
            failLimit('functions_limit', limits.functionsPerProfileMax);
          }
          this.#flat(bytes, at, next, KNOWN.function);
          break;
        case TAG.profileMapping:
          if (this.mappings++ === 0) this.mappingsFrom = fieldAt;
          this.mappingsTo = next;
          if (this.mappings > limits.mappingsPerProfileMax) {
            failLimit('mappings_limit', limits.mappingsPerProfileMax);
          }
          this.#flat(bytes, at, next, KNOWN.mapping);
          break;
        case TAG.profileSampleType:
          if (this.sampleTypes++ === 0) this.sampleTypesFrom = fieldAt;
          this.sampleTypesTo = next;
          if (this.sampleTypes > limits.sampleTypesPerProfileMax) {
            failLimit('sample_types_limit', limits.sampleTypesPerProfileMax);
          }
          this.#flat(bytes, at, next, KNOWN.valueType);
          break;
        default:
          failWire(`field number 0 at byte ${fieldAt}`);
      }
      at = next;
    }
  }

  #reset(): void {
    this.#unknown = 0;
    this.samples = 0;
    this.mappings = 0;
    this.locations = 0;
    this.lines = 0;
    this.functions = 0;
    this.strings = 0;
    this.sampleTypes = 0;
    this.labels = 0;
    this.frames = 0;
    this.valueBytes = 0;
    this.emptyStacks = 0;
    this.deepStacks = 0;
    this.samplesFrom = this.samplesTo = 0;
    this.mappingsFrom = this.mappingsTo = 0;
    this.locationsFrom = this.locationsTo = 0;
    this.functionsFrom = this.functionsTo = 0;
    this.stringsFrom = this.stringsTo = 0;
    this.sampleTypesFrom = this.sampleTypesTo = 0;
    this.periodTypeFrom = this.periodTypeTo = 0;
    this.commentsFrom = this.commentsTo = 0;
    this.timeNanosAt = -1;
    this.durationNanosAt = -1;
    this.periodAt = -1;
    this.dropFramesAt = -1;
    this.keepFramesAt = -1;
    this.defaultSampleTypeAt = -1;
    this.docUrlAt = -1;
  }

  /** A field of Profile that is no table; returns the offset behind it. */
  #scalar(bytes: Uint8Array, tag: number, at: number, fieldAt: number, end: number): number {
    switch (tag) {
      case TAG.profileTimeNanos:
        this.timeNanosAt = at;
        break;
      case TAG.profileDurationNanos:
        this.durationNanosAt = at;
        break;
      case TAG.profilePeriod:
        this.periodAt = at;
        break;
      case TAG.profileDropFrames:
        this.dropFramesAt = at;
        break;
      case TAG.profileKeepFrames:
        this.keepFramesAt = at;
        break;
      case TAG.profileDefaultSampleType:
        this.defaultSampleTypeAt = at;
        break;
      case TAG.profileDocUrl:
        this.docUrlAt = at;
        break;
      case TAG.profileComment:
      case TAG.profileCommentPacked:
        if (this.commentsTo === 0) this.commentsFrom = fieldAt;
        break;
      case TAG.profilePeriodType:
        if (this.periodTypeTo === 0) this.periodTypeFrom = fieldAt;
        break;
      default:
        return this.#other(bytes, tag, at, fieldAt, end, KNOWN.profile);
    }
    if ((tag & 7) === WIRE_VARINT) {
      const next = this.#skipVarint(bytes, at, end);
      if (tag === TAG.profileComment) this.commentsTo = next;
      return next;
    }
    const size = this.#longSize(bytes, at, end);
    const next = this.#at + size;
    if (!(next <= end)) failLength(tag, size, this.#at, end, fieldAt);
    if (tag === TAG.profilePeriodType) {
      this.#flat(bytes, this.#at, next, KNOWN.valueType);
      this.periodTypeTo = next;
    } else {
      if (size > 0) checkPackedEnd(bytes, next);
      this.commentsTo = next;
    }
    return next;
  }

  #sample(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    let idBytes = 0;
    let labels = 0;
    while (at < end) {
      const fieldAt = at;
      let tag = bytes[at++] as number;
      if (tag >= 0x80) {
        tag = this.#longTag(bytes, fieldAt, end);
        at = this.#at;
      }
      if (
        tag === TAG.sampleLocationPacked ||
        tag === TAG.sampleValuePacked ||
        tag === TAG.sampleLabel
      ) {
        let size = bytes[at++] as number;
        if (size >= 0x80) {
          size = this.#longSize(bytes, at - 1, end);
          at = this.#at;
        }
        const next = at + size;
        if (!(next <= end)) failLength(tag, size, at, end, fieldAt);
        if (tag === TAG.sampleLabel) {
          labels++;
          // Refused here and not when decoded: such labels cost a bomb two bytes each.
          if (size === 0) failProfile(`sample ${this.samples - 1}: label ${labels - 1}: no key`);
          this.#flat(bytes, at, next, KNOWN.label);
        } else if (size > 0) {
          checkPackedEnd(bytes, next);
          if (tag === TAG.sampleLocationPacked) idBytes += size;
          else this.valueBytes += size;
        }
        at = next;
      } else if (tag === TAG.sampleLocation) {
        at = this.#skipVarint(bytes, at, end);
        idBytes++;
      } else if (tag === TAG.sampleValue) {
        at = this.#skipVarint(bytes, at, end);
        this.valueBytes++;
      } else {
        at = this.#other(bytes, tag, at, fieldAt, end, KNOWN.sample);
      }
    }
    const limits = this.#limits;
    if (labels > 0) {
      if (labels > limits.labelsPerSampleMax) {
        throw new TephraError(
          'sample_labels_limit',
          `sample ${this.samples - 1}: ${labels} > ${limits.labelsPerSampleMax}`,
        );
      }
      this.labels += labels;
    }
    const kept = limits.stackDepthKept;
    if (idBytes === 0) {
      this.emptyStacks++;
      this.frames++;
    } else if (idBytes <= kept) {
      this.frames += idBytes;
    } else {
      this.#deepSample(bytes, start, end);
    }
  }

  /** A sample with so many bytes of location ids that their exact number matters. */
  #deepSample(bytes: Uint8Array, start: number, end: number): void {
    const limits = this.#limits;
    const depth = this.#countLocations(bytes, start, end);
    if (depth > limits.stackDepthMax) {
      throw new TephraError(
        'stack_depth',
        `sample ${this.samples - 1}: ${depth} > ${limits.stackDepthMax}`,
      );
    }
    if (depth > limits.stackDepthKept) this.deepStacks++;
    this.frames += Math.min(depth, limits.stackDepthKept + 1);
  }

  #countLocations(bytes: Uint8Array, start: number, end: number): number {
    let count = 0;
    let at = start;
    while (at < end) {
      const fieldAt = at;
      const tag = this.#longTag(bytes, at, end);
      at = this.#at;
      if (tag === TAG.sampleLocation) {
        count++;
        at = this.#skipVarint(bytes, at, end);
      } else if ((tag & 7) === WIRE_BYTES) {
        const size = this.#longSize(bytes, at, end);
        at = this.#at;
        const next = at + size;
        if (tag === TAG.sampleLocationPacked) {
          for (let i = at; i < next; i++) if ((bytes[i] as number) < 0x80) count++;
        }
        at = next;
      } else if (tag === TAG.sampleValue) {
        at = this.#skipVarint(bytes, at, end);
      } else {
        at = this.#other(bytes, tag, at, fieldAt, end, 0);
      }
    }
    return count;
  }

  #location(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    let lines = 0;
    while (at < end) {
      const fieldAt = at;
      let tag = bytes[at++] as number;
      if (tag >= 0x80) {
        tag = this.#longTag(bytes, fieldAt, end);
        at = this.#at;
      }
      if (tag === TAG.locationLine) {
        let size = bytes[at++] as number;
        if (size >= 0x80) {
          size = this.#longSize(bytes, at - 1, end);
          at = this.#at;
        }
        const next = at + size;
        if (!(next <= end)) failLength(tag, size, at, end, fieldAt);
        lines++;
        this.#flat(bytes, at, next, KNOWN.line);
        at = next;
      } else if (
        tag === TAG.locationId ||
        tag === TAG.locationMapping ||
        tag === TAG.locationAddress ||
        tag === TAG.locationFolded
      ) {
        at = this.#skipVarint(bytes, at, end);
      } else {
        at = this.#other(bytes, tag, at, fieldAt, end, KNOWN.location);
      }
    }
    const limits = this.#limits;
    if (lines > limits.linesPerLocationMax) {
      throw new TephraError(
        'location_lines_limit',
        `location ${this.locations - 1}: ${lines} > ${limits.linesPerLocationMax}`,
      );
    }
    this.lines += lines;
    if (this.lines > limits.linesPerProfileMax) {
      throw new TephraError(
        'location_lines_limit',
        `lines of all locations: ${this.lines} > ${limits.linesPerProfileMax}`,
      );
    }
  }

  /** A message whose known fields are all varints. */
  #flat(bytes: Uint8Array, start: number, end: number, known: number): void {
    let at = start;
    while (at < end) {
      const fieldAt = at;
      let tag = bytes[at++] as number;
      if (tag >= 0x80) {
        tag = this.#longTag(bytes, fieldAt, end);
        at = this.#at;
      }
      if ((tag & 7) === WIRE_VARINT && tag < 0x80 && ((known >>> (tag >>> 3)) & 1) === 1) {
        if (at < end && (bytes[at] as number) < 0x80) at++;
        else at = this.#skipVarint(bytes, at, end);
      } else {
        at = this.#other(bytes, tag, at, fieldAt, end, known);
      }
    }
  }

  /** A field that is unknown or has a wire type that it must not have. */
  #other(
    bytes: Uint8Array,
    tag: number,
    at: number,
    fieldAt: number,
    end: number,
    known: number,
  ): number {
    const field = Math.floor(tag / 8);
    const wireType = tag & 7;
    if (wireType === 6 || wireType === 7) failWire(`wire type ${wireType} at byte ${fieldAt}`);
    if (field === 0) failWire(`field number 0 at byte ${fieldAt}`);
    if (wireType === 3 || wireType === 4) {
      failWire(`groups are not supported, field ${field} at byte ${fieldAt}`);
    }
    if (field < 32 && ((known >>> field) & 1) === 1) {
      failWire(`field ${field} has wire type ${wireType}, which it must not, at byte ${fieldAt}`);
    }
    if (++this.#unknown > this.#limits.unknownFieldsMax) {
      failLimit('too_many_fields', this.#limits.unknownFieldsMax);
    }
    let next = at;
    switch (wireType) {
      case WIRE_VARINT:
        return this.#skipVarint(bytes, at, end);
      case WIRE_FIXED64:
        next = at + 8;
        break;
      case WIRE_FIXED32:
        next = at + 4;
        break;
      default: {
        const size = this.#longSize(bytes, at, end);
        next = this.#at + size;
        if (!(next <= end)) failLength(tag, size, this.#at, end, fieldAt);
      }
    }
    if (next > end) failWire(`field ${field} runs past the end at byte ${fieldAt}`);
    return next;
  }

  #skipVarint(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      if ((bytes[at++] as number) < 0x80) return at;
      if (at - start >= 10) failWire(`varint longer than 10 bytes at byte ${start}`);
    }
    return failWire(`truncated varint at byte ${start}`);
  }

  /** A tag of any length; leaves the offset behind it in `#at`. */
  #longTag(bytes: Uint8Array, start: number, end: number): number {
    const tag = this.#long(bytes, start, end);
    if (tag > 0xffff_ffff) failWire(`tag ${tag} is beyond 32 bits at byte ${start}`);
    return tag;
  }

  /** A length of any length; the caller compares it with what is left. */
  #longSize(bytes: Uint8Array, start: number, end: number): number {
    return this.#long(bytes, start, end);
  }

  /** An unsigned varint as a double: right wherever it is compared with something small. */
  #long(bytes: Uint8Array, start: number, end: number): number {
    const next = this.#skipVarint(bytes, start, end);
    let value = 0;
    for (let at = next - 1; at >= start; at--) value = value * 128 + ((bytes[at] as number) & 0x7f);
    this.#at = next;
    return value;
  }
}

function checkPackedEnd(bytes: Uint8Array, end: number): void {
  if ((bytes[end - 1] as number) >= 0x80) failWire(`truncated varint at byte ${end - 1}`);
}

function failLength(tag: number, size: number, at: number, end: number, fieldAt: number): never {
  // Without a size byte at all `size` is not a number: the message ended before it.
  if (Number.isNaN(at + size)) failWire(`truncated varint at byte ${Math.min(at - 1, end)}`);
  failWire(
    `field ${tag >>> 3} length ${size} exceeds remaining ${Math.max(0, end - at)} at byte ${fieldAt}`,
  );
}

function failLimit(reason: Reason, limit: number): never {
  throw new TephraError(reason, `more than ${limit}`);
}
