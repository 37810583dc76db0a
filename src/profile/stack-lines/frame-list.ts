import { LIMITS } from '../../base/limits.ts';
import { TRUNCATED_TEXT } from '../synthetic.ts';

/** Characters of all names of a stack that are kept: bounds a stack that never ends. */
const CHARACTERS_MAX = 1024 * 1024;

/** Frames of the stack that is being read, leaf first; what is too deep is cut at the root. */
export class FrameList {
  #names: string[] = [];
  #characters = 0;
  #isCut = false;

  push(name: string): void {
    this.#characters += name.length;
    if (this.#names.length < LIMITS.stackDepthKept && this.#characters <= CHARACTERS_MAX) {
      this.#names.push(name.slice(0, LIMITS.stringBytesKept));
    } else {
      this.#isCut = true;
    }
  }

  /** The stack below `roots`, root first; the list is empty then. */
  take(roots: readonly string[]): string[] {
    const cut = this.#isCut ? [TRUNCATED_TEXT] : [];
    const frames = [...roots, ...cut, ...this.#names.reverse()];
    this.#names = [];
    this.#characters = 0;
    this.#isCut = false;
    return frames;
  }

  get length(): number {
    return this.#names.length;
  }
}
