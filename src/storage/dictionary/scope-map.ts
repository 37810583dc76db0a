import { assert } from '../../base/assert.ts';
import { growU32 } from './grow.ts';
import { type TableLengths } from './lengths.ts';

/** Ids of one table: below the seed themselves, above it by a column. */
class TableMap {
  readonly #seed: number;
  #ids: Uint32Array = new Uint32Array(0);
  #count = 0;
  isIdentity = true;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** How many rows of the foreign table are mapped. */
  get mapped(): number {
    return this.#seed + this.#count;
  }

  get(id: number): number {
    if (id < this.#seed) return id;
    assert(id < this.mapped, `id ${id} of ${this.mapped} that are mapped`);
    return this.#ids[id - this.#seed] as number;
  }

  add(id: number): void {
    if (id !== this.mapped) this.isIdentity = false;
    this.#ids = growU32(this.#ids, this.#count + 1);
    this.#ids[this.#count++] = id;
  }
}

/**
 * Translates the ids of a writer's scope into those of another dictionary: below the seed lengths
 * they are the same, above them they were mapped by content, slice by slice.
 */
export class ScopeMap {
  /** @internal Filled by `Dictionary.mapSlice`. */
  readonly tables: { readonly [Table in keyof TableLengths]: TableMap };

  constructor(seed: TableLengths) {
    this.tables = {
      strings: new TableMap(seed.strings),
      functions: new TableMap(seed.functions),
      frames: new TableMap(seed.frames),
      nodes: new TableMap(seed.nodes),
      stacks: new TableMap(seed.stacks),
      series: new TableMap(seed.series),
    };
  }

  /** How far each table is mapped. */
  get mapped(): TableLengths {
    const { strings, functions, frames, nodes, stacks, series } = this.tables;
    return {
      strings: strings.mapped,
      functions: functions.mapped,
      frames: frames.mapped,
      nodes: nodes.mapped,
      stacks: stacks.mapped,
      series: series.mapped,
    };
  }

  /** Whether every id so far is its own image. */
  get isIdentity(): boolean {
    const { strings, functions, frames, nodes, stacks, series } = this.tables;
    return (
      strings.isIdentity &&
      functions.isIdentity &&
      frames.isIdentity &&
      nodes.isIdentity &&
      stacks.isIdentity &&
      series.isIdentity
    );
  }

  /** Image of a string id. */
  string(id: number): number {
    return this.tables.strings.get(id);
  }

  /** Image of a function id. */
  function(id: number): number {
    return this.tables.functions.get(id);
  }

  /** Image of a frame id. */
  frame(id: number): number {
    return this.tables.frames.get(id);
  }

  /** Image of a node id. */
  node(id: number): number {
    return this.tables.nodes.get(id);
  }

  /** Image of a stack id. */
  stack(id: number): number {
    return this.tables.stacks.get(id);
  }

  /** Image of a series id. */
  series(id: number): number {
    return this.tables.series.get(id);
  }
}
