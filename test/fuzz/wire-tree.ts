import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';

/** What the length-delimited fields of a message hold, by number; those that are missing hold bytes. */
export type Shape = ReadonlyMap<number, 'packed' | 'text' | (() => Shape)>;

/** A field as it is on the wire. */
export type WireField = { readonly no: number } & (
  | { readonly kind: 'number'; value: bigint }
  | { readonly kind: 'packed'; values: bigint[] }
  | { readonly kind: 'bytes'; bytes: Uint8Array }
  | { readonly kind: 'message'; readonly shape: Shape; fields: WireField[] }
);

const SHAPES = new Map<DescMessage, Shape>();

/** The shape of a message. */
export function shapeOf(message: DescMessage): Shape {
  const known = SHAPES.get(message);
  if (known !== undefined) return known;
  const shape = new Map<number, 'packed' | 'text' | (() => Shape)>();
  for (const field of message.fields) {
    const inner = innerOf(field);
    if (inner !== undefined) shape.set(field.number, inner);
  }
  SHAPES.set(message, shape);
  return shape;
}

function innerOf(field: DescField): 'packed' | 'text' | (() => Shape) | undefined {
  const { message } = field;
  if (message !== undefined) return () => shapeOf(message);
  if (field.scalar === ScalarType.STRING) return 'text';
  return field.fieldKind === 'list' && field.scalar !== ScalarType.BYTES ? 'packed' : undefined;
}

/** The fields of `bytes[from, end)`, up to the first that cannot be read. */
export function parseFields(
  bytes: Uint8Array,
  shape: Shape,
  from = 0,
  end = bytes.byteLength,
): WireField[] {
  const fields: WireField[] = [];
  for (let at = from; at < end;) {
    const tag = varintAt(bytes, at, end);
    if (tag === undefined) break;
    const no = Number(tag.value >> 3n);
    const body = varintAt(bytes, tag.end, end);
    const wireType = Number(tag.value & 7n);
    if (body === undefined || no < 1 || no > 31 || (wireType !== 0 && wireType !== 2)) break;
    at = body.end;
    if (wireType === 0) {
      fields.push({ no, kind: 'number', value: body.value });
      continue;
    }
    if (body.value > BigInt(end - at)) break;
    const to = at + Number(body.value);
    fields.push(fieldOf(bytes, no, shape.get(no), at, to));
    at = to;
  }
  return fields;
}

function fieldOf(
  bytes: Uint8Array,
  no: number,
  inner: ReturnType<Shape['get']>,
  at: number,
  to: number,
): WireField {
  if (typeof inner === 'function') {
    const shape = inner();
    return { no, kind: 'message', shape, fields: parseFields(bytes, shape, at, to) };
  }
  const values: bigint[] = [];
  if (inner === 'packed') {
    let next = at;
    while (next < to) {
      const varint = varintAt(bytes, next, to);
      if (varint === undefined) return { no, kind: 'bytes', bytes: bytes.slice(at, to) };
      values.push(varint.value);
      next = varint.end;
    }
    return { no, kind: 'packed', values };
  }
  return { no, kind: 'bytes', bytes: bytes.slice(at, to) };
}

function varintAt(
  bytes: Uint8Array,
  at: number,
  end: number,
): { readonly value: bigint; readonly end: number } | undefined {
  let small = 0;
  for (let i = 0; i < 10 && at + i < end; i++) {
    const byte = bytes[at + i] as number;
    if (i < 4) {
      small |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) return { value: BigInt(small), end: at + i + 1 };
    } else if (byte < 0x80) {
      let value = 0n;
      for (let j = i; j >= 0; j--) value = (value << 7n) | BigInt((bytes[at + j] as number) & 0x7f);
      return { value: BigInt.asUintN(64, value), end: at + i + 1 };
    }
  }
  return undefined;
}

/** The bytes of fields. */
export function encodeFields(fields: readonly WireField[]): Uint8Array {
  const out: number[] = [];
  writeFields(out, fields);
  return Uint8Array.from(out);
}

function writeFields(out: number[], fields: readonly WireField[]): void {
  for (const field of fields) {
    if (field.kind === 'number') {
      writeVarint(out, BigInt(field.no << 3));
      writeVarint(out, field.value);
      continue;
    }
    const body: number[] = [];
    if (field.kind === 'message') writeFields(body, field.fields);
    else if (field.kind === 'packed') for (const value of field.values) writeVarint(body, value);
    writeVarint(out, BigInt((field.no << 3) | 2));
    const bytes = field.kind === 'bytes' ? field.bytes : body;
    writeVarint(out, BigInt(bytes.length));
    for (const byte of bytes) out.push(byte);
  }
}

function writeVarint(out: number[], value: bigint): void {
  if (value < 0x8000_0000n) {
    let small = Number(value);
    for (; small >= 0x80; small >>>= 7) out.push((small & 0x7f) | 0x80);
    out.push(small);
    return;
  }
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  out.push(Number(rest));
}
