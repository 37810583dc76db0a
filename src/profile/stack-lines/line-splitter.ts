import { TextDecoder } from 'node:util';
import { LIMITS } from '../../base/limits.ts';

/** Takes the lines of a text. */
export interface LineSink {
  /** A line without its end. */
  line(text: string): void;
  /** The line that is `bytes` long, about, is too long to be looked at. */
  long(bytes: number): void;
}

/**
 * Cuts bytes into lines as they come. UTF-8, or UTF-16 by its byte order mark, as PowerShell pipes it;
 * what is not valid becomes U+FFFD. Ends are LF or CRLF. A line beyond `lineBytesMax` is told and
 * passed over, so that memory is bounded.
 */
export class LineSplitter {
  readonly #sink: LineSink;
  readonly #bytesMax: number;
  #decoder: TextDecoder | undefined;
  /** Bytes before it is known what they are. */
  #head: Uint8Array = new Uint8Array(0);
  /** Pieces of the line that has not ended. */
  #open: string[] = [];
  /** Characters of that line, also where they are not kept. */
  #length = 0;

  constructor(sink: LineSink, bytesMax: number = LIMITS.stackLineBytesMax) {
    this.#sink = sink;
    this.#bytesMax = bytesMax;
  }

  /** Takes the next bytes; gives the lines that end in them. */
  add(bytes: Uint8Array): void {
    let rest = bytes;
    if (this.#decoder === undefined) {
      rest = Buffer.concat([this.#head, bytes]);
      if (rest.byteLength < MARK_BYTES) {
        this.#head = rest;
        return;
      }
      this.#decoder = new TextDecoder(encodingOf(rest));
    }
    this.#text(this.#decoder.decode(rest, { stream: true }));
  }

  /** The end of the input; gives the line that has no end. */
  end(): void {
    if (this.#decoder === undefined) this.#text(new TextDecoder().decode(this.#head));
    else this.#text(this.#decoder.decode());
    if (this.#length > 0) this.#close('');
  }

  #text(text: string): void {
    let from = 0;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      this.#close(text.slice(from, at));
      from = at + 1;
    }
    if (from < text.length) this.#keep(text.slice(from));
  }

  #keep(piece: string): void {
    this.#length += piece.length;
    if (this.#length <= this.#bytesMax) this.#open.push(piece);
    else this.#open = [];
  }

  #close(piece: string): void {
    const length = this.#length + piece.length;
    const open = this.#open;
    this.#open = [];
    this.#length = 0;
    if (length > this.#bytesMax) {
      this.#sink.long(length);
      return;
    }
    const line = open.length === 0 ? piece : open.join('') + piece;
    this.#sink.line(line.endsWith('\r') ? line.slice(0, -1) : line);
  }
}

/** Of so many bytes it is known whether they are a mark. */
const MARK_BYTES = 2;

function encodingOf(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return 'utf-8';
}
