import { isUtf8 } from 'node:buffer';
import { ByteWriter, utf8 } from '../../base/bytes.ts';
import { TephraError } from '../../base/errors.ts';
import type { Steps } from '../../base/steps.ts';
import { textOf } from './dictionary.ts';
import { type JsonField, type JsonKind, type JsonShape, REQUEST_SHAPE } from './json-shapes.ts';
import { failLayout } from './layout.ts';
import type { OtlpLimits } from './limits.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;
const LETTER_N = 0x6e;
const ZERO = 0x30;
/** Bytes of a number or a word at most. */
const WORD_BYTES_MAX = 1_024;
/** Bytes of a buffer that is kept between messages of a depth. */
const KEPT_BYTES = 1 << 16;
/** Messages between two breaks. */
const MESSAGES_AT_ONCE = 1_024;

const WHOLE = /^-?\d{1,20}$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * The protobuf form of an `ExportProfilesServiceRequest` in OTLP/JSON, written while the text is read: no object
 * is made of it, so that small values cannot become large memory, and numbers of 64 bits stay exact.
 * Throws `malformed_json`, `invalid_utf8`, `nesting_too_deep`, `otlp_layout`.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
export function* otlpJsonToBinary(bytes: Uint8Array, limits: OtlpLimits): Steps<Uint8Array> {
  if (!isUtf8(bytes)) throw new TephraError('invalid_utf8', 'the body is JSON that is no UTF-8');
  return yield* new JsonReader(bytes, limits).request();
}

class JsonReader {
  readonly #bytes: Uint8Array;
  readonly #depthMax: number;
  /** One for each depth. */
  readonly #writers: ByteWriter[] = [];
  readonly #list = new ByteWriter();
  readonly #double = new DataView(new ArrayBuffer(8));
  #at = 0;
  #messages = 0;

  constructor(bytes: Uint8Array, { jsonDepthMax }: OtlpLimits) {
    this.#bytes = bytes;
    this.#depthMax = jsonDepthMax;
  }

