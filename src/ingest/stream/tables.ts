import { assert } from '../../base/assert.ts';
import { LIMITS } from '../../base/limits.ts';
import { labelValue, validateLabels } from '../../profile/labels.ts';
import type { Label, LabelSet } from '../../profile/labels.ts';
import { cutText } from '../../profile/pprof/tables.ts';
import { parseProfileType } from '../../profile/profile-type.ts';
import type { ProfileType } from '../../profile/profile-type.ts';
import {
  ADDRESS,
  FRAME_COLUMNS,
  textOf,
  type AdditionsReader,
  type SentSeries,
} from '../../profile/stream/additions.ts';
import { FieldError } from '../../profile/stream/field-error.ts';
import { growU32, growU8 } from '../../storage/dictionary/grow.ts';
import type { StreamLimits, StreamRows } from './messages.ts';

/** Columns of a frame, address in two halves: rows of {@link StreamTables.frame}. */
export const FRAME_STRIDE = FRAME_COLUMNS.length + 1;
/** Offset of the high half of the address in a frame. */
export const ADDRESS_HIGH = FRAME_COLUMNS.length;

/** Columns of frames that refer to strings. */
const STRING_COLUMNS = [0, 1, 3, 6, 7];

/** A family of series. */
export interface StreamFamily {
  readonly labels: LabelSet;
  readonly types: readonly ProfileType[];
  /** By type: the period where the type has its unit, else 0n. */
  readonly periods: readonly bigint[];
}

/**
 * The dictionary of one epoch of a stream, as the agent sent it. Ids are dense from 1. What a scope's
 * own dictionary calls these rows is in ScopeRefs, which can always be made again from here.
 *
 * Invariants: rows refer only to rows that are there; a parent is below its stack; rows never change.
 */
export class StreamTables {
  readonly #limits: StreamLimits;
  readonly #labels: readonly Label[];
  #texts: Uint8Array = new Uint8Array(256);
  /** End of each string; string 0 is empty. */
  #textEnd: Uint32Array = new Uint32Array(16);
  #strings = 0;
  #frames = 0;
  #stacks = 0;
  /** Frame f has `frame[f * FRAME_STRIDE ...]`. */
  frame: Uint32Array = new Uint32Array(16 * FRAME_STRIDE);
  stackParent: Uint32Array = new Uint32Array(16);
  stackFrame: Uint32Array = new Uint32Array(16);
  stackDepth: Uint32Array = new Uint32Array(16);
  /** Row 0 is never used. */
  readonly families: (StreamFamily | undefined)[] = [undefined];

  /** `labels` are those of the stream. */
  constructor(labels: readonly Label[], limits: StreamLimits) {
    this.#labels = labels;
    this.#limits = limits;
  }

  /** Rows of each table, without row 0. */
  get rows(): StreamRows {
    return {
      strings: this.#strings,
      frames: this.#frames,
      stacks: this.#stacks,
      series: this.families.length - 1,
    };
  }

  /** Nothing was added yet. */
  get isEmpty(): boolean {
    return this.#strings + this.#frames + this.#stacks === 0 && this.families.length === 1;
  }

  /** Stacks, without the empty one. */
  get stacks(): number {
    return this.#stacks;
  }

  /** Bytes of memory, about. */
  get bytesInMemory(): number {
    return (
      this.#texts.byteLength +
      this.#textEnd.byteLength +
      this.frame.byteLength +
      3 * this.stackParent.byteLength +
      this.families.length * FAMILY_BYTES
    );
  }

