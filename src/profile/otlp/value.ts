import { FieldWalk } from './field-walk.ts';
import type { StringTable } from './tables.ts';

/** A value that is no text and no whole number. */
export const OTHER = 0;
/** A text; `from` and `to` are its bytes. */
export const TEXT = 1;
/** A whole number; `from` is its varint. */
export const WHOLE = 2;

/**
 * Reads `AnyValue` and `KeyValue`. Of a value only texts and whole numbers are kept; of all, references to
 * strings are checked, however deep they lie. The scan has seen them: nothing here is out of bounds.
 */
export class ValueReader {
  readonly #walk: FieldWalk;
  kind = OTHER;
  from = 0;
  to = 0;
  /** Of a `KeyValue`. */
  keyFrom = 0;
  keyTo = 0;

  constructor(unknownFieldsMax: number) {
    this.#walk = new FieldWalk(unknownFieldsMax);
  }

  /** The value in `bytes[start, end)`. Throws `malformed_profile` for a string that is not there. */
  read(bytes: Uint8Array, start: number, end: number, strings: StringTable): void {
    const walk = this.#walk;
    this.kind = OTHER;
    for (let at = start; at < end;) {
      walk.open(bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      // The last member of a oneof that comes is the one.
      if (no > 8) continue;
      this.kind = OTHER;
      if (no === 1) this.#text(from, to);
      else if (no === 3) {
        this.kind = WHOLE;
        this.from = from;
      } else if (no === 8) {
        const index = strings.check(bytes, walk.int(bytes), from, 'string_value_strindex');
        this.#text(strings.start[index] as number, strings.end[index] as number);
      } else if (no === 5 || no === 6) {
        this.#list(bytes, from, to, no === 6, strings);
        this.kind = OTHER;
      }
    }
  }

  /** The `KeyValue` in `bytes[start, end)`: an inline key wins over a reference. */
  readKeyValue(bytes: Uint8Array, start: number, end: number, strings: StringTable): void {
    const walk = this.#walk;
    let keyFrom = 0;
    let keyTo = 0;
    let index = 0;
    let indexAt = 0;
    this.kind = OTHER;
    for (let at = start; at < end;) {
      walk.open(bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no === 1) {
        keyFrom = from;
        keyTo = to;
      } else if (no === 2) this.read(bytes, from, to, strings);
      else if (no === 3) {
        index = walk.int(bytes);
        indexAt = from;
      }
    }
    if (keyFrom === keyTo && index !== 0) {
      strings.check(bytes, index, indexAt, 'key_strindex');
      keyFrom = strings.start[index] as number;
      keyTo = strings.end[index] as number;
    }
    this.keyFrom = keyFrom;
    this.keyTo = keyTo;
  }

  /** The whole number of a value of kind {@link WHOLE}, as people read it. */
  wholeText(bytes: Uint8Array): string {
    const { cursor } = this.#walk;
    cursor.fastRead(bytes, this.from);
    return String(cursor.big());
  }

  #text(from: number, to: number): void {
    this.kind = TEXT;
    this.from = from;
    this.to = to;
  }

  #list(bytes: Uint8Array, start: number, end: number, isMap: boolean, strings: StringTable): void {
    const walk = this.#walk;
    for (let at = start; at < end;) {
      walk.open(bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no !== 1) continue;
      if (isMap) this.readKeyValue(bytes, from, to, strings);
      else this.read(bytes, from, to, strings);
    }
  }
}