  *request(): Steps<Uint8Array> {
    const writer = yield* this.#message(REQUEST_SHAPE, 0);
    this.#space();
    if (this.#at < this.#bytes.byteLength) this.#fail('something behind the message');
    return writer.view();
  }

  /** Reads an object; the result is valid until the next one of this depth. */
  *#message(shape: JsonShape, depth: number): Steps<ByteWriter> {
    if (depth > this.#depthMax) this.#tooDeep();
    if (++this.#messages % MESSAGES_AT_ONCE === 0) yield;
    const writer = (this.#writers[depth] ??= new ByteWriter());
    writer.reset(KEPT_BYTES);
    this.#expect(OPEN_OBJECT);
    if (this.#takes(CLOSE_OBJECT)) return writer;
    do {
      const name = this.#text();
      this.#expect(COLON);
      const layouts = shape.old.get(name);
      if (layouts !== undefined) failLayout(layouts);
      const field = shape.fields.get(name);
      if (field === undefined) this.#skip(depth);
      else if (this.#peek() === LETTER_N) this.#null();
      else if (field.repeated) yield* this.#repeated(field, writer, depth);
      else yield* this.#single(field, writer, depth);
    } while (this.#takes(COMMA));
    this.#expect(CLOSE_OBJECT);
    return writer;
  }

  *#repeated(field: JsonField, writer: ByteWriter, depth: number): Steps<void> {
    this.#expect(OPEN_LIST);
    if (this.#takes(CLOSE_LIST)) return;
    const { no, kind } = field;
    if (typeof kind === 'function' || kind === 'string') {
      do {
        yield* this.#single(field, writer, depth);
      } while (this.#takes(COMMA));
    } else {
      const list = this.#list;
      list.reset(KEPT_BYTES);
      do this.#scalar(kind, list);
      while (this.#takes(COMMA));
      writer.varint(no * 8 + 2).blockOf(list);
    }
    this.#expect(CLOSE_LIST);
  }

  *#single({ no, kind }: JsonField, writer: ByteWriter, depth: number): Steps<void> {
    if (typeof kind === 'function') {
      const message = yield* this.#message(kind(), depth + 1);
      writer.varint(no * 8 + 2).blockOf(message);
      return;
    }
    writer.varint(no * 8 + wireTypeOf(kind));
    this.#scalar(kind, writer);
  }

  #scalar(kind: JsonKind, writer: ByteWriter): void {
    switch (kind) {
      case 'string':
        this.#string(writer);
        break;
      case 'bool': {
        const word = this.#word();
        if (word !== 'true' && word !== 'false') this.#fail('expected true or false');
        writer.u8(word === 'true' ? 1 : 0);
        break;
      }
      case 'double':
        this.#double.setFloat64(0, this.#number(), true);
        writer.raw(new Uint8Array(this.#double.buffer));
        break;
      case 'fixed64':
        this.#double.setBigUint64(0, this.#whole(kind), true);
        writer.raw(new Uint8Array(this.#double.buffer));
        break;
      case 'hex':
      case 'id':
      case 'bytes':
        writer.block(this.#binary(kind));
        break;
      default: {
        const small = this.#small();
        if (small >= 0) writer.varint(small);
        else writer.varintBig(BigInt.asUintN(64, this.#whole(kind)));
      }
    }
  }

  /** The number that comes where it has one to nine digits, as nearly all have, quoted or not; else -1. */
  #small(): number {
    const isText = this.#peek() === QUOTE;
    const bytes = this.#bytes;
    const from = isText ? this.#at + 1 : this.#at;
    let at = from;
    let value = 0;
    while (at - from < 9 && isDigit(bytes[at])) value = value * 10 + (bytes[at++] as number) - ZERO;
    const next = bytes[at] ?? 0;
    if (at === from || (isText ? next !== QUOTE : isWordByte(next))) return -1;
    this.#at = isText ? at + 1 : at;
    return value;
  }

  #whole(kind: JsonKind): bigint {
    const text = this.#peek() === QUOTE ? this.#text() : this.#word();
    let value: bigint;
    if (WHOLE.test(text)) value = BigInt(text);
    else {
      const number = NUMBER.test(text) ? Number(text) : Number.NaN;
      if (!Number.isSafeInteger(number)) this.#fail('expected a whole number');
      value = BigInt(number);
    }
    const fits =
      kind === 'int32'
        ? BigInt.asIntN(32, value) === value
        : kind === 'int64'
          ? BigInt.asIntN(64, value) === value
          : BigInt.asUintN(64, value) === value;
    if (!fits) this.#fail(`a number that is no ${kind}`);
    return value;
  }

  #number(): number {
    const isText = this.#peek() === QUOTE;
    const text = isText ? this.#text() : this.#word();
    if (isText && /^(?:NaN|-?Infinity)$/.test(text)) return Number(text);
    if (!NUMBER.test(text)) this.#fail('expected a number');
    return Number(text);
  }

  #binary(kind: 'hex' | 'id' | 'bytes'): Uint8Array {
    const text = this.#text();
    if (kind === 'hex' || (kind === 'id' && text.length === 32)) {
      if (text.length % 2 === 0 && /^[0-9a-f]*$/i.test(text)) return Buffer.from(text, 'hex');
      if (kind === 'hex') this.#fail('expected hexadecimal digits');
    }
    if (!/^[\w+/-]*={0,2}$/.test(text)) this.#fail('expected base64');
    return Buffer.from(text, 'base64');
  }

  /** Writes the string that comes, with its length in front. */
  #string(writer: ByteWriter): void {
    const { from, to, isPlain } = this.#span();
    if (isPlain) {
      writer.varint(to - from).part(this.#bytes, from, to);
      return;
    }
    writer.block(utf8(this.#unescaped(from, to)));
  }

  #text(): string {
    const { from, to, isPlain } = this.#span();
    return isPlain ? textOf(this.#bytes, from, to) : this.#unescaped(from, to);
  }

  #unescaped(from: number, to: number): string {
    try {
      return JSON.parse(textOf(this.#bytes, from - 1, to + 1)) as string;
    } catch {
      return this.#fail('a text with an escape that is none');
    }
  }

  /** The string that comes, without its quotes. */
  #span(): { from: number; to: number; isPlain: boolean } {
    this.#expect(QUOTE);
    const bytes = this.#bytes;
    const from = this.#at;
    let isPlain = true;
    for (let at = from; at < bytes.byteLength; at++) {
      const byte = bytes[at] as number;
      if (byte === QUOTE) {
        this.#at = at + 1;
        return { from, to: at, isPlain };
      }
      if (byte < 0x20) break;
      if (byte === BACKSLASH) {
        isPlain = false;
        at++;
      }
    }
    return this.#fail('a text that does not end');
  }

  /** A number or `true`, `false`, `null`. */
  #word(): string {
    this.#space();
    const bytes = this.#bytes;
    const from = this.#at;
    let at = from;
    while (at < bytes.byteLength && isWordByte(bytes[at] as number)) at++;
    if (at === from || at - from > WORD_BYTES_MAX) this.#fail('expected a value');
    this.#at = at;
    return textOf(bytes, from, at);
  }

  #null(): void {
    if (this.#word() !== 'null') this.#fail('expected a value');
  }

  /** Passes over a value of any kind. */
  #skip(depth: number): void {
    /** What is open, from the outside in. */
    const open: number[] = [];
    do {
      const next = this.#peek();
      if (next === OPEN_OBJECT || next === OPEN_LIST) {
        if (depth + open.length > this.#depthMax) this.#tooDeep();
        this.#at++;
        const close = next === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_LIST;
        if (!this.#takes(close)) {
          open.push(close);
          if (close === CLOSE_OBJECT) this.#skipName();
          continue;
        }
      } else if (next === QUOTE) this.#span();
      else {
        const word = this.#word();
        if (!NUMBER.test(word) && word !== 'true' && word !== 'false' && word !== 'null') {
          this.#fail('expected a value');
        }
      }
      // Behind a value: what it ends, or the next one.
      while (open.length > 0) {
        if (this.#takes(COMMA)) {
          if (open.at(-1) === CLOSE_OBJECT) this.#skipName();
          break;
        }
        this.#expect(open.pop() as number);
      }
    } while (open.length > 0);
  }

  #skipName(): void {
    this.#span();
    this.#expect(COLON);
  }

  #peek(): number {
    this.#space();
    return this.#bytes[this.#at] ?? -1;
  }

  #takes(byte: number): boolean {
    if (this.#peek() !== byte) return false;
    this.#at++;
    return true;
  }

  #expect(byte: number): void {
    if (!this.#takes(byte)) this.#fail(`expected ${String.fromCharCode(byte)}`);
  }

  #space(): void {
    const bytes = this.#bytes;
    for (;;) {
      const byte = bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #tooDeep(): never {
    throw new TephraError('nesting_too_deep', `more than ${this.#depthMax} levels of JSON`);
  }

  #fail(why: string): never {
    throw new TephraError('malformed_json', `${why} at byte ${this.#at}`);
  }
}

function wireTypeOf(kind: JsonKind): number {
  if (kind === 'double' || kind === 'fixed64') return 1;
  return kind === 'string' || kind === 'bytes' || kind === 'hex' || kind === 'id' ? 2 : 0;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= ZERO + 9;
}

/** Letters, digits and `+-.`. */
function isWordByte(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    byte === 0x2b ||
    byte === 0x2d ||
    byte === 0x2e
  );
}
