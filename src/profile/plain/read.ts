import { DELIMITED, VARINT } from '../../base/wire-types.ts';
import { TephraError } from '../../base/errors.ts';
import { NO_MAPPING, type ProfileColumns, type ValueType } from '../columns.ts';
import { PROFILE_LIMITS, type ProfileLimits } from '../limits.ts';
import { Cursor, failProfile } from '../pprof/wire.ts';
import { appendTexts, NO_STACK_TEXT, TRUNCATED_TEXT } from '../synthetic.ts';
import { cutText } from '../pprof/tables.ts';

/** Fields of `tephra.v1.PlainProfile`. */
const STRINGS = 1;
const TYPES = 2;
const PERIOD_TYPE = 3;
const PERIOD = 4;
const FRAME_FUNCTION = 5;
const FRAME_FILE = 6;
const FRAME_LINE = 7;
const STACK_FRAMES = 8;
const STACK_DEPTH = 9;
const VALUES = 10;
/** All of them, by bit. */
const KNOWN = 0x7fe;

/**
 * Reads `tephra.v1.PlainProfile`: frames, stacks and values as columns. A first pass counts and checks
 * against the limits without allocating, a second fills columns of just that length. Every frame is a
 * function, a line and a location of its own.
 */
export class PlainReader {
  readonly #limits: ProfileLimits;

  constructor(limits: ProfileLimits = PROFILE_LIMITS) {
    this.#limits = limits;
  }

