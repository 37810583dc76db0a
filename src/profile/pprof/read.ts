import { TephraError } from '../../base/errors.ts';
import { DAY_MS, NANOS_PER_MS } from '../../base/time.ts';
import { NO_MAPPING, type ProfileColumns, type ValueType } from '../columns.ts';
import { PROFILE_LIMITS, type ProfileLimits } from '../limits.ts';
import { appendTexts, NO_STACK_TEXT, TRUNCATED_TEXT } from '../synthetic.ts';
import { TAG } from './fields.ts';
import { IdTable } from './ids.ts';
import { isLegacyPprof } from './legacy.ts';
import { readSamples, readWideValues, type SyntheticLocations } from './samples.ts';
import { PprofScan } from './scan.ts';
import { PprofScratch } from './scratch.ts';
import { failString, readFunctions, readLocations, readMappings, readStrings } from './tables.ts';
import { Cursor, failProfile } from './wire.ts';

const DURATION_NANOS_MAX = BigInt(DAY_MS) * NANOS_PER_MS;
const NO_VALUE_TYPE: ValueType = { type: '', unit: '' };
const NO_SYNTHETIC: SyntheticLocations = { noStack: -1, truncated: -1 };

/**
 * Reads pprof profiles straight into columns, without an object per message. One reader per
 * worker: its arrays are used again, so what `read` returns is valid until the next `read`.
 */
export class PprofReader {
  readonly #limits: ProfileLimits;
  readonly #scan: PprofScan;
  readonly #scratch = new PprofScratch();
  readonly #cursor = new Cursor();
  readonly #mappingIds = new IdTable();
  readonly #functionIds = new IdTable();
  readonly #locationIds = new IdTable();

  constructor(limits: ProfileLimits = PROFILE_LIMITS) {
    this.#limits = limits;
    this.#scan = new PprofScan(limits);
  }

  /**
   * Columns of one profile; `payload` is already inflated (inflate.ts) and must stay as it is while
   * the columns are used. A profile without samples is legal here. Throws `empty_request`,
   * `malformed_protobuf`, `malformed_profile`, `invalid_duration`, `concatenated_profiles`,
   * `unsupported_format`, or the reason of a limit.
   */
  read(payload: Uint8Array): ProfileColumns {
    if (payload.byteLength === 0) throw new TephraError('empty_request', 'the profile has no bytes');
    // A Buffer has another hidden class: one kind of array keeps the loops monomorphic.
    const bytes = new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
    try {
      this.#scan.run(bytes);
      return this.#decode(bytes);
    } catch (thrown) {
      throw this.#explain(bytes, thrown);
    }
  }

  #decode(bytes: Uint8Array): ProfileColumns {
    const scan = this.#scan;
    const scratch = this.#scratch;
    const cursor = this.#cursor;
    const limits = this.#limits;
    if (scan.sampleTypes === 0) failProfile('no sample types');
    const durationNanos = this.#int64(bytes, scan.durationNanosAt);
    if (durationNanos < 0n || durationNanos > DURATION_NANOS_MAX) {
      throw new TephraError('invalid_duration', `duration_nanos ${durationNanos}, expected 0 to 24 h`);
    }
    // Before memory is taken for them: values that cannot all be there.
    if (scan.valueBytes < scan.samples * scan.sampleTypes) this.#failValueCounts(bytes);

    const needsNoStack = scan.emptyStacks > 0;
    const needsTruncated = scan.deepStacks > 0;
    const extra = Number(needsNoStack) + Number(needsTruncated);
    const frames = Math.min(scan.frames, limits.framesPerProfileMax + limits.stackDepthKept + 1);
    scratch.fit(scan, extra, frames);

