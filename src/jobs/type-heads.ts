import { readTypesAt } from '../storage/fragment/decode.ts';
import type { TypeHead } from '../storage/fragment/decode.ts';

/**
 * What is made of the types of pushes, which are the same bytes in most pushes of a family: they are
 * decoded once.
 */
export class TypeHeads<T> {
  readonly #make: (types: readonly TypeHead[]) => T;
  readonly #known = new Map<number, Known<T>[]>();
  #last: Known<T> | undefined;

  constructor(make: (types: readonly TypeHead[]) => T) {
    this.#make = make;
  }

  /** For the types in `bytes[at, end)`. Throws `corrupt_block`. */
  of(bytes: Uint8Array, at: number, end: number): T {
    let known = this.#last;
    if (known === undefined || !isSame(known.head, bytes, at, end)) {
      known = this.#last = this.#find(bytes, at, end);
    }
    return known.value;
  }

  #find(bytes: Uint8Array, at: number, end: number): Known<T> {
    const hash = hashOf(bytes, at, end);
    const alike = this.#known.get(hash) ?? [];
    let known = alike.find(({ head }) => isSame(head, bytes, at, end));
    if (known === undefined) {
      const value = this.#make(readTypesAt(bytes, at, end));
      known = { head: bytes.slice(at, end), value };
      this.#known.set(hash, [...alike, known]);
    }
    return known;
  }
}

interface Known<T> {
  readonly head: Uint8Array;
  readonly value: T;
}

function isSame(head: Uint8Array, bytes: Uint8Array, at: number, end: number): boolean {
  if (head.length !== end - at) return false;
  for (let i = 0; i < head.length; i++) if (head[i] !== bytes[at + i]) return false;
  return true;
}

/** FNV-1a of `bytes[at, end)`, 32 bits. */
function hashOf(bytes: Uint8Array, at: number, end: number): number {
  let hash = 0x811c_9dc5;
  for (let i = at; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x0100_0193);
  return hash;
}
