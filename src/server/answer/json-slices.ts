import { ScalarType, type DescMessage } from '@bufbuild/protobuf';
import type { EncodedAnswer } from '../../query/request.ts';
import { AnswerWindow } from './window.ts';
import { planOf, type FieldPlan, type MessagePlan } from './json-plan.ts';
import { isDefault, writeBytes, writeNumber } from './json-values.ts';
import { writeOrdered } from './json-ordered.ts';
import { CLOSE, CLOSE_LIST, COMMA, JsonText, OPEN, OPEN_LIST } from './json-text.ts';
import { DELIMITED } from '../../base/wire-types.ts';
import { Span } from './span.ts';

/** Values up to this size are read as a whole. */
const SMALL_BYTES = 8 * 1_024;

/** Larger texts are read in pieces of whole groups of three bytes, as base64 wants them. */
const PIECE_BYTES = 48 * 1_024;

/** The longest tag, and the longest number behind it. */
const HEAD_BYTES = 5 + 10;

/**
 * Whether {@link jsonSlices} can write the message: it has no maps, no groups and none of the
 * messages that JSON writes in a form of their own, at any depth.
 */
export function canSliceJson(desc: DescMessage, seen = new Set<DescMessage>()): boolean {
  if (seen.has(desc)) return true;
  seen.add(desc);
  if (desc.typeName.startsWith('google.protobuf.')) return false;
  return desc.fields.every((field) => {
    if (field.fieldKind === 'map') return false;
    const { message } = field;
    if (message === undefined) return true;
    return (
      !('delimitedEncoding' in field && field.delimitedEncoding) && canSliceJson(message, seen)
    );
  });
}

/** What memory it takes; for tests. */
export interface JsonSizes {
  /** Of an answer on disk: what is in memory of it, at least 16. */
  readonly windowBytes?: number;
  /** Of a slice. */
  readonly sliceBytes?: number;
}

/**
 * An answer as JSON text in UTF-8, byte for byte as the library would write it, each slice made when it is
 * asked for, from a window of what is on disk. An answer that nobody reads so costs nothing beyond its
 * bytes, and a large one never becomes objects. A slice is overwritten when the third one after it is asked
 * for. The bytes are those of our own encoders: they are well formed. What is on disk is given back at the
 * end. Source: https://protobuf.dev/programming-guides/json/
 */
export async function* jsonSlices(
  desc: DescMessage,
  answer: Pick<EncodedAnswer, 'bytes' | 'front'>,
  { windowBytes, sliceBytes }: JsonSizes = {},
): AsyncGenerator<Uint8Array> {
  const input = new AnswerWindow(answer, windowBytes);
  const text = new JsonText(sliceBytes);
  try {
    for (const step of writeMessage(planOf(desc), { from: 0, to: input.byteLength, input, text })) {
      if (typeof step === 'number') await input.move(step);
      else yield step;
    }
  } finally {
    input.close();
  }
  yield text.take();
}

/** A slice of the text, or where the window must go for there to be more. */
type Step = Uint8Array | number;

/** Bytes of the answer, and where their text goes. */
interface Part {
  readonly from: number;
  readonly to: number;
  readonly input: AnswerWindow;
  readonly text: JsonText;
}

/** Where the values of one field lie, from the first to behind the last. */
interface Place {
  readonly from: number;
  to: number;
  count: number;
}

function* writeMessage(plan: MessagePlan, part: Part): Generator<Step> {
  const { text } = part;
  const places = yield* placesOf(part);
  text.byte(OPEN);
  const before = text.size;
  for (const field of plan.fields) {
    const place = places.get(field.number);
    if (place === undefined || isOverruled(field, places)) continue;
    const comma = text.size > before;
    const within = { ...part, from: place.from, to: place.to };
    if (field.isList) yield* writeList(field, within, comma);
    else yield* writeSingle(field, within, place.count, comma);
    if (text.isFull) yield text.take();
  }
  text.byte(CLOSE);
}

/** One pass over the fields of a message. */
function* placesOf({ from, to, input }: Part): Generator<Step, Map<number, Place>> {
  const places = new Map<number, Place>();
  let last: Place | undefined;
  let lastNumber = 0;
  for (let at = from; at < to;) {
    if (!input.has(at, HEAD_BYTES)) yield at;
    const { number, end } = headAt(input, at);
    if (number !== lastNumber || last === undefined) {
      last = places.get(number);
      lastNumber = number;
      if (last === undefined) places.set(number, (last = { from: at, to: end, count: 0 }));
    }
    last.to = end;
    last.count++;
    at = end;
  }
  return places;
}

/** A field as it lies in the answer. */
interface Head {
  readonly number: number;
  readonly wire: number;
  /** Where its value is: of one with a length, what comes behind that. */
  readonly value: number;
  /** Behind its value. */
  readonly end: number;
}

/** The field at `at`, which is in memory as far as its length. */
function headAt(input: AnswerWindow, at: number): Head {
  const span = spanOf(input, at, input.to);
  const tag = span.varint();
  const wire = tag & 7;
  const number = Math.floor(tag / 8);
  if (wire !== DELIMITED) {
    const value = span.at + input.from;
    span.skip(wire);
    return { number, wire, value, end: span.at + input.from };
  }
  const length = span.varint();
  const value = span.at + input.from;
  return { number, wire, value, end: value + length };
}

function spanOf(input: AnswerWindow, from: number, to: number): Span {
  return new Span(input.bytes, from - input.from, to - input.from);
}