    readStrings(bytes, scan, scratch, cursor, limits.stringBytesKept);
    this.#checkStringFields(bytes);
    const sampleTypes = this.#sampleTypes(bytes);
    const periodType =
      scan.periodTypeTo === 0
        ? NO_VALUE_TYPE
        : this.#valueTypes(bytes, scan.periodTypeFrom, scan.periodTypeTo, TAG.profilePeriodType);
    readMappings(bytes, scan, scratch, cursor, this.#mappingIds);
    readFunctions(bytes, scan, scratch, cursor, this.#functionIds);
    readLocations(
      bytes,
      scan,
      scratch,
      cursor,
      this.#locationIds,
      this.#mappingIds,
      this.#functionIds,
    );
    const synthetic: SyntheticLocations =
      extra === 0
        ? NO_SYNTHETIC
        : {
            noStack: needsNoStack ? scan.locations : -1,
            truncated: needsTruncated ? scan.locations + Number(needsNoStack) : -1,
          };
    const wide = readSamples(bytes, scan, scratch, cursor, this.#locationIds, synthetic, limits);
    const wideValues = wide ? readWideValues(bytes, scan, cursor) : undefined;
    const texts = extra === 0 ? bytes : this.#addSynthetic(bytes, needsNoStack, needsTruncated);

    return {
      bytes: texts,
      stringCount: scan.strings + extra,
      stringStart: scratch.stringStart,
      stringEnd: scratch.stringEnd,
      sampleTypes,
      periodType,
      period: this.#int64(bytes, scan.periodAt),
      timeNanos: this.#int64(bytes, scan.timeNanosAt),
      durationNanos,
      functionCount: scan.functions + extra,
      functionName: scratch.functionName,
      functionSystemName: scratch.functionSystemName,
      functionFile: scratch.functionFile,
      functionStartLine: scratch.functionStartLine,
      mappingCount: scan.mappings,
      mappingFile: scratch.mappingFile,
      mappingBuildId: scratch.mappingBuildId,
      locationCount: scan.locations + extra,
      locationMapping: scratch.locationMapping,
      locationAddressLow: scratch.locationAddressLow,
      locationAddressHigh: scratch.locationAddressHigh,
      locationLineStart: scratch.locationLineStart,
      lineFunction: scratch.lineFunction,
      lineNumber: scratch.lineNumber,
      lineColumn: scratch.lineColumn,
      sampleCount: scan.samples,
      sampleLocationStart: scratch.sampleLocationStart,
      sampleLocations: scratch.sampleLocations,
      values: scratch.values,
      wideValues,
      sampleLabelStart: scratch.sampleLabelStart,
      labelKey: scratch.labelKey,
      labelText: scratch.labelText,
    };
  }

  /** The int64 at an offset of the scan; 0n if absent. */
  #int64(bytes: Uint8Array, at: number): bigint {
    if (at < 0) return 0n;
    const value = this.#cursor.number(bytes, at);
    return Number.isSafeInteger(value) ? BigInt(value) : this.#cursor.big();
  }

  /** Appends a string, function, line and location for each synthetic frame in use. */
  #addSynthetic(bytes: Uint8Array, noStack: boolean, truncated: boolean): Uint8Array {
    const scan = this.#scan;
    const scratch = this.#scratch;
    const names: string[] = [];
    if (noStack) names.push(NO_STACK_TEXT);
    if (truncated) names.push(TRUNCATED_TEXT);
    const texts = appendTexts(bytes, names, scratch.stringStart, scratch.stringEnd, scan.strings);
    for (let i = 0; i < names.length; i++) {
      const fn = scan.functions + i;
      scratch.functionName[fn] = scan.strings + i;
      scratch.functionSystemName[fn] = 0;
      scratch.functionFile[fn] = 0;
      scratch.functionStartLine[fn] = 0;
      const line = scan.lines + i;
      scratch.lineFunction[line] = fn;
      scratch.lineNumber[line] = 0;
      scratch.lineColumn[line] = 0;
      const location = scan.locations + i;
      scratch.locationMapping[location] = NO_MAPPING;
      scratch.locationAddressLow[location] = 0;
      scratch.locationAddressHigh[location] = 0;
      scratch.locationLineStart[location + 1] = line + 1;
    }
    return texts;
  }

  #sampleTypes(bytes: Uint8Array): ValueType[] {
    const scan = this.#scan;
    const cursor = this.#cursor;
    const types: ValueType[] = [];
    let at = scan.sampleTypesFrom;
    while (at < scan.sampleTypesTo) {
      const tag = cursor.number(bytes, at);
      if (tag === TAG.profileSampleType) {
        const next = cursor.skip(bytes, tag, cursor.at);
        types.push(this.#valueTypes(bytes, at, next, tag));
        at = next;
      } else {
        at = cursor.skip(bytes, tag, cursor.at);
      }
    }
    return types;
  }

  /** The ValueType of field `wanted` in `[from, to)`; several occurrences are merged. */
  #valueTypes(bytes: Uint8Array, from: number, to: number, wanted: number): ValueType {
    const cursor = this.#cursor;
    const strings = this.#scan.strings;
    let at = from;
    let type = 0;
    let unit = 0;
    while (at < to) {
      const tag = cursor.number(bytes, at);
      if (tag !== wanted) {
        at = cursor.skip(bytes, tag, cursor.at);
        continue;
      }
      const size = cursor.number(bytes, cursor.at);
      at = cursor.at;
      const end = at + size;
      while (at < end) {
        const fieldTag = cursor.number(bytes, at);
        const valueAt = cursor.at;
        if (fieldTag !== TAG.valueTypeType && fieldTag !== TAG.valueTypeUnit) {
          at = cursor.skip(bytes, fieldTag, valueAt);
          continue;
        }
        const value = cursor.number(bytes, valueAt);
        at = cursor.at;
        if (value < 0 || value >= strings) {
          failString(bytes, valueAt, strings, 'value type at byte', from, 'type or unit');
        }
        if (fieldTag === TAG.valueTypeType) type = value;
        else unit = value;
      }
    }
    return { type: this.#text(bytes, type), unit: this.#text(bytes, unit) };
  }

