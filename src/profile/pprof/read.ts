import { TephraError } from '../../base/errors.ts';
import { DAY_MS, NANOS_PER_MS } from '../../base/time.ts';
import { NO_MAPPING, type ProfileColumns } from '../columns.ts';
import { PROFILE_LIMITS, type ProfileLimits } from '../limits.ts';
import { appendTexts, NO_STACK_TEXT, TRUNCATED_TEXT } from '../synthetic.ts';
import { FIELD } from './fields.ts';
import { HeaderReader, NO_VALUE_TYPE } from './header.ts';
import { IdTable } from './ids.ts';
import { foreignFormat } from './foreign.ts';
import { type Ids, LocationReader } from './locations.ts';
import { SampleReader } from './samples.ts';
import { PprofScan } from './scan.ts';
import { PprofScratch, type ScratchRows } from './scratch.ts';
import { readFunctions, readMappings, readStrings } from './tables.ts';
import { Cursor, failProfile } from './wire.ts';

const DURATION_NANOS_MAX = DAY_MS * Number(NANOS_PER_MS);
const STRING_TAG = 0x32;
const NO_BYTES = new Uint8Array(0);

/** Synthetic locations that a profile may need: one for no stack, one for a cut stack. */
const SYNTHETIC_MAX = 2;

type MutableColumns = { -readonly [K in keyof ProfileColumns]: ProfileColumns[K] };

/**
 * Reads pprof profiles straight into columns, without an object per message. One reader per
 * worker: its arrays are used again, so what `read` returns is valid until the next `read`.
 */
