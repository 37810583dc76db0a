import { ScalarType } from '@bufbuild/protobuf';
import type { FieldPlan } from './json-plan.ts';
import type { JsonText } from './json-text.ts';
import { FIXED_64, VARINT } from '../../base/wire-types.ts';
import type { Span } from './span.ts';

/** Whether a value without a length is the default. */
export function isDefault({ bytes, at, end }: Span, wire: number): boolean {
  const mask = wire === VARINT ? 0x7f : 0xff;
  for (let i = at; i < end; i++) if (((bytes[i] as number) & mask) !== 0) return false;
  return true;
}

/** Writes a text or bytes: all of `span`. */
export function writeBytes({ scalar }: FieldPlan, span: Span, text: JsonText): void {
  text.quote();
  if (scalar === ScalarType.BYTES) text.base64(span.bytes, span.at, span.end);
  else text.text(span.bytes, span.at, span.end);
  text.quote();
}

/** Writes the number, truth value or enum that comes next. */
export function writeNumber(field: FieldPlan, span: Span, wire: number, text: JsonText): void {
  if (wire === VARINT) writeVarint(field, span, text);
  else text.ascii(fixed(field, span, wire));
}

function writeVarint({ scalar, enumNames }: FieldPlan, span: Span, text: JsonText): void {
  if (scalar === ScalarType.BOOL) {
    text.ascii(String(span.wide() !== 0n));
    return;
  }
  const from = span.at;
  const value = span.varint();
  // Seven bytes hold 49 bits: the usual case, without bigints.
  const isExact = span.at - from <= 7;
  switch (scalar) {
    case ScalarType.INT64:
    case ScalarType.UINT64:
      if (isExact) {
        text.quote();
        text.digits(value);
        text.quote();
        return;
      }
      break;
    case ScalarType.INT32:
    case ScalarType.UINT32:
      if (value < 2 ** 31) {
        text.digits(value);
        return;
      }
      break;
    default:
      break;
  }
  span.at = from;
  text.ascii(unusual(scalar, span.wide(), enumNames));
}

function unusual(
  scalar: ScalarType | undefined,
  value: bigint,
  enumNames: FieldPlan['enumNames'],
): string {
  switch (scalar) {
    case ScalarType.INT64:
      return `"${BigInt.asIntN(64, value)}"`;
    case ScalarType.UINT64:
      return `"${value}"`;
    case ScalarType.SINT64:
      return `"${zigzag(value)}"`;
    case ScalarType.SINT32:
      return String(zigzag(BigInt.asUintN(32, value)));
    case ScalarType.UINT32:
      return String(BigInt.asUintN(32, value));
    default: {
      const number = Number(BigInt.asIntN(32, value));
      const name = enumNames?.get(number);
      return name === undefined ? String(number) : `"${name}"`;
    }
  }
}

function fixed({ scalar }: FieldPlan, span: Span, wire: number): string {
  const { buffer, byteOffset } = span.bytes;
  const view = new DataView(buffer, byteOffset + span.at, wire === FIXED_64 ? 8 : 4);
  span.skip(wire);
  switch (scalar) {
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