  /** A short text; `Buffer` costs more than the few characters of a type. */
  #text(bytes: Uint8Array, index: number): string {
    const start = this.#scratch.stringStart[index] as number;
    const end = this.#scratch.stringEnd[index] as number;
    if (end - start < 24) {
      let text = '';
      let at = start;
      for (; at < end; at++) {
        const byte = bytes[at] as number;
        if (byte >= 0x80) break;
        text += String.fromCharCode(byte);
      }
      if (at === end) return text;
    }
    return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
  }

  /** String indices of Profile that are not kept but must be right all the same. */
  #checkStringFields(bytes: Uint8Array): void {
    const scan = this.#scan;
    this.#checkString(bytes, scan.dropFramesAt, 'drop_frames');
    this.#checkString(bytes, scan.keepFramesAt, 'keep_frames');
    this.#checkString(bytes, scan.defaultSampleTypeAt, 'default_sample_type');
    this.#checkString(bytes, scan.docUrlAt, 'doc_url');
    const cursor = this.#cursor;
    let at = scan.commentsFrom;
    while (at < scan.commentsTo) {
      const tag = cursor.number(bytes, at);
      at = cursor.at;
      if (tag === TAG.profileComment) {
        this.#checkString(bytes, at, 'comment');
        at = cursor.at;
      } else if (tag === TAG.profileCommentPacked) {
        const size = cursor.number(bytes, at);
        at = cursor.at;
        const end = at + size;
        while (at < end) {
          this.#checkString(bytes, at, 'comment');
          at = cursor.at;
        }
      } else {
        at = cursor.skip(bytes, tag, at);
      }
    }
  }

  #checkString(bytes: Uint8Array, at: number, field: string): void {
    if (at < 0) return;
    const value = this.#cursor.number(bytes, at);
    const strings = this.#scan.strings;
    if (value < 0 || value >= strings) failString(bytes, at, strings, 'profile', 0, field);
  }

  /** Finds the first sample with too few values; called when there must be one. */
  #failValueCounts(bytes: Uint8Array): never {
    const scan = this.#scan;
    const cursor = this.#cursor;
    let row = 0;
    let at = scan.samplesFrom;
    while (at < scan.samplesTo) {
      const tag = cursor.number(bytes, at);
      at = cursor.at;
      const next = cursor.skip(bytes, tag, at);
      if (tag === TAG.profileSample) {
        cursor.number(bytes, at);
        const found = this.#countValues(bytes, cursor.at, next);
        if (found !== scan.sampleTypes) {
          failProfile(`sample ${row} has ${found} values, expected ${scan.sampleTypes}`);
        }
        row++;
      }
      at = next;
    }
    return failProfile('fewer values than samples times sample types');
  }

  #countValues(bytes: Uint8Array, from: number, end: number): number {
    const cursor = this.#cursor;
    let count = 0;
    let at = from;
    while (at < end) {
      const tag = cursor.number(bytes, at);
      at = cursor.at;
      const next = cursor.skip(bytes, tag, at);
      if (tag === TAG.sampleValue) count++;
      if (tag === TAG.sampleValuePacked) {
        cursor.number(bytes, at);
        for (let i = cursor.at; i < next; i++) if ((bytes[i] as number) < 0x80) count++;
      }
      at = next;
    }
    return count;
  }

  /** Gives the two common mistakes of senders their own reason. */
  #explain(bytes: Uint8Array, thrown: unknown): unknown {
    if (!(thrown instanceof TephraError)) return thrown;
    if (thrown.reason === 'malformed_protobuf' && isLegacyPprof(bytes)) {
      return new TephraError(
        'unsupported_format',
        'legacy pprof; expected the protobuf form (go: pprof.WriteTo with debug 0)',
      );
    }
    if (thrown.reason === 'malformed_profile' && this.#looksConcatenated(bytes)) {
      return new TephraError('concatenated_profiles', 'the body holds more than one profile', {
        cause: thrown,
      });
    }
    return thrown;
  }

  /**
   * Two profiles one after the other are one protobuf message to a decoder, and contradict
   * themselves. They are told by a second empty string, and sample types on both sides of the
   * first; only asked about profiles that are refused anyway.
   */
  #looksConcatenated(bytes: Uint8Array): boolean {
    const scan = this.#scan;
    if (scan.sampleTypes < 2 || scan.strings < 2) return false;
    if (!(scan.sampleTypesFrom < scan.stringsFrom && scan.stringsFrom < scan.sampleTypesTo)) {
      return false;
    }
    const cursor = this.#cursor;
    let empty = 0;
    let at = scan.stringsFrom;
    while (at < scan.stringsTo) {
      const tag = cursor.number(bytes, at);
      at = cursor.at;
      if (tag === TAG.profileString && bytes[at] === 0) empty++;
      at = cursor.skip(bytes, tag, at);
    }
    return empty > 1;
  }
}