  /**
   * Columns of one profile; `payload` is already inflated and must stay as it is while the columns are
   * used. Throws `malformed_protobuf`, `malformed_profile`, `invalid_utf8`, or the reason of a limit.
   */
  read(payload: Uint8Array): ProfileColumns {
    const bytes = new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
    const counts = new Counts(this.#limits);
    walk(bytes, this.#limits.unknownFieldsMax, counts);
    counts.check();
    const fields = new Fields(bytes, counts);
    walk(bytes, this.#limits.unknownFieldsMax, fields);
    return columnsOf(fields, this.#limits);
  }
}

/** What a pass over the fields is told. */
interface Visitor {
  text(start: number, end: number): void;
  type(field: number, type: ValueType): void;
  /** A varint of a number field; `cursor` holds it. */
  number(field: number, cursor: Cursor): void;
}

function walk(bytes: Uint8Array, unknownFieldsMax: number, visitor: Visitor): void {
  const cursor = new Cursor(unknownFieldsMax);
  const end = bytes.byteLength;
  for (let at = 0; at < end;) {
    const tag = cursor.tag(bytes, at, end);
    at = cursor.at;
    const field = tag >>> 3;
    const wireType = tag & 7;
    const isColumn = field >= FRAME_FUNCTION && field <= VALUES;
    if (wireType === DELIMITED && field >= STRINGS && field <= VALUES && field !== PERIOD) {
      const to = cursor.span(bytes, at, end);
      at = cursor.at;
      if (isColumn) {
        while (at < to) {
          cursor.varint(bytes, at, to);
          at = cursor.at;
          visitor.number(field, cursor);
        }
      } else if (field === STRINGS) visitor.text(at, to);
      else visitor.type(field, readType(bytes, cursor, at, to));
      at = to;
    } else if (wireType === VARINT && (isColumn || field === PERIOD)) {
      cursor.varint(bytes, at, end);
      at = cursor.at;
      visitor.number(field, cursor);
    } else {
      at = cursor.skip(bytes, tag, at, end, KNOWN);
    }
  }
}

function readType(bytes: Uint8Array, cursor: Cursor, from: number, end: number): ValueType {
  const texts = ['', ''];
  for (let at = from; at < end;) {
    const tag = cursor.tag(bytes, at, end);
    at = cursor.at;
    const field = tag >>> 3;
    if ((tag & 7) === DELIMITED && (field === 1 || field === 2)) {
      const to = cursor.span(bytes, at, end);
      texts[field - 1] = utf8Text(bytes, cursor.at, to);
      at = to;
    } else {
      at = cursor.skip(bytes, tag, at, end, 0b110);
    }
  }
  return { type: texts[0] as string, unit: texts[1] as string };
}

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8Text(bytes: Uint8Array, start: number, end: number): string {
  try {
    return DECODER.decode(bytes.subarray(start, end));
  } catch {
    throw new TephraError('invalid_utf8', `the text at byte ${start}`);
  }
}

/** First pass: counts, against the limits. */
class Counts implements Visitor {
  readonly #limits: ProfileLimits;
  readonly of = new Float64Array(VALUES + 1);

  constructor(limits: ProfileLimits) {
    this.#limits = limits;
  }

  text(): void {
    this.#count(STRINGS, 'strings_limit', this.#limits.stringsPerProfileMax);
  }

  type(field: number): void {
    if (field === TYPES) {
      this.#count(TYPES, 'sample_types_limit', this.#limits.sampleTypesPerProfileMax);
    }
  }

  number(field: number): void {
    const limits = this.#limits;
    switch (field) {
      case FRAME_FUNCTION:
      case FRAME_FILE:
      case FRAME_LINE:
        this.#count(field, 'functions_limit', limits.functionsPerProfileMax);
        break;
      case STACK_FRAMES:
        this.#count(field, 'total_frames_limit', limits.framesPerProfileMax);
        break;
      case STACK_DEPTH:
        this.#count(field, 'samples_limit', limits.samplesPerProfileMax);
        break;
      case VALUES:
        // What is too many for the stacks is told when these are known.
        this.#count(
          field,
          'samples_limit',
          limits.samplesPerProfileMax * limits.sampleTypesPerProfileMax,
        );
        break;
      default:
        break;
    }
  }

  /** Before anything is allocated: columns that do not fit together. */
  check(): void {
    const [types, stacks, values] = [TYPES, STACK_DEPTH, VALUES].map((field) => this.of[field]);
    if (types === 0) failProfile('expected at least one type, found none');
    if (values === (stacks as number) * (types as number)) return;
    failProfile(`${values} values: expected ${stacks} stacks times ${types} types`);
  }

  #count(field: number, reason: Parameters<typeof limit>[0], max: number): void {
    const count = (this.of[field] as number) + 1;
    this.of[field] = count;
    if (count > max) limit(reason, max);
  }
}

function limit(
  reason:
    | 'strings_limit'
    | 'sample_types_limit'
    | 'functions_limit'
    | 'total_frames_limit'
    | 'samples_limit',
  max: number,
): never {
  throw new TephraError(reason, `more than ${max}`);
}

/** Second pass: the fields as they are. */
class Fields implements Visitor {
  readonly bytes: Uint8Array;
  readonly stringStart: Uint32Array;
  readonly stringEnd: Uint32Array;
  readonly types: ValueType[] = [];
  periodType: ValueType = { type: '', unit: '' };
  period = 0n;
  /** By field. */
  readonly columns: Uint32Array[] = [];
  readonly values: Float64Array;
  wideValues: BigInt64Array | undefined;
  readonly #at = new Uint32Array(VALUES + 1);

  constructor(bytes: Uint8Array, { of }: Counts) {
    this.bytes = bytes;
    const count = (field: number): number => of[field] as number;
    // String 0 of columns is empty; two synthetic ones may follow.
    this.stringStart = new Uint32Array(count(STRINGS) + 3);
    this.stringEnd = new Uint32Array(count(STRINGS) + 3);
    this.#at[STRINGS] = 1;
    for (const field of [FRAME_FUNCTION, FRAME_FILE, FRAME_LINE, STACK_FRAMES, STACK_DEPTH]) {
      this.columns[field] = new Uint32Array(count(field));
    }
    this.values = new Float64Array(count(VALUES));
  }

  column(field: number): Uint32Array {
    return this.columns[field] as Uint32Array;
  }

  text(start: number, end: number): void {
    // Names are stored as they come: checked here, where the sender can still be told.
    utf8Text(this.bytes, start, end);
    const at = this.#next(STRINGS);
    this.stringStart[at] = start;
    this.stringEnd[at] = end;
  }

  type(field: number, type: ValueType): void {
    if (field === TYPES) this.types.push(type);
    else if (field === PERIOD_TYPE) this.periodType = type;
  }

  number(field: number, cursor: Cursor): void {
    if (field === PERIOD) this.period = cursor.big();
    else if (field === VALUES) this.#value(cursor);
    else {
      if (cursor.hi !== 0) failProfile(`field ${field}: expected a number below 2^32`);
      this.column(field)[this.#next(field)] = cursor.lo >>> 0;
    }
  }

  #value(cursor: Cursor): void {
    const at = this.#next(VALUES);
    const value = cursor.signed();
    this.values[at] = value;
    if (this.wideValues === undefined) {
      if (Number.isSafeInteger(value)) return;
      this.wideValues = BigInt64Array.from(this.values, BigInt);
    }
    this.wideValues[at] = cursor.big();
  }

  #next(field: number): number {
    const at = this.#at[field] as number;
    this.#at[field] = at + 1;
    return at;
  }
}

function columnsOf(fields: Fields, limits: ProfileLimits): ProfileColumns {
  const { types, values, stringStart, stringEnd } = fields;
  const names = stringStart.length - 2;
  const functionOf = fields.column(FRAME_FUNCTION);
  const depth = fields.column(STACK_DEPTH);
  const frames = functionOf.length;
  const samples = depth.length;
  if (fields.period < 0n) failProfile(`period ${fields.period} is negative`);
  for (let i = 1; i < names; i++) {
    const start = stringStart[i] as number;
    const end = stringEnd[i] as number;
    if (end - start > limits.stringBytesKept) {
      stringEnd[i] = cutText(fields.bytes, start, start + limits.stringBytesKept);
    }
  }
  // Two frames of our own behind those of the profile.
  const withoutStack = frames;
  const truncated = frames + 1;
  const stacks = stacksOf(fields, limits, withoutStack, truncated);
  const count = frames + 2;
  const bytes = appendTexts(
    fields.bytes,
    [NO_STACK_TEXT, TRUNCATED_TEXT],
    stringStart,
    stringEnd,
    names,
  );
  const rows = Uint32Array.from({ length: count + 1 }, (_, i) => i);
  const zeros = new Uint32Array(Math.max(count, samples + 1));
  const zeroLines = new Float64Array(count);
  const functionName = new Uint32Array(count);
  functionName.set(stringsOf(functionOf, names, 'frame_function'));
  functionName[withoutStack] = names;
  functionName[truncated] = names + 1;
  const functionFile = new Uint32Array(count);
  functionFile.set(stringsOf(besideFrames(fields, FRAME_FILE, frames), names, 'frame_file'));
  const lineNumber = new Float64Array(count);
  lineNumber.set(besideFrames(fields, FRAME_LINE, frames));
  return {
    bytes,
    stringCount: names + 2,
    stringStart,
    stringEnd,
    sampleTypes: types,
    periodType: fields.periodType,
    period: fields.period,
    timeNanos: 0n,
    durationNanos: 0n,
    functionCount: count,
    functionName,
    functionSystemName: zeros,
    functionFile,
    functionStartLine: zeroLines,
    mappingCount: 0,
    mappingFile: zeros,
    mappingBuildId: zeros,
    locationCount: count,
    locationMapping: new Int32Array(count).fill(NO_MAPPING),
    locationAddressLow: zeros,
    locationAddressHigh: zeros,
    locationLineStart: rows,
    lineFunction: rows,
    lineNumber,
    lineColumn: zeroLines,
    sampleCount: samples,
    ...stacks,
    values,
    wideValues: fields.wideValues,
    sampleLabelStart: zeros,
    labelKey: zeros,
    labelText: zeros,
  };
}

/** A column that is empty or has a row for each frame. */
function besideFrames(fields: Fields, field: number, frames: number): Uint32Array {
  const column = fields.column(field);
  if (column.length !== 0 && column.length !== frames) {
    failProfile(`field ${field}: expected none or ${frames} rows, found ${column.length}`);
  }
  return column;
}

/** String indices of the columns, which begin with the empty string. */
function stringsOf(column: Uint32Array, names: number, what: string): Uint32Array {
  return column.map((index) => {
    if (index >= names - 1) failProfile(`${what}: string ${index} of ${names - 1}`);
    return index + 1;
  });
}

/** Stacks leaf first; those without frames get one, those too deep are cut at the root. */
function stacksOf(
  fields: Fields,
  limits: ProfileLimits,
  withoutStack: number,
  truncated: number,
): Pick<ProfileColumns, 'sampleLocationStart' | 'sampleLocations'> {
  const depth = fields.column(STACK_DEPTH);
  const given = fields.column(STACK_FRAMES);
  const frames = fields.column(FRAME_FUNCTION).length;
  const { stackDepthKept, stackDepthMax } = limits;
  let used = 0;
  let size = 0;
  for (const own of depth) {
    if (own > stackDepthMax) throw new TephraError('stack_depth', `${own} > ${stackDepthMax}`);
    used += own;
    size += own === 0 ? 1 : Math.min(own, stackDepthKept + 1);
  }
  if (used !== given.length) {
    failProfile(`stack_depth sums to ${used}: expected the ${given.length} of stack_frames`);
  }
  const sampleLocationStart = new Uint32Array(depth.length + 1);
  const sampleLocations = new Uint32Array(size);
  let from = 0;
  let at = 0;
  for (let s = 0; s < depth.length; s++) {
    const own = depth[s] as number;
    sampleLocationStart[s] = at;
    if (own === 0) sampleLocations[at++] = withoutStack;
    const kept = Math.min(own, stackDepthKept);
    for (let i = 0; i < own; i++) {
      const frame = given[from + own - 1 - i] as number;
      if (frame >= frames) failProfile(`stack ${s}: frame ${frame} of ${frames}`);
      if (i < kept) sampleLocations[at++] = frame;
    }
    if (own > kept) sampleLocations[at++] = truncated;
    from += own;
  }
  sampleLocationStart[depth.length] = at;
  return { sampleLocationStart, sampleLocations };
}