export class PprofReader {
  readonly #limits: ProfileLimits;
  readonly #scratch = new PprofScratch();
  readonly #ids: Ids = {
    mappings: new IdTable(),
    functions: new IdTable(),
    locations: new IdTable(),
  };
  readonly #cursor: Cursor;
  readonly #scan: PprofScan;
  readonly #header: HeaderReader;
  readonly #locations: LocationReader;
  readonly #samples: SampleReader;
  /** What `read` gives out, made anew with the arrays: it has the size of a small profile. */
  #columns: MutableColumns | undefined;
  #columnsMadeAt = -1;
  readonly #rows: ScratchRows = {
    strings: 0,
    functions: 0,
    mappings: 0,
    locations: 0,
    lines: 0,
    samples: 0,
    frames: 0,
    values: 0,
    labels: 0,
  };

  constructor(limits: ProfileLimits = PROFILE_LIMITS) {
    this.#limits = limits;
    this.#cursor = new Cursor(limits.unknownFieldsMax);
    this.#scan = new PprofScan(limits, this.#cursor);
    this.#header = new HeaderReader(this.#scratch, this.#cursor);
    this.#locations = new LocationReader(limits, this.#scratch, this.#cursor, this.#ids);
    this.#samples = new SampleReader(limits, this.#scratch, this.#cursor, this.#ids.locations);
  }

  /**
   * Columns of one profile; `payload` is already inflated (inflate.ts) and must stay as it is while
   * the columns are used. A profile without samples is legal here. Throws `empty_request`,
   * `malformed_protobuf`, `malformed_profile`, `invalid_duration`, `concatenated_profiles`,
   * `unsupported_format`, or the reason of a limit.
   */
  read(payload: Uint8Array): ProfileColumns {
    if (payload.byteLength === 0) {
      throw new TephraError('empty_request', 'the profile has no bytes');
    }
    // A Buffer has another hidden class: one kind of array keeps the loops monomorphic.
    const bytes =
      payload.constructor === Uint8Array
        ? payload
        : new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
    try {
      this.#cursor.unknown = 0;
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
    const header = this.#header;
    const rows = scan.rows;
    const strings = rows[FIELD.string] as number;
    const functions = rows[FIELD.function] as number;
    const locations = rows[FIELD.location] as number;
    const samples = rows[FIELD.sample] as number;
    const types = rows[FIELD.sampleType] as number;
    if (types === 0) failProfile('no sample types');
    const durationNanos = header.int64(bytes, scan.durationNanosAt);
    // Compared as doubles: within 2^53 they are exact, and beyond it far from both bounds.
    const duration = Number(durationNanos);
    if (duration < 0 || duration > DURATION_NANOS_MAX) {
      throw new TephraError(
        'invalid_duration',
        `duration_nanos ${durationNanos}, expected 0 to 24 h`,
      );
    }
    this.#fit(bytes);

    readStrings(bytes, scan, scratch, cursor, this.#limits.stringBytesKept);
    header.checkStrings(bytes, scan);
    const sampleTypes = header.sampleTypes(bytes, scan);
    const periodType = header.periodType(bytes, scan);
    readMappings(bytes, scan, scratch, cursor, this.#ids.mappings);
    readFunctions(bytes, scan, scratch, cursor, this.#ids.functions);
    this.#locations.read(bytes, scan);
    this.#samples.read(bytes, scan);
    const wideValues = this.#samples.wide ? this.#samples.readWideValues(bytes, scan) : undefined;
    // The place of a row is fixed, so cut stacks bring the row for missing ones along.
    const extra = this.#samples.deepStacks ? SYNTHETIC_MAX : Number(this.#samples.emptyStacks);

    const columns = this.#openColumns();
    columns.bytes = extra === 0 ? bytes : this.#addSynthetic(bytes, extra);
    columns.stringCount = strings + extra;
    columns.sampleTypes = sampleTypes;
    columns.periodType = periodType;
    columns.period = header.period(bytes, scan.periodAt);
    columns.timeNanos = header.int64(bytes, scan.timeNanosAt);
    columns.durationNanos = durationNanos;
    columns.functionCount = functions + extra;
    columns.mappingCount = rows[FIELD.mapping] as number;
    columns.locationCount = locations + extra;
    columns.sampleCount = samples;
    columns.wideValues = wideValues;
    return columns;
  }

  /** The columns with the arrays of now; what is no array is still of the profile before. */
  #openColumns(): MutableColumns {
    const scratch = this.#scratch;
    if (this.#columns === undefined || this.#columnsMadeAt !== scratch.changes) {
      this.#columns = columnsOf(scratch);
      this.#columnsMadeAt = scratch.changes;
    }
    return this.#columns;
  }

  /** Takes memory for what the scan saw, each kind in proportion to its bytes in the payload. */
  #fit(bytes: Uint8Array): void {
    const { rows, bytesOf } = this.#scan;
    const limits = this.#limits;
    const wanted = this.#rows;
    const samples = rows[FIELD.sample] as number;
    const sampleBytes = bytesOf[FIELD.sample] as number;
    wanted.values = samples * (rows[FIELD.sampleType] as number);
    // A value takes a byte at least: with fewer bytes, some sample lacks one.
    if (wanted.values > sampleBytes) {
      const wrong = this.#scan.findValueCount(bytes);
      failProfile(
        `sample ${wrong?.row} has ${wrong?.found} values, expected ${rows[FIELD.sampleType]}`,
      );
    }
    wanted.strings = (rows[FIELD.string] as number) + SYNTHETIC_MAX;
    wanted.functions = (rows[FIELD.function] as number) + SYNTHETIC_MAX;
    wanted.mappings = rows[FIELD.mapping] as number;
    wanted.locations = (rows[FIELD.location] as number) + SYNTHETIC_MAX;
    // The least line and the least label take four bytes: tag, size, and a field.
    wanted.lines =
      Math.min((bytesOf[FIELD.location] as number) >> 2, limits.linesPerProfileMax) + SYNTHETIC_MAX;
    wanted.samples = samples;
    wanted.frames = Math.min(sampleBytes + samples, limits.framesPerProfileMax);
    wanted.labels = sampleBytes >> 2;
    this.#scratch.fit(wanted);
  }

  /** Appends `extra` synthetic strings, functions, lines and locations; returns the new bytes. */
  #addSynthetic(bytes: Uint8Array, extra: number): Uint8Array {
    const scratch = this.#scratch;
    const rows = this.#scan.rows;
    const names = [NO_STACK_TEXT, TRUNCATED_TEXT].slice(0, extra);
    const string = rows[FIELD.string] as number;
    for (let i = 0; i < extra; i++) {
      const functionRow = (rows[FIELD.function] as number) + i;
      scratch.functionName[functionRow] = string + i;
      scratch.functionSystemName[functionRow] = 0;
      scratch.functionFile[functionRow] = 0;
      scratch.functionStartLine[functionRow] = 0;
      const line = this.#locations.lines + i;
      scratch.lineFunction[line] = functionRow;
      scratch.lineNumber[line] = 0;
      scratch.lineColumn[line] = 0;
      const location = (rows[FIELD.location] as number) + i;
      scratch.locationMapping[location] = NO_MAPPING;
      scratch.locationAddressLow[location] = 0;
      scratch.locationAddressHigh[location] = 0;
      scratch.locationLineStart[location + 1] = line + 1;
    }
    return appendTexts(bytes, names, scratch.stringStart, scratch.stringEnd, string);
  }

  /** Gives the two common mistakes of senders their own reason. */
  #explain(bytes: Uint8Array, thrown: unknown): unknown {
    if (!(thrown instanceof TephraError)) return thrown;
    const format = thrown.reason === 'malformed_protobuf' ? foreignFormat(bytes) : undefined;
    if (format !== undefined) {
      return new TephraError('unsupported_format', `${format}; expected pprof in protobuf`);
    }
    if (thrown.reason === 'malformed_profile' && this.#looksConcatenated(bytes)) {
      return new TephraError('concatenated_profiles', 'the body holds more than one profile', {
        cause: thrown,
      });
    }
    return thrown;
  }

  /**
   * Two profiles one after the other are one message to protobuf, and contradict themselves. They
   * are told by a second empty string, and by sample types on both sides of the first; asked only
   * of profiles that are refused anyway.
   */
  #looksConcatenated(bytes: Uint8Array): boolean {
    const { from, to } = this.#scan;
    const stringsFrom = from[FIELD.string] as number;
    const stringsTo = to[FIELD.string] as number;
    const between =
      (from[FIELD.sampleType] as number) < stringsFrom &&
      stringsFrom < (to[FIELD.sampleType] as number);
    if (!between) return false;
    const cursor = this.#cursor;
    let empty = 0;
    for (let at = stringsFrom; at < stringsTo;) {
      const tag = cursor.tag(bytes, at, stringsTo);
      const next = cursor.behind(bytes, tag, cursor.at, stringsTo);
      if (tag === STRING_TAG && cursor.at === next) empty++;
      at = next;
    }
    return empty > 1;
  }
}