/** Whether another member of the field's oneof came later. */
function isOverruled({ number, oneof }: FieldPlan, places: ReadonlyMap<number, Place>): boolean {
  const to = places.get(number)?.to ?? 0;
  return oneof?.some((other) => (places.get(other)?.to ?? 0) > to) ?? false;
}

function begin(field: FieldPlan, text: JsonText, comma: boolean): void {
  if (comma) text.byte(COMMA);
  text.raw(field.key);
}

function* writeList(field: FieldPlan, part: Part, comma: boolean): Generator<Step> {
  const { from, to, input, text } = part;
  let isFirst = true;
  const item = (): void => {
    if (isFirst) {
      begin(field, text, comma);
      text.byte(OPEN_LIST);
    } else text.byte(COMMA);
    isFirst = false;
  };
  for (let at = from; at < to;) {
    if (!input.has(at, HEAD_BYTES)) yield at;
    const { number, wire, value, end } = headAt(input, at);
    at = end;
    if (number !== field.number) continue;
    if (wire === DELIMITED && field.packedWire !== undefined) {
      for (let next = value; next < end;) {
        if (!input.has(next, 10)) yield next;
        const span = spanOf(input, next, Math.min(end, input.to));
        // One that the window cuts comes when it has moved.
        const last = input.to < end ? span.end - 10 : span.end - 1;
        do {
          item();
          writeNumber(field, span, field.packedWire, text);
        } while (span.at <= last && !text.isFull);
        next = span.at + input.from;
        if (text.isFull) yield text.take();
      }
      continue;
    }
    item();
    yield* writeValue(field, { from: value, to: end, input, text }, wire);
    if (text.isFull) yield text.take();
  }
  if (!isFirst) text.byte(CLOSE_LIST);
}

/** A field that is no list: the last one; those of a message together, as one message. */
function* writeSingle(
  field: FieldPlan,
  part: Part,
  count: number,
  comma: boolean,
): Generator<Step> {
  const { from, to, input, text } = part;
  const parts: Uint8Array[] = [];
  let found: Head | undefined;
  for (let at = from; at < to;) {
    if (!input.has(at, HEAD_BYTES)) yield at;
    const head = headAt(input, at);
    at = head.end;
    if (head.number !== field.number) continue;
    found = head;
    // None of our encoders writes one in parts; what the library merges in memory is merged there.
    if (count > 1 && field.message !== undefined) parts.push(yield* bytesOf(head, input));
  }
  if (found === undefined) return;
  if (parts.length > 1 && field.message !== undefined) {
    const bytes = Buffer.concat(parts);
    begin(field, text, comma);
    const whole = new AnswerWindow({ bytes });
    yield* writeMessage(field.message, { from: 0, to: bytes.byteLength, input: whole, text });
    return;
  }
  if (field.message === undefined && field.isImplicit) {
    if (!input.has(found.value, 10)) yield found.value;
    const isEmpty =
      found.wire === DELIMITED
        ? found.end === found.value
        : isDefault(spanOf(input, found.value, found.end), found.wire);
    // Fields without presence do not tell a default from nothing.
    if (isEmpty) return;
  }
  begin(field, text, comma);
  yield* writeValue(field, { from: found.value, to: found.end, input, text }, found.wire);
}

function* bytesOf({ value, end }: Head, input: AnswerWindow): Generator<Step, Uint8Array> {
  const bytes = Buffer.alloc(end - value);
  for (let at = value; at < end; at = Math.min(end, input.to)) {
    if (!input.has(at, 1)) yield at;
    bytes.set(
      input.bytes.subarray(at - input.from, Math.min(end, input.to) - input.from),
      at - value,
    );
  }
  return bytes;
}

/** One value; of one with a length, `part` is what comes behind it. */
function* writeValue(field: FieldPlan, part: Part, wire: number): Generator<Step> {
  const { from, to, input, text } = part;
  const size = to - from;
  if (size <= Math.min(SMALL_BYTES, input.reach)) {
    if (!input.has(from, size)) yield from;
    const span = spanOf(input, from, to);
    if (field.message === undefined) {
      if (wire === DELIMITED) writeBytes(field, span, text);
      else writeNumber(field, span, wire, text);
      return;
    }
    const before = text.size;
    if (writeOrdered(field.message, span, text)) return;
    text.cut(before);
  }
  if (field.message === undefined) yield* writeLongBytes(field, part);
  else yield* writeMessage(field.message, part);
}

function* writeLongBytes(field: FieldPlan, { from, to, input, text }: Part): Generator<Step> {
  const most = Math.floor(Math.min(PIECE_BYTES, input.reach) / 3) * 3;
  text.quote();
  for (let at = from; at < to;) {
    const size = Math.min(most, to - at);
    if (!input.has(at, size)) yield at;
    const start = at - input.from;
    if (field.scalar === ScalarType.BYTES) {
      text.base64(input.bytes, start, start + size);
      at += size;
    } else {
      const end = size === to - at ? start + size : wholeCharacters(input.bytes, start + size);
      text.text(input.bytes, start, end);
      at = end + input.from;
    }
    if (text.isFull) yield text.take();
  }
  text.quote();
}

/** Behind the last character that is not cut at `end`. */
function wholeCharacters(bytes: Uint8Array, end: number): number {
  for (let back = 1; back <= 3; back++) {
    const byte = bytes[end - back] as number;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? end - back : end;
  }
  return end;
}