  /** Start and end of string `id` in {@link texts}. */
  textStart(id: number): number {
    return id === 0 ? 0 : (this.#textEnd[id - 1] as number);
  }

  /** See {@link textStart}. */
  textEnd(id: number): number {
    return this.#textEnd[id] as number;
  }

  /** Bytes of all strings; valid until the next addition. */
  get texts(): Uint8Array {
    return this.#texts;
  }

  /** String `id` as text. */
  text(id: number): string {
    assert(id <= this.#strings, 'a string that is there');
    return textOf(this.#texts, this.textStart(id), this.textEnd(id), '');
  }

  /** Whether a string is there. */
  hasString(id: number): boolean {
    return id <= this.#strings;
  }

  /** What is wrong with these rows if they find no room; an epoch that begins with them may have it. */
  fullFor(sent: AdditionsReader): FieldError | undefined {
    const { rows, textBytes: bytesMax } = this.#limits;
    const strings = this.#strings + sent.stringAt.length;
    if (strings > rows.strings) return full('strings', `${strings} rows`, rows.strings);
    const frames = this.#frames + sent.frameCount;
    if (frames > rows.frames) return full('frames', `${frames} rows`, rows.frames);
    const stacks = this.#stacks + sent.stackParent.length;
    if (stacks > rows.stacks) return full('stack_parent', `${stacks} rows`, rows.stacks);
    const series = this.families.length - 1 + sent.series.length;
    if (series > rows.series) return full('series', `${series} rows`, rows.series);
    const bytes = this.textEnd(this.#strings) + textBytes(sent);
    return bytes > bytesMax ? full('strings', `${bytes} bytes`, bytesMax) : undefined;
  }

  /**
   * Takes rows in, skipping those that are there. Throws `unknown_reference`, `malformed_batch`,
   * `stack_depth`, `invalid_utf8`, `invalid_profile_type` or the reason of a label; then some rows may
   * be in and others not, and the epoch must end.
   */
  add(bytes: Uint8Array, sent: AdditionsReader): void {
    if (sent.stringAt.length > 0) this.#addStrings(bytes, sent);
    if (sent.frames.some(({ length }) => length > 0)) this.#addFrames(sent);
    if (sent.stackParent.length + sent.stackFrame.length > 0) this.#addStacks(sent);
    if (sent.series.length > 0) this.#addSeries(sent);
  }

  #addStrings(bytes: Uint8Array, sent: AdditionsReader): void {
    const { stringAt, stringEnd } = sent;
    const skipped = skippedRows('additions.first_string', sent.firstString, this.#strings);
    for (let i = skipped; i < stringAt.length; i++) {
      const start = stringAt.array[i] as number;
      let end = stringEnd.array[i] as number;
      if (!isAscii(bytes, start, end)) textOf(bytes, start, end, `additions.strings[${i}]`);
      if (end - start > LIMITS.stringBytesKept) {
        end = cutText(bytes, start, start + LIMITS.stringBytesKept);
      }
      const at = this.textEnd(this.#strings);
      this.#texts = growU8(this.#texts, at + end - start);
      // A call costs more than the bytes of a name.
      for (let from = start, to = at; from < end;) this.#texts[to++] = bytes[from++] as number;
      this.#textEnd = growU32(this.#textEnd, ++this.#strings + 1);
      this.#textEnd[this.#strings] = at + end - start;
    }
  }

  #addFrames(sent: AdditionsReader): void {
    const { frames, addressHigh } = sent;
    const count = sent.frameCount;
    for (const [i, { length }] of frames.entries()) {
      if (length === count || (length === 0 && i > 0)) continue;
      throw new FieldError(
        'malformed_batch',
        `additions.frames.${FRAME_COLUMNS[i]}`,
        `${length} rows: expected ${count}, as many as function has`,
      );
    }
    const skipped = skippedRows('additions.first_frame', sent.firstFrame, this.#frames);
    for (let row = skipped; row < count; row++) {
      const at = ++this.#frames * FRAME_STRIDE;
      this.frame = growU32(this.frame, at + FRAME_STRIDE);
      for (let i = 0; i < FRAME_COLUMNS.length; i++) {
        const column = frames[i] as (typeof frames)[number];
        this.frame[at + i] = column.length === 0 ? 0 : (column.array[row] as number);
      }
      this.frame[at + ADDRESS_HIGH] =
        (frames[ADDRESS]?.length ?? 0) === 0 ? 0 : (addressHigh.array[row] as number);
      for (const i of STRING_COLUMNS) {
        const id = this.frame[at + i] as number;
        if (id <= this.#strings) continue;
        const field = `additions.frames.${FRAME_COLUMNS[i]}[${row}]`;
        throw new FieldError('unknown_reference', field, `string ${id} of ${this.#strings}`);
      }
    }
  }

  #addStacks(sent: AdditionsReader): void {
    const { stackParent, stackFrame } = sent;
    const count = stackParent.length;
    if (stackFrame.length !== count) {
      throw new FieldError(
        'malformed_batch',
        'additions.stack_frame',
        `${stackFrame.length} rows: expected ${count}, as many as stack_parent has`,
      );
    }
    const skipped = skippedRows('additions.first_stack', sent.firstStack, this.#stacks);
    const size = this.#stacks + count - skipped + 1;
    this.stackParent = growU32(this.stackParent, size);
    this.stackFrame = growU32(this.stackFrame, size);
    this.stackDepth = growU32(this.stackDepth, size);
    for (let row = skipped; row < count; row++) {
      const id = this.#stacks + 1;
      const parent = stackParent.array[row] as number;
      const frame = stackFrame.array[row] as number;
      if (parent >= id) {
        throw new FieldError(
          'unknown_reference',
          `additions.stack_parent[${row}]`,
          `parent ${parent} of stack ${id}: expected a lower id`,
        );
      }
      if (frame === 0 || frame > this.#frames) {
        throw new FieldError(
          'unknown_reference',
          `additions.stack_frame[${row}]`,
          `frame ${frame} of ${this.#frames}`,
        );
      }
      const depth = (this.stackDepth[parent] as number) + 1;
      if (depth > LIMITS.stackDepthMax) {
        throw new FieldError(
          'stack_depth',
          `additions.stack_parent[${row}]`,
          `${depth} > ${LIMITS.stackDepthMax}`,
        );
      }
      this.stackParent[id] = parent;
      this.stackFrame[id] = frame;
      this.stackDepth[id] = depth;
      this.#stacks = id;
    }
  }

  #addSeries(sent: AdditionsReader): void {
    const known = this.families.length - 1;
    const skipped = skippedRows('additions.first_series', sent.firstSeries, known);
    for (let i = skipped; i < sent.series.length; i++) {
      const field = `additions.series[${i}]`;
      try {
        this.families.push(familyOf(sent.series[i] as SentSeries, this.#labels));
      } catch (thrown) {
        throw FieldError.of(thrown, field);
      }
    }
  }
}

/** Bytes of memory of a family, about. */
const FAMILY_BYTES = 512;

/** How many of the rows that begin with id `first` are there; the next new one has id `known` + 1. */
function skippedRows(field: string, first: number, known: number): number {
  if (first >= 1 && first <= known + 1) return known + 1 - first;
  throw new FieldError('unknown_reference', field, `${first}: expected 1 to ${known + 1}`);
}

function full(table: string, found: string, most: number): FieldError {
  return new FieldError(
    'stream_limit',
    `additions.${table}`,
    `${found} in an epoch: at most ${most}`,
  );
}

function textBytes({ stringAt, stringEnd }: AdditionsReader): number {
  let bytes = 0;
  for (let i = 0; i < stringAt.length; i++) {
    bytes += (stringEnd.array[i] as number) - (stringAt.array[i] as number);
  }
  return bytes;
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if ((bytes[at] as number) >= 0x80) return false;
  return true;
}

/** The labels of a stream as they are stored. Throws the reason of a label. */
export function streamLabels(labels: readonly Label[]): LabelSet {
  refuseName(labels, '__name__');
  return validateLabels(labels, 'ingest');
}

function familyOf({ labels, types }: SentSeries, ofStream: readonly Label[]): StreamFamily {
  refuseName(labels, '__name__');
  refuseName(labels, 'service_name');
  if (types.length === 0) {
    throw new FieldError('malformed_batch', '', 'expected a type, found none');
  }
  if (types.length > LIMITS.sampleTypesPerProfileMax) {
    throw new FieldError('sample_types_limit', '', `more than ${LIMITS.sampleTypesPerProfileMax}`);
  }
  const own = new Set(labels.map(([name]) => name));
  const joined = [...ofStream.filter(([name]) => !own.has(name)), ...labels];
  const parsed = types.map(({ profileType }) => parseProfileType(profileType));
  for (const type of parsed) {
    // The name of a type is a metric name like any other.
    validateLabels([['__name__', type.name]], 'push');
    if (type.type !== '' && type.name !== '') continue;
    throw new FieldError('invalid_profile_type', '', 'name and type must not be empty');
  }
  return {
    labels: validateLabels(joined, 'ingest'),
    types: parsed,
    periods: parsed.map(({ unit, periodUnit }, t) =>
      unit === periodUnit ? (types[t]?.period ?? 0n) : 0n,
    ),
  };
}

function refuseName(labels: readonly Label[], name: string): void {
  if (labelValue(labels, name) === undefined) return;
  throw new FieldError('reserved_label_name', '', `${name} must not stand here`);
}
