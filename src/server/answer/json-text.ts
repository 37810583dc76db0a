/** Bytes of a slice, unless told otherwise. */
const SLICE_BYTES = 256 * 1_024;

/** Buffers that slices take turns in. */
const BUFFERS = 4;

/** `{` ... */
export const OPEN = 0x7b;
/** ... and `}`, ... */
export const CLOSE = 0x7d;
/** ... `[` ... */
export const OPEN_LIST = 0x5b;
/** ... and `]`, ... */
export const CLOSE_LIST = 0x5d;
/** ... and what separates. */
export const COMMA = 0x2c;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;

/**
 * JSON text in UTF-8, written without strings: of a large answer each would wait for the collector. It
 * comes in slices; a slice is overwritten when the third one after it is asked for.
 */
export class JsonText {
  readonly #buffers: Buffer[] = [];
  #turn = 0;
  #buffer: Buffer;
  #at = 0;
  /** Bytes of slices that were taken. */
  #taken = 0;
  readonly #sliceBytes: number;

  /** `sliceBytes`: of a slice, about; what is made before anything is asked of the reader. */
  constructor(sliceBytes = SLICE_BYTES) {
    this.#sliceBytes = sliceBytes;
    this.#buffer = Buffer.allocUnsafeSlow(Math.ceil(sliceBytes * 1.25));
  }

  /** Whether there is a slice to be taken. */
  get isFull(): boolean {
    return this.#at >= this.#sliceBytes;
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#taken + this.#at;
  }

  /** Forgets what was written beyond so many bytes, none of them taken yet. */
  cut(size: number): void {
    this.#at = size - this.#taken;
  }

  /** The slice, to be written before two more are taken. */
  take(): Uint8Array {
    const slice = this.#buffer.subarray(0, this.#at);
    this.#buffers[this.#turn] = this.#buffer;
    this.#turn = (this.#turn + 1) % BUFFERS;
    this.#buffer = this.#buffers[this.#turn] ?? Buffer.allocUnsafeSlow(this.#buffer.byteLength);
    this.#taken += this.#at;
    this.#at = 0;
    return slice;
  }

  /** One ASCII character. */
  byte(code: number): void {
    if (this.#at === this.#buffer.byteLength) this.#grow(1);
    this.#buffer[this.#at++] = code;
  }

  /** ASCII text as it is. */
  ascii(text: string): void {
    this.#room(text.length);
    for (let i = 0; i < text.length; i++) this.#buffer[this.#at++] = text.charCodeAt(i);
  }

  /** Bytes as they are, not many. */
  raw(bytes: Uint8Array): void {
    this.#room(bytes.byteLength);
    for (let i = 0; i < bytes.byteLength; i++) this.#buffer[this.#at++] = bytes[i] as number;
  }

  /** Digits of a whole number in [0, 2^53). */
  digits(value: number): void {
    this.#room(16);
    const high = value >= 1e9 ? Math.floor(value / 1e9) : 0;
    if (high > 0) this.#uint(high);
    this.#uint(value - high * 1e9, high > 0 ? 9 : 1);
  }

  /** Digits of a number below 2^32, at least so many. */
  #uint(value: number, least = 1): void {
    let count = 1;
    for (let bound = 10; count < 10 && value >= bound; bound *= 10) count++;
    if (count < least) count = least;
    const buffer = this.#buffer;
    let rest = value;
    for (let at = this.#at + count - 1; at >= this.#at; at--) {
      const next = Math.floor(rest / 10);
      buffer[at] = ZERO + rest - next * 10;
      rest = next;
    }
    this.#at += count;
  }

  /** UTF-8 as the inner part of a string; what is not UTF-8 becomes U+FFFD. */
  text(bytes: Uint8Array, from: number, to: number): void {
    this.#room(to - from);
    const buffer = this.#buffer;
    let at = this.#at;
    for (let i = from; i < to; i++) {
      const byte = bytes[i] as number;
      if (byte < 0x20 || byte > 0x7e || byte === QUOTE || byte === BACKSLASH) {
        this.#escaped(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from));
        return;
      }
      buffer[at++] = byte;
    }
    this.#at = at;
  }

  #escaped(bytes: Buffer): void {
    const text = JSON.stringify(bytes.toString('utf8'));
    this.#room(text.length * 3);
    // Over what was written: without the quotes.
    this.#at += this.#buffer.write(text.slice(1, -1), this.#at, 'utf8');
  }

  /** Base64 of whole groups of three bytes, or of the last ones with padding. */
  base64(bytes: Uint8Array, from: number, to: number): void {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from);
    const text = view.toString('base64');
    this.#room(text.length);
    this.#at += this.#buffer.write(text, this.#at, 'latin1');
  }

  /** Quotes around what is written next, called before and after it. */
  quote(): void {
    this.byte(QUOTE);
  }

  #room(bytes: number): void {
    if (this.#at + bytes > this.#buffer.byteLength) this.#grow(bytes);
  }

  #grow(bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.byteLength * 2, this.#at + bytes));
    this.#buffer.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
  }
}
