import type { FieldPlan, MessagePlan } from './json-plan.ts';
import { CLOSE, CLOSE_LIST, COMMA, OPEN, OPEN_LIST, type JsonText } from './json-text.ts';
import { isDefault, writeBytes, writeNumber } from './json-values.ts';
import { DELIMITED } from '../../base/wire-types.ts';
import { Span } from './span.ts';

/**
 * Writes a message whose fields come in their order, all of `span`, in one pass. Returns false, some of
 * it written, if they do not.
 */
export function writeOrdered({ fields }: MessagePlan, span: Span, text: JsonText): boolean {
  text.byte(OPEN);
  const start = text.size;
  let next = 0;
  let done = 0;
  while (span.at < span.end) {
    const tag = span.varint();
    const number = tag >>> 3;
    if (number <= done) return false;
    while ((fields[next]?.number ?? number) < number) next++;
    const field = fields[next];
    if (field?.number !== number) {
      span.skip(tag & 7);
      continue;
    }
    if (field.oneof !== undefined) return false;
    done = number;
    const before = text.size;
    if (before > start) text.byte(COMMA);
    text.raw(field.key);
    const afterKey = text.size;
    if (!(field.isList ? writeList(field, span, tag, text) : writeSingle(field, span, tag, text))) {
      return false;
    }
    // Nothing but a default.
    if (text.size === afterKey) text.cut(before);
  }
  text.byte(CLOSE);
  return true;
}

/** The values of a list that lie together, and nothing for none. */
function writeList(field: FieldPlan, span: Span, tag: number, text: JsonText): boolean {
  let separator = OPEN_LIST;
  let wire = tag & 7;
  for (;;) {
    if (wire === DELIMITED && field.packedWire !== undefined) {
      const values = span.delimited();
      while (values.at < values.end) {
        text.byte(separator);
        separator = COMMA;
        writeNumber(field, values, field.packedWire, text);
      }
    } else {
      text.byte(separator);
      separator = COMMA;
      if (!writeValue(field, span, wire, text)) return false;
    }
    const at = span.at;
    if (at >= span.end) break;
    const following = span.varint();
    if (following >>> 3 !== field.number) {
      span.at = at;
      break;
    }
    wire = following & 7;
  }
  if (separator === COMMA) text.byte(CLOSE_LIST);
  return true;
}

/** One value, and nothing for a default that is left out. */
function writeSingle(field: FieldPlan, span: Span, tag: number, text: JsonText): boolean {
  const wire = tag & 7;
  if (field.isImplicit) {
    const at = span.at;
    span.skip(wire);
    const value = new Span(span.bytes, at, span.at);
    const isEmpty = wire === DELIMITED ? value.varint() === 0 : isDefault(value, wire);
    if (isEmpty) return true;
    span.at = at;
  }
  return writeValue(field, span, wire, text);
}

function writeValue(field: FieldPlan, span: Span, wire: number, text: JsonText): boolean {
  if (wire !== DELIMITED) writeNumber(field, span, wire, text);
  else if (field.message === undefined) writeBytes(field, span.delimited(), text);
  else return writeOrdered(field.message, span.delimited(), text);
  return true;
}