/** Columns over the arrays of `scratch`, of no profile yet. */
function columnsOf(scratch: PprofScratch): MutableColumns {
  return {
    bytes: NO_BYTES,
    stringCount: 0,
    sampleTypes: [],
    periodType: NO_VALUE_TYPE,
    period: 0n,
    timeNanos: 0n,
    durationNanos: 0n,
    functionCount: 0,
    mappingCount: 0,
    locationCount: 0,
    sampleCount: 0,
    wideValues: undefined,
    stringStart: scratch.stringStart,
    stringEnd: scratch.stringEnd,
    functionName: scratch.functionName,
    functionSystemName: scratch.functionSystemName,
    functionFile: scratch.functionFile,
    functionStartLine: scratch.functionStartLine,
    mappingFile: scratch.mappingFile,
    mappingBuildId: scratch.mappingBuildId,
    locationMapping: scratch.locationMapping,
    locationAddressLow: scratch.locationAddressLow,
    locationAddressHigh: scratch.locationAddressHigh,
    locationLineStart: scratch.locationLineStart,
    lineFunction: scratch.lineFunction,
    lineNumber: scratch.lineNumber,
    lineColumn: scratch.lineColumn,
    sampleLocationStart: scratch.sampleLocationStart,
    sampleLocations: scratch.sampleLocations,
    values: scratch.values,
    sampleLabelStart: scratch.sampleLabelStart,
    labelKey: scratch.labelKey,
    labelText: scratch.labelText,
  };
}
