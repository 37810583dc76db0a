import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import { DELIMITED, FIXED_32, FIXED_64, Span, VARINT } from './span.ts';

/** Characters of a slice, about: what is made before anything is asked of the reader. */
const SLICE_CHARS = 64 * 1_024;

/** Messages smaller than this are written in one go. */
const SMALL_BYTES = 8 * 1_024;

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

/**
 * The message of these bytes as JSON text in UTF-8, as the library would write it, each slice made when it
 * is asked for. An answer that nobody reads so costs nothing beyond its bytes, and a large one never
 * becomes objects. The bytes are those of our own encoders: they are well formed. Source:
 * https://protobuf.dev/programming-guides/json/
 */
export function* jsonSlices(desc: DescMessage, bytes: Uint8Array): Generator<Uint8Array> {
  const out = new Text();
  yield* writeMessage(desc, new Span(bytes, 0, bytes.byteLength), out);
  if (out.text !== '') yield Buffer.from(out.text);
}

class Text {
  text = '';

  take(): Uint8Array {
    const bytes = Buffer.from(this.text);
    this.text = '';
    return bytes;
  }
}

/** Where the values of one field lie, from the first to behind the last. */
interface Place {
  readonly from: number;
  to: number;
  count: number;
}

function* writeMessage(desc: DescMessage, span: Span, out: Text): Generator<Uint8Array> {
  const places = placesOf(span);
  out.text += '{';
  let comma = '';
  for (const field of desc.fields) {
    const place = places.get(field.number);
    if (place === undefined || isOverruled(field, places)) continue;
    const before = out.text;
    out.text += `${comma}${JSON.stringify(field.jsonName)}:`;
    if (field.fieldKind === 'list') {
      out.text += '[';
      let first = true;
      const within = new Span(span.bytes, place.from, place.to);
      while (within.at < within.end) {
        const tag = within.varint();
        if (Math.floor(tag / 8) !== field.number) {
          within.skip(tag & 7);
          continue;
        }
        const wire = tag & 7;
        const packed = wire === DELIMITED && field.listKind !== 'message' && isPackable(field);
        const values = packed ? within.delimited() : within;
        const end = packed ? values.end : values.at + 1;
        while (values.at < end) {
          if (!first) out.text += ',';
          first = false;
          if (field.message !== undefined) yield* writeItem(field, values, out);
          else out.text += scalar(field, values, packed ? wireOf(field) : wire);
          if (out.text.length >= SLICE_CHARS) yield out.take();
        }
      }
      out.text += ']';
      comma = ',';
    } else {
      const value = lastOf(span, field, place);
      if (value === undefined) {
        out.text = before;
        continue;
      }
      if (field.message !== undefined) yield* writeItem(field, value.span, out);
      else out.text += scalar(field, value.span, value.wire);
      comma = ',';
    }
    if (out.text.length >= SLICE_CHARS) yield out.take();
  }
  out.text += '}';
}

function* writeItem(
  { message }: DescField & { readonly message: DescMessage },
  span: Span,
  out: Text,
): Generator<Uint8Array> {
  const inner = span.delimited();
  if (inner.end - inner.at > SMALL_BYTES) {
    yield* writeMessage(message, inner, out);
    return;
  }
  // Small: whatever it would yield on the way goes into the text, for a slice later.
  const small = new Text();
  const parts: string[] = [];
  for (const slice of writeMessage(message, inner, small)) {
    parts.push(Buffer.from(slice).toString());
  }
  out.text += parts.join('') + small.text;
}

/** One pass over the fields of a message. */
function placesOf(span: Span): Map<number, Place> {
  const places = new Map<number, Place>();
  const walk = new Span(span.bytes, span.at, span.end);
  let last: Place | undefined;
  let lastNumber = 0;
  while (walk.at < walk.end) {
    const from = walk.at;
    const tag = walk.varint();
    walk.skip(tag & 7);
    const number = Math.floor(tag / 8);
    if (number !== lastNumber || last === undefined) {
      last = places.get(number);
      lastNumber = number;
      if (last === undefined) places.set(number, (last = { from, to: walk.at, count: 0 }));
    }
    last.to = walk.at;
    last.count++;
  }
  return places;
}

/** Whether another member of the field's oneof came later. */
function isOverruled(field: DescField, places: ReadonlyMap<number, Place>): boolean {
  const to = places.get(field.number)?.to ?? 0;
  return field.oneof?.fields.some(({ number }) => (places.get(number)?.to ?? 0) > to) ?? false;
}

