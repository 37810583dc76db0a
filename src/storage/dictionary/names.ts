import type { Frames } from './frames.ts';
import type { Functions } from './functions.ts';
import { growU32 } from './grow.ts';
import { SIDE_NAMES } from './name-tree.ts';
import { DAMAGED_STRING, FRAME_DAMAGED, NO_FUNCTION, UNKNOWN_NAME } from './rows.ts';
import type { Strings } from './strings.ts';

/** About what a name beside the string table costs beside its characters. */
const SIDE_NAME_BYTES = 128;

/**
 * What frames are called. A name id is a string id, or, for frames without symbols, the number of a
 * text that is kept here, beside the string table: reading must not add rows to tables.
 */
export class Names {
  readonly #strings: Strings;
  readonly #functions: Functions;
  readonly #frames: Frames;
  /** Name id of each frame seen so far. */
  #ofFrame: Uint32Array = new Uint32Array(0);
  #done = 0;
  readonly #texts: string[] = [];
  readonly #ids = new Map<string, number>();
  #textBytes = 0;

  constructor(strings: Strings, functions: Functions, frames: Frames) {
    this.#strings = strings;
    this.#functions = functions;
    this.#frames = frames;
  }

  /** Bytes held. */
  get bytesInMemory(): number {
    return this.#ofFrame.byteLength + this.#textBytes;
  }

  /** Name id of a frame. */
  ofFrame(frame: number): number {
    if (this.#done < this.#frames.count) this.#extend();
    return this.#ofFrame[frame] as number;
  }

  /** Text of a name id. */
  text(nameId: number): string {
    return nameId < SIDE_NAMES
      ? this.#strings.text(nameId)
      : (this.#texts[nameId - SIDE_NAMES] as string);
  }

  #extend(): void {
    this.#ofFrame = growU32(this.#ofFrame, this.#frames.count);
    for (; this.#done < this.#frames.count; this.#done++) {
      this.#ofFrame[this.#done] = this.#nameId(this.#done);
    }
  }

  #nameId(id: number): number {
    const frame = this.#frames.row(id);
    if ((frame.flags & FRAME_DAMAGED) !== 0) return DAMAGED_STRING;
    if (frame.fn !== NO_FUNCTION) {
      const { name, systemName } = this.#functions.row(frame.fn);
      return name !== 0 ? name : systemName !== 0 ? systemName : this.#side(UNKNOWN_NAME);
    }
    const place = frame.mappingFile !== 0 ? frame.mappingFile : frame.buildId;
    const address = BigInt(frame.addressHigh) * 0x1_0000_0000n + BigInt(frame.addressLow);
    if (place === 0 && address === 0n) return this.#side(UNKNOWN_NAME);
    const prefix = place === 0 ? '' : `${this.#strings.text(place)}+`;
    return this.#side(`${prefix}0x${address.toString(16)}`);
  }

  #side(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const id = SIDE_NAMES + this.#texts.length;
    this.#texts.push(text);
    this.#ids.set(text, id);
    this.#textBytes += SIDE_NAME_BYTES + 2 * text.length;
    return id;
  }
}
