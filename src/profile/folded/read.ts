import { INT64_MAX } from '../../base/int64.ts';
import { TephraError } from '../../base/errors.ts';
import { NO_MAPPING, type ProfileColumns, type ValueType } from '../columns.ts';
import { PROFILE_LIMITS, type ProfileLimits } from '../limits.ts';
import { cutText } from '../pprof/tables.ts';
import { appendTexts, TRUNCATED_TEXT } from '../synthetic.ts';
import { doubled, NameTable } from './names.ts';

/** How text is read; see `textProfileType` of ingest-naming.ts. */
export interface FoldedOptions {
  /** `folded`: a count behind the last space of each line. `lines`: each line counts 1. */
  readonly format: 'folded' | 'lines';
  readonly sampleType: ValueType;
  readonly periodType: ValueType;
  /** In the unit of `periodType`; 0 = none. */
  readonly period: bigint;
  /** Value of one count, a whole number. */
  readonly unitScale: number;
}

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const HASH = 0x23;
const SLASH = 0x2f;
const ZERO = 0x30;
const SEMICOLON = 0x3b;
/** Bytes of input that a message shows. */
const SHOWN_BYTES = 100;

/**
 * Reads collapsed stacks, `root;caller;leaf 10`, one a line. Frames may hold spaces: the count is
 * what follows the last one. Line ends may be CRLF. Empty lines and comments (`# …` and `// …`,
 * with the space) are skipped, as are empty frames (`a;;b`). Any other line without a whole count
 * refuses the profile: dropping it would make totals wrong in silence, which is what some viewers
 * do.
 *
 * One reader per worker: what `read` returns is valid until the next `read`.
 */
export class FoldedReader {
  readonly #limits: ProfileLimits;
  readonly #names = new NameTable();
  #locationStart = new Uint32Array(256);
  #locations = new Uint32Array(4_096);
  #values = new Float64Array(256);
  readonly #wide = new Map<number, bigint>();
  #samples = 0;
  #frames = 0;
  #truncated = false;

  constructor(limits: ProfileLimits = PROFILE_LIMITS) {
    this.#limits = limits;
  }

  /**
   * Columns of one text profile; `payload` is already inflated and must stay as it is while the
   * columns are used. Throws `malformed_folded` with the line number, or the reason of a limit.
   */
  read(payload: Uint8Array, options: FoldedOptions): ProfileColumns {
    const bytes = new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
    this.#names.reset();
    this.#wide.clear();
    this.#samples = 0;
    this.#frames = 0;
    this.#truncated = false;
    let line = 0;
    for (let at = 0; at < bytes.byteLength;) {
      const newline = bytes.indexOf(NEWLINE, at);
      const end = newline < 0 ? bytes.byteLength : newline;
      this.#line(bytes, at, end, ++line, options);
      at = end + 1;
    }
    return this.#columns(bytes, options);
  }

  #line(bytes: Uint8Array, from: number, to: number, line: number, options: FoldedOptions): void {
    let start = from;
    let end = to;
    while (end > start && isBlank(bytes[end - 1] as number)) end--;
    while (start < end && isBlank(bytes[start] as number)) start++;
    if (start === end || isComment(bytes, start, end)) return;
    let count = 1;
    let stackEnd = end;
    if (options.format === 'folded') {
      stackEnd = end - 1;
      while (stackEnd > start && !isBlank(bytes[stackEnd] as number)) stackEnd--;
      count = stackEnd === start ? -1 : parseCount(bytes, stackEnd + 1, end);
      if (count < 0) failLine(line, bytes, start, end, 'expected "frame;frame count"');
    }
    const value = this.#value(bytes, stackEnd + 1, end, count, options, line);
    const frameFrom = this.#frames;
    this.#stack(bytes, start, stackEnd, line);
    if (this.#frames === frameFrom) failLine(line, bytes, start, end, 'expected a frame');
    this.#addSample(frameFrom, value);
  }

