import { assert } from '../../base/assert.ts';
import type { ValueType } from '../plain.ts';

/** A type that a family measures. */
export interface FamilyType extends ValueType {
  /** First part of the profile type: `process_cpu`, `memory`, … */
  readonly name: string;
  readonly periodType?: ValueType | undefined;
  /** Events between two samples, whole; 0 or left out = unknown. */
  readonly period?: number | undefined;
}

/** Series that are measured together: one for each type, with the same labels. */
export interface Family {
  /** Beside those of the stream. */
  readonly labels: Readonly<Record<string, string>>;
  readonly types: readonly FamilyType[];
}

/** Stacks, or bytes of texts, from which on a stream begins with fresh tables. */
export const TABLE_STACKS_MAX = 131_072;
export const TABLE_TEXT_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Strings, frames, stacks and families of a stream, numbered from 1 in the order in which they are first
 * asked for; 0 is none. The numbers are the client's own and outlive connections and epochs.
 */
export class SampleTables {
  readonly texts: string[] = [''];
  /** Columns by frame. */
  readonly frameFunction: number[] = [0];
  readonly frameFile: number[] = [0];
  readonly frameLine: number[] = [0];
  /** Columns by stack; a parent has a lower number. */
  readonly stackParent: number[] = [0];
  readonly stackFrame: number[] = [0];
  readonly families: (Family | undefined)[] = [undefined];
  #textBytes = 0;
  readonly #textNumbers = new Map<string, number>([['', 0]]);
  readonly #frameNumbers = new Map<string, number>();
  readonly #stackNumbers = new Map<number, number>();
  readonly #familyNumbers = new Map<string, number>();

  /** Whether it is time for fresh tables. */
  get full(): boolean {
    return this.stackParent.length > TABLE_STACKS_MAX || this.#textBytes > TABLE_TEXT_BYTES_MAX;
  }

  /** Number of a text. */
  text(text: string): number {
    const known = this.#textNumbers.get(text);
    if (known !== undefined) return known;
    const number = this.texts.length;
    this.texts.push(text);
    this.#textNumbers.set(text, number);
    this.#textBytes += text.length;
    return number;
  }

  /** Number of a frame; `line` counts from 1, 0 is unknown. */
  frame(name: string, file = '', line = 0): number {
    const key = `${name}\0${file}\0${line}`;
    const known = this.#frameNumbers.get(key);
    if (known !== undefined) return known;
    const number = this.frameFunction.length;
    this.frameFunction.push(this.text(name));
    this.frameFile.push(this.text(file));
    this.frameLine.push(line);
    this.#frameNumbers.set(key, number);
    return number;
  }

  /** Number of the stack that goes on from `parent` (0 = the root) by `frame` at the leaf. */
  stack(parent: number, frame: number): number {
    const key = parent * 0x400_0000 + frame;
    const known = this.#stackNumbers.get(key);
    if (known !== undefined) return known;
    assert(parent < this.stackParent.length && frame > 0, `stack (${parent}, ${frame})`);
    const number = this.stackParent.length;
    this.stackParent.push(parent);
    this.stackFrame.push(frame);
    this.#stackNumbers.set(key, number);
    return number;
  }

  /** Number of a family. */
  family(family: Family): number {
    const labels = Object.entries(family.labels).sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify([labels, family.types]);
    const known = this.#familyNumbers.get(key);
    if (known !== undefined) return known;
    const number = this.families.length;
    this.families.push({ labels: Object.fromEntries(labels), types: family.types });
    this.#familyNumbers.set(key, number);
    return number;
  }
}

/** Numbers of one {@link SampleTables} in another, entered there when they are asked for. */
export class Moving {
  readonly #from: SampleTables;
  readonly #to: SampleTables;
  readonly #stacks = new Map<number, number>([[0, 0]]);

  constructor(from: SampleTables, to: SampleTables) {
    this.#from = from;
    this.#to = to;
  }

  stack(number: number): number {
    const path: number[] = [];
    let at = number;
    while (!this.#stacks.has(at)) {
      path.push(at);
      at = this.#from.stackParent[at] as number;
    }
    let moved = this.#stacks.get(at) as number;
    for (const stack of path.toReversed()) {
      moved = this.#to.stack(moved, this.#frame(this.#from.stackFrame[stack] as number));
      this.#stacks.set(stack, moved);
    }
    return moved;
  }

  text(number: number): number {
    return this.#to.text(this.#from.texts[number] as string);
  }

  family(number: number): number {
    return this.#to.family(this.#from.families[number] as Family);
  }

  #frame(number: number): number {
    const { texts, frameFunction, frameFile, frameLine } = this.#from;
    const name = texts[frameFunction[number] as number] as string;
    const file = texts[frameFile[number] as number] as string;
    return this.#to.frame(name, file, frameLine[number]);
  }
}