/**
 * The value of a field that is no list: the last one; those of a message together, as one message.
 * Undefined for a default that JSON leaves out.
 */
function lastOf(
  span: Span,
  field: DescField,
  place: Place,
): { readonly span: Span; readonly wire: number } | undefined {
  const walk = new Span(span.bytes, place.from, place.to);
  const parts: Uint8Array[] = [];
  let found: { span: Span; wire: number } | undefined;
  while (walk.at < walk.end) {
    const tag = walk.varint();
    const at = walk.at;
    walk.skip(tag & 7);
    if (Math.floor(tag / 8) !== field.number) continue;
    found = { span: new Span(span.bytes, at, walk.at), wire: tag & 7 };
    if (field.message !== undefined && place.count > 1) {
      const inner = new Span(span.bytes, at, walk.at).delimited();
      parts.push(inner.bytes.subarray(inner.at, inner.end));
    }
  }
  if (parts.length > 1) {
    const bytes = Buffer.concat(parts);
    const whole = Buffer.concat([varintBytes(bytes.byteLength), bytes]);
    return { span: new Span(whole, 0, whole.byteLength), wire: DELIMITED };
  }
  if (found === undefined || field.message !== undefined) return found;
  // Fields without presence do not tell a default from nothing.
  const implicit = field.presence === FeatureSet_FieldPresence.IMPLICIT;
  return implicit && found.span.bytes.subarray(found.span.at, found.span.end).every(isZero)
    ? undefined
    : found;
}

function isZero(byte: number): boolean {
  return byte === 0;
}

function varintBytes(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function isPackable(field: DescField): boolean {
  return field.scalar !== ScalarType.STRING && field.scalar !== ScalarType.BYTES;
}

/** How one value of a packed list lies in it. */
function wireOf(field: DescField): number {
  switch (field.scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return FIXED_64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return FIXED_32;
    default:
      return VARINT;
  }
}

function scalar(field: DescField, span: Span, wire: number): string {
  if (wire === DELIMITED) {
    const inner = span.delimited();
    const view = Buffer.from(inner.bytes.buffer, inner.bytes.byteOffset, inner.bytes.byteLength);
    if (field.scalar === ScalarType.BYTES) {
      return `"${view.toString('base64', inner.at, inner.end)}"`;
    }
    return JSON.stringify(view.toString('utf8', inner.at, inner.end));
  }
  if (wire === FIXED_64 || wire === FIXED_32) return fixed(field, span, wire);
  if (field.enum !== undefined) {
    const value = Number(BigInt.asIntN(32, span.wide()));
    const name = field.enum.value[value]?.name;
    return name === undefined ? String(value) : JSON.stringify(name);
  }
  switch (field.scalar) {
    case ScalarType.BOOL:
      return String(span.varint() !== 0);
    case ScalarType.INT64:
      return `"${span.int64()}"`;
    case ScalarType.UINT64:
      return `"${span.wide()}"`;
    case ScalarType.SINT64:
      return `"${zigzag(span.wide())}"`;
    case ScalarType.SINT32:
      return String(zigzag(span.wide()));
    case ScalarType.INT32:
      return String(BigInt.asIntN(32, span.wide()));
    default:
      return String(BigInt.asUintN(32, span.wide()));
  }
}

function fixed(field: DescField, span: Span, wire: number): string {
  const view = new DataView(
    span.bytes.buffer,
    span.bytes.byteOffset + span.at,
    wire === FIXED_64 ? 8 : 4,
  );
  span.skip(wire);
  switch (field.scalar) {
    case ScalarType.DOUBLE:
      return float(view.getFloat64(0, true));
    case ScalarType.FLOAT:
      return float(view.getFloat32(0, true));
    case ScalarType.FIXED64:
      return `"${view.getBigUint64(0, true)}"`;
    case ScalarType.SFIXED64:
      return `"${view.getBigInt64(0, true)}"`;
    case ScalarType.FIXED32:
      return String(view.getUint32(0, true));
    default:
      return String(view.getInt32(0, true));
  }
}

function float(value: number): string {
  return Number.isFinite(value) ? JSON.stringify(value) : `"${value}"`;
}

function zigzag(value: bigint): bigint {
  return (value >> 1n) ^ -(value & 1n);
}