  /** Value of a line; exact ones that a double cannot hold go to `#wide`. */
  #value(
    bytes: Uint8Array,
    countFrom: number,
    countTo: number,
    count: number,
    options: FoldedOptions,
    line: number,
  ): number {
    const value = count * options.unitScale;
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    const digits =
      options.format === 'lines'
        ? '1'
        : latin1(bytes, countFrom, Math.min(countTo, countFrom + 40));
    const exact = BigInt(digits) * BigInt(options.unitScale);
    if (exact > INT64_MAX) {
      throw new TephraError(
        'malformed_folded',
        `line ${line}: the value ${digits} is beyond int64`,
      );
    }
    this.#wide.set(this.#samples, exact);
    return Number(exact);
  }

  /** Appends the frames of a line, leaf first. */
  #stack(bytes: Uint8Array, start: number, end: number, line: number): void {
    const { stackDepthKept, stackDepthMax } = this.#limits;
    let depth = 0;
    let frameEnd = end;
    while (frameEnd > start) {
      let at = frameEnd;
      while (at > start && bytes[at - 1] !== SEMICOLON) at--;
      if (at < frameEnd) {
        depth++;
        if (depth <= stackDepthKept) this.#addFrame(bytes, at, frameEnd);
      }
      frameEnd = at - 1;
    }
    if (depth > stackDepthMax) {
      throw new TephraError('stack_depth', `line ${line}: ${depth} > ${stackDepthMax}`);
    }
    if (depth > stackDepthKept) {
      this.#truncated = true;
      this.#push(TRUNCATED_ROW);
    }
  }

  #addFrame(bytes: Uint8Array, start: number, end: number): void {
    const { stringBytesKept, stringsPerProfileMax } = this.#limits;
    const cut =
      end - start <= stringBytesKept ? end : cutText(bytes, start, start + stringBytesKept);
    const row = this.#names.rowOf(bytes, start, cut);
    if (row >= stringsPerProfileMax) {
      throw new TephraError('strings_limit', `more than ${stringsPerProfileMax}`);
    }
    this.#push(row);
  }

  #push(row: number): void {
    if (this.#frames === this.#locations.length) this.#locations = doubled(this.#locations);
    this.#locations[this.#frames++] = row;
    if (this.#frames > this.#limits.framesPerProfileMax) {
      throw new TephraError('total_frames_limit', `more than ${this.#limits.framesPerProfileMax}`);
    }
  }

  #addSample(frameFrom: number, value: number): void {
    const sample = this.#samples++;
    if (this.#samples > this.#limits.samplesPerProfileMax) {
      throw new TephraError('samples_limit', `more than ${this.#limits.samplesPerProfileMax}`);
    }
    if (this.#samples >= this.#locationStart.length) {
      this.#locationStart = doubled(this.#locationStart);
      this.#values = doubled(this.#values);
    }
    this.#locationStart[sample] = frameFrom;
    this.#locationStart[sample + 1] = this.#frames;
    this.#values[sample] = value;
  }

  /** A name is a string, a function, a line and a location, all of the same row. */
  #columns(bytes: Uint8Array, options: FoldedOptions): ProfileColumns {
    const names = this.#names.count;
    const count = names + (this.#truncated ? 1 : 0);
    const stringStart = new Uint32Array(count + 1);
    const stringEnd = new Uint32Array(count + 1);
    const functionName = new Uint32Array(count);
    const rows = new Uint32Array(count + 1);
    for (let row = 0; row < count; row++) {
      // String 0 is the empty one.
      functionName[row] = row + 1;
      rows[row + 1] = row + 1;
    }
    for (let row = 0; row < names; row++) {
      stringStart[row + 1] = this.#names.startOf(row);
      stringEnd[row + 1] = this.#names.endOf(row);
    }
    let texts = bytes;
    if (this.#truncated) {
      texts = appendTexts(bytes, [TRUNCATED_TEXT], stringStart, stringEnd, names + 1);
      for (let i = 0; i < this.#frames; i++) {
        if (this.#locations[i] === TRUNCATED_ROW) this.#locations[i] = names;
      }
    }
    const zeros = new Uint32Array(Math.max(count, this.#samples + 1));
    const zeroLines = new Float64Array(count);
    return {
      bytes: texts,
      stringCount: count + 1,
      stringStart,
      stringEnd,
      sampleTypes: [options.sampleType],
      periodType: options.periodType,
      period: options.period,
      timeNanos: 0n,
      durationNanos: 0n,
      functionCount: count,
      functionName,
      functionSystemName: zeros,
      functionFile: zeros,
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
      lineNumber: zeroLines,
      lineColumn: zeroLines,
      sampleCount: this.#samples,
      sampleLocationStart: this.#locationStart,
      sampleLocations: this.#locations,
      values: this.#values,
      wideValues: this.#wideValues(),
      sampleLabelStart: zeros,
      labelKey: zeros,
      labelText: zeros,
    };
  }

  #wideValues(): BigInt64Array | undefined {
    if (this.#wide.size === 0) return undefined;
    const wide = new BigInt64Array(this.#samples);
    for (let i = 0; i < this.#samples; i++) {
      wide[i] = this.#wide.get(i) ?? BigInt(this.#values[i] as number);
    }
    return wide;
  }
}

/** Stands for the row of `(truncated)` until the number of names is known. */
const TRUNCATED_ROW = 0xffff_ffff;

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === RETURN;
}

/** `# …`, `// …`; without the space it is a frame: Ruby has `#<Class:A>`, Bazel `//pkg:target`. */
function isComment(bytes: Uint8Array, start: number, end: number): boolean {
  let behind = start + 1;
  if (bytes[start] === SLASH && bytes[start + 1] === SLASH) behind = start + 2;
  else if (bytes[start] !== HASH) return false;
  return behind >= end || isBlank(bytes[behind] as number);
}

/** A decimal number as a double, -1 if it is none. */
function parseCount(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = (bytes[at] as number) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return start < end ? value : -1;
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}

function failLine(line: number, bytes: Uint8Array, start: number, end: number, why: string): never {
  const found = Buffer.from(
    bytes.buffer,
    bytes.byteOffset + start,
    Math.min(end - start, SHOWN_BYTES),
  ).toString('utf8');
  throw new TephraError('malformed_folded', `line ${line}: ${why}, found ${JSON.stringify(found)}`);
}
