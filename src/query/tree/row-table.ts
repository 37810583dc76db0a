import { type Steps, sweep } from '../../base/steps.ts';

/**
 * Numbers rows of u32 fields densely from 0 in order of first sight: functions and frames by content.
 * Open addressing over typed arrays, no object and no text a row.
 */
export class RowTable {
  /** The row to look up: set its fields, then call {@link intern}. */
  readonly row: Uint32Array;
  /** Rows there are. */
  count = 0;
  /** Rows one after the other. */
  #rows: Uint32Array;
  /** Row + 1 by hash, 0 = free; at most half full. */
  #slots: Int32Array;
  readonly #width: number;

  /** `width` fields a row; `expected` rows fit without growing. */
  constructor(width: number, expected = 512) {
    this.#width = width;
    this.row = new Uint32Array(width);
    this.#rows = new Uint32Array(width * expected);
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(expected * 2)));
  }

  /** The number of the row in {@link row}; a new one is copied. */
  intern(): number {
    const { row } = this;
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = hash(row, 0, this.#width) & mask;
    for (;;) {
      const found = (slots[at] as number) - 1;
      if (found < 0) break;
      if (this.#is(found)) return found;
      at = (at + 1) & mask;
    }
    const id = this.count++;
    slots[at] = id + 1;
    if (this.count * this.#width > this.#rows.length) this.#growRows();
    this.#rows.set(row, id * this.#width);
    if (this.count * 2 > slots.length) this.#growSlots();
    return id;
  }

  /** One field of all rows. */
  *column(field: number): Steps<Uint32Array> {
    const column = new Uint32Array(this.count);
    const rows = this.#rows;
    const width = this.#width;
    yield* sweep(0, column.length, (from, to) => {
      for (let id = from, at = from * width + field; id < to; id++, at += width) {
        column[id] = rows[at] as number;
      }
    });
    return column;
  }

  #is(id: number): boolean {
    const { row } = this;
    const rows = this.#rows;
    const start = id * this.#width;
    for (let field = 0; field < row.length; field++) {
      if (rows[start + field] !== row[field]) return false;
    }
    return true;
  }

  #growRows(): void {
    const rows = new Uint32Array(this.#rows.length * 2);
    rows.set(this.#rows);
    this.#rows = rows;
  }

  #growSlots(): void {
    const slots = new Int32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let id = 0; id < this.count; id++) {
      let at = hash(this.#rows, id * this.#width, this.#width) & mask;
      while (slots[at] !== 0) at = (at + 1) & mask;
      slots[at] = id + 1;
    }
    this.#slots = slots;
  }
}

function hash(words: Uint32Array, start: number, width: number): number {
  let h = 0;
  for (let i = start; i < start + width; i++) {
    h = Math.imul(h ^ (words[i] as number), 0x9e3779b1);
    h ^= h >>> 15;
  }
  h = Math.imul(h, 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}
