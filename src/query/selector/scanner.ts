import { TephraError } from '../../base/errors.ts';

const LABEL_NAME = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const BLANK = /[ \t\r\n]*/y;
const LONE_SURROGATE = /\p{Surrogate}/u;
const TWO_DIGITS = /[0-9a-fA-F]{2}/y;
const FOUR_DIGITS = /[0-9a-fA-F]{4}/y;
const EIGHT_DIGITS = /[0-9a-fA-F]{8}/y;
const OCTAL_DIGITS = /[0-3][0-7]{2}/y;
const PLAIN = /[^\\\n"']+/y;
const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
]);
const UTF8_STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads the tokens of one selector from left to right; a token that is not there is `parse_error`. */
export class Scanner {
  readonly text: string;
  #at = 0;

  /** Throws `parse_error` if the text is not well-formed Unicode. */
  constructor(text: string) {
    this.text = text;
    const broken = text.search(LONE_SURROGATE);
    if (broken >= 0) {
      this.#at = broken;
      this.fail('well-formed Unicode');
    }
  }

  /** Throws `parse_error at line:column`; both count from 1, columns in code points. */
  fail(expected: string, at: number = this.#at): never {
    const before = this.text.slice(0, at);
    const line = before.split('\n').length;
    const column = Array.from(before.slice(before.lastIndexOf('\n') + 1)).length + 1;
    const found = String.fromCodePoint(this.text.codePointAt(at) ?? 0);
    throw new TephraError(
      'parse_error',
      `at ${line}:${column}: expected ${expected}, found ${
        at >= this.text.length ? 'the end' : JSON.stringify(found)
      }`,
    );
  }

  /** Offset of the next token. */
  get at(): number {
    this.#take(BLANK);
    return this.#at;
  }

  /** Whether nothing but blanks is left. */
  get ended(): boolean {
    return this.at >= this.text.length;
  }

  /** Moves to an offset. */
  seek(offset: number): void {
    this.#at = offset;
  }

  /** The first of `tokens` that comes next is taken and returned, or undefined. */
  takeAny(tokens: readonly string[]): string | undefined {
    const at = this.at;
    const found = tokens.find((token) => this.text.startsWith(token, at));
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  /** An unquoted label name, or undefined. */
  labelName(): string | undefined {
    this.#take(BLANK);
    return this.#take(LABEL_NAME);
  }

  /** A string in ", ' or `, unescaped; undefined if none begins here. */
  quoted(): string | undefined {
    const quote = this.takeAny(['"', "'", '`']);
    if (quote === undefined) return undefined;
    return quote === '`' ? this.#raw() : this.#escaped(quote);
  }

  #raw(): string {
    const end = this.text.indexOf('`', this.#at);
    if (end < 0) this.fail('a closing `', this.text.length);
    const value = this.text.slice(this.#at, end);
    this.#at = end + 1;
    return value;
  }

  #escaped(quote: string): string {
    let value = '';
    for (;;) {
      value += this.#take(PLAIN) ?? '';
      const next = this.text[this.#at];
      if (next === undefined || next === '\n') this.fail(`a closing ${quote}`);
      if (next === '\\') {
        value += this.#escape(quote);
        continue;
      }
      this.#at++;
      if (next === quote) return value;
      value += next;
    }
  }

  /** One escape of a Go string, as PromQL has them. */
  #escape(quote: string): string {
    const at = this.#at;
    if (this.#byteEscapeAhead()) return this.#bytes();
    this.#at += 2;
    const kind = this.text[at + 1] ?? '';
    if (kind === quote) return quote;
    const simple = SIMPLE_ESCAPES.get(kind);
    if (simple !== undefined) return simple;
    const digits =
      kind === 'u' ? this.#take(FOUR_DIGITS) : kind === 'U' ? this.#take(EIGHT_DIGITS) : undefined;
    const code = Number.parseInt(digits ?? '', 16);
    const valid = code < 0xd800 || (code > 0xdfff && code <= 0x10ffff);
    return valid ? String.fromCodePoint(code) : this.fail('a valid escape sequence', at);
  }

  #byteEscapeAhead(): boolean {
    return /^\\[x0-7]/.test(this.text.slice(this.#at, this.#at + 2));
  }

  /** A run of `\xHH` and `\ooo`: bytes, which together must be UTF-8. */
  #bytes(): string {
    const at = this.#at;
    const bytes: number[] = [];
    while (this.#byteEscapeAhead()) {
      const hexadecimal = this.text[this.#at + 1] === 'x';
      this.#at += hexadecimal ? 2 : 1;
      const digits = this.#take(hexadecimal ? TWO_DIGITS : OCTAL_DIGITS);
      if (digits === undefined) this.fail('a valid escape sequence', at);
      bytes.push(Number.parseInt(digits, hexadecimal ? 16 : 8));
    }
    try {
      return UTF8_STRICT.decode(Uint8Array.from(bytes));
    } catch {
      // A fatal decoder fails for one reason only.
      return this.fail('escaped bytes that are UTF-8', at);
    }
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }
}
