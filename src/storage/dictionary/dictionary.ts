import { assert } from '../../base/assert.ts';
import { utf8 } from '../../base/bytes.ts';
import { TephraError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { LabelSet } from '../../profile/labels.ts';
import type { ProfileType } from '../../profile/profile-type.ts';
import { damagedRows } from './damaged.ts';
import { Frames } from './frames.ts';
import { Functions, storedLine } from './functions.ts';
import { drawHashing, type Hashing } from './hashing.ts';
import {
  formatLengths,
  lengthsAtLeast,
  lengthsEqual,
  NO_LENGTHS,
  type TableLengths,
} from './lengths.ts';
import { mapRows } from './map-rows.ts';
import { Names } from './names.ts';
import { NameTree, type NameIndex } from './name-tree.ts';
import { Nodes } from './nodes.ts';
import {
  NO_FUNCTION,
  type FrameColumns,
  type FrameRow,
  type FunctionColumns,
  type FunctionRow,
  type Rows,
  type SeriesRow,
} from './rows.ts';
import type { ScopeMap } from './scope-map.ts';
import { SeriesTable } from './series.ts';
import { decodeRows, encodeRows } from './slice.ts';
import { Stacks } from './stacks.ts';
import { Strings } from './strings.ts';

/**
 * The dictionary of one scope (tenant, service, partition): six append-only tables whose ids are
 * dense from 0 in first-seen order and never change.
 *
 * Invariants: a child's node id is greater than its parent's; a row refers only to rows that are
 * there; every dictionary is born with the rows of NO_LENGTHS, which no slice holds; what hash
 * tables need is secret, per process and never stored, and it is built when something is first
 * looked up, so that a dictionary that is only read costs nothing for it.
 */
export class Dictionary {
  /** Known stacks found by hash, and stacks that were walked into the tree because they were new. */
  readonly counters = { stackHits: 0, stackWalks: 0 };
  /** The secret of the hash tables: for `StackResolver`, which hashes in its own loop. */
  readonly hashing: Hashing;
  /** The table of stacks: for `StackResolver`. */
  readonly stacks: Stacks;
  readonly #random: Random;
  readonly #strings: Strings;
  readonly #functions: Functions;
  readonly #frames: Frames;
  readonly #nodes: Nodes;
  readonly #series = new SeriesTable();
  readonly #names: Names;
  #nameTree: NameTree | undefined;

  /** `slotBits` is for tests: 0 puts all rows of a table into one chain. */
  constructor(random: Random, slotBits = -1) {
    this.#random = random;
    this.hashing = drawHashing(random, slotBits);
    this.#strings = new Strings(this.hashing);
    this.#functions = new Functions(this.hashing);
    this.#frames = new Frames(this.hashing);
    this.#nodes = new Nodes(this.hashing);
    this.stacks = new Stacks(this.hashing, this.#nodes);
    this.#names = new Names(this.#strings, this.#functions, this.#frames);
  }

  /** Rows of each table. */
  get lengths(): TableLengths {
    return {
      strings: this.#strings.count,
      functions: this.#functions.count,
      frames: this.#frames.count,
      nodes: this.#nodes.count,
      stacks: this.stacks.count,
      series: this.#series.count,
    };
  }

  /** Bytes held, by the sizes of the columns and an estimate for texts. */
  get bytesInMemory(): number {
    return (
      this.#strings.bytesInMemory +
      this.#functions.bytesInMemory +
      this.#frames.bytesInMemory +
      this.#nodes.bytesInMemory +
      this.stacks.bytesInMemory +
      this.#series.bytesInMemory +
      this.#names.bytesInMemory +
      (this.#nameTree?.bytesInMemory ?? 0)
    );
  }

  /** Id of the UTF-8 in `bytes[start, end)`; more than LIMITS.stringBytesKept bytes are cut. */
  internBytes(bytes: Uint8Array, start: number, end: number): number {
    return this.#strings.intern(bytes, start, end);
  }

  /**
   * Has the next look-up in each table try these rows first: those with which a profile began, since
   * the next one is likely to begin alike. Any number is allowed; it costs time only.
   */
  guess(string: number, fn: number, frame: number, stack: number): void {
    this.#strings.guess(string);
    this.#functions.guess(fn);
    this.#frames.guess(frame);
    this.stacks.guess(stack);
  }

  /** Lets go of the bytes of the last {@link internBytes}, which are kept to be seen again. */
  closeInput(): void {
    this.#strings.closeInput();
  }

  /** Id of a text; see {@link internBytes}. */
  internText(text: string): number {
    const bytes = utf8(text);
    const id = this.#strings.intern(bytes, 0, bytes.byteLength);
    this.#strings.closeInput();
    return id;
  }

  /** Id of a function; string ids. A line that is no u32 becomes 0, unknown. */
  internFunction(name: number, systemName: number, file: number, startLine: number): number {
    return this.#functions.intern(name, systemName, file, storedLine(startLine));
  }

  /**
   * Id of a frame. With a function the address is not kept; with NO_FUNCTION lines and flags are
   * not, and the build id (else the file) and the address tell it. Lines as in
   * {@link internFunction}; addresses in u32 halves.
   */
  internFrame(
    fn: number,
    line: number,
    column: number,
    mappingFile: number,
    buildId: number,
    addressLow: number,
    addressHigh: number,
    flags: number,
  ): number {
    if (fn === NO_FUNCTION) {
      return this.#frames.internAddress(mappingFile, buildId, addressLow >>> 0, addressHigh >>> 0);
    }
    return this.#frames.internSymbolised(
      fn,
      storedLine(line),
      storedLine(column),
      mappingFile,
      buildId,
      flags,
    );
  }

  /** Id of the stack of the frame ids `frames[start, end)`, root first, at least one. */
  internStack(frames: Uint32Array, start: number, end: number): number {
    assert(end > start, 'a stack has at least one frame');
    const { startLow, startHigh, multiplierLow, multiplierHigh } = this.hashing;
    let low = startLow;
    let high = startHigh;
    for (let i = start; i < end; i++) {
      const frame = frames[i] as number;
      low = Math.imul(low ^ frame, multiplierLow);
      low ^= low >>> 15;
      high = Math.imul(high + frame, multiplierHigh);
      high ^= high >>> 13;
    }
    this.stacks.prepare();
    const leaf = frames[end - 1] as number;
    const found = this.stacks.find(low, high, end - start, leaf);
    if (found >= 0) {
      this.counters.stackHits++;
      return found;
    }
    this.counters.stackWalks++;
    const node = this.#nodes.internChain(frames, start, end);
    return this.stacks.add(node, low, high, end - start, leaf);
  }

  /** Id of a series; labels sorted by name. */
  internSeries(labels: LabelSet, type: ProfileType): number {
    return this.#series.intern(labels, type);
  }

  /** Text of a string; bytes that are not UTF-8 become U+FFFD. */
  text(id: number): string {
    return this.#strings.text(id);
  }

  /** Bytes of a string: a view until the next growth. */
  textBytes(id: number): Uint8Array {
    return this.#strings.bytes(id);
  }

  /** A function. */
  functionRow(id: number): FunctionRow {
    return this.#functions.row(id);
  }

  /** A frame. */
  frameRow(id: number): FrameRow {
    return this.#frames.row(id);
  }

  /** Columns of all functions: views until the next growth. */
  get functions(): FunctionColumns {
    return this.#functions.rows(0, this.#functions.count);
  }

  /** Columns of all frames: views until the next growth. */
  get frames(): FrameColumns {
    return this.#frames.rows(0, this.#frames.count);
  }

  /** What to call a frame: its function, else `<file>+0x<address>`. */
  frameName(id: number): string {
    return this.#names.text(this.#names.ofFrame(id));
  }

  /** A series. */
  seriesRow(id: number): SeriesRow {
    const row = this.#series.rows[id];
    assert(row !== undefined, `series ${id} of ${this.#series.count}`);
    return row;
  }

  /** Parent of each node, NO_PARENT under the root; a view until the next growth. */
  get nodeParent(): Int32Array {
    return this.#nodes.parent;
  }

  /** Frame of each node; a view until the next growth. */
  get nodeFrame(): Uint32Array {
    return this.#nodes.frame;
  }

  /** Node of each stack; a view until the next growth. */
  get stackNode(): Uint32Array {
    return this.stacks.node;
  }

  /** The tree folded to function names, complete. Adds no row to any table. */
  nameTree(): NameIndex {
    const tree = this.#openNameTree();
    tree.extend(Number.MAX_SAFE_INTEGER);
    return tree;
  }

  /** Takes `nodesMax` nodes into the name tree; true when the next {@link nameTree} is free. */
  growNameTree(nodesMax: number): boolean {
    return this.#openNameTree().extend(nodesMax);
  }

  /** Text of a name id of the name tree. */
  nameText(nameId: number): string {
    return this.#names.text(nameId);
  }

  /** Encodes the rows [from, to). */
  encodeSlice(from: TableLengths, to: TableLengths): Uint8Array {
    return encodeRows(this.#rows(from, to), from.nodes);
  }

  /**
   * Adds the rows of a slice as they are. Throws `corrupt_block`, and changes nothing, if the slice
   * does not decode, a row refers to one that is not there, or `from` is not where this ends.
   */
  append(slice: Uint8Array, from: TableLengths, to: TableLengths): void {
    this.#expectEnd(from);
    this.#pushRows(decodeRows(slice, from, to));
  }

  /**
   * Adds rows that say `(damaged)` in place of a slice that cannot be read; `series` are its rows of
   * series where they are known from elsewhere.
   */
  appendDamaged(from: TableLengths, to: TableLengths, series?: readonly SeriesRow[]): void {
    this.#expectEnd(from);
    this.#pushRows(damagedRows(from, to, series));
  }

  /**
   * Finds or adds the rows of a foreign slice by content, and extends `map`, which must reach to
   * `from`. Throws `corrupt_block` as {@link append}, and then changes nothing.
   */
  mapSlice(slice: Uint8Array, from: TableLengths, to: TableLengths, map: ScopeMap): void {
    assert(lengthsEqual(from, map.mapped), 'slices are mapped in order');
    mapRows(decodeRows(slice, from, to), this, map);
  }

  /** Extends `map` over a foreign slice that cannot be read. */
  mapDamaged(from: TableLengths, to: TableLengths, map: ScopeMap): void {
    assert(lengthsEqual(from, map.mapped), 'slices are mapped in order');
    mapRows(damagedRows(from, to), this, map);
  }

  /** A dictionary of its own with the rows up to `lengths`. */
  copy(lengths: TableLengths): Dictionary {
    const copy = new Dictionary(this.#random, this.hashing.slotBits);
    copy.#pushRows(this.#rows(NO_LENGTHS, lengths));
    return copy;
  }

  /** @internal Id of a row of another dictionary, its references already translated. */
  internFrameRow(row: FrameRow): number {
    return this.#frames.internRow(row);
  }

  /** @internal Id of the child of `parent` with `frame`. */
  internNode(parent: number, frame: number): number {
    return this.#nodes.intern(parent, frame);
  }

  #openNameTree(): NameTree {
    this.#nameTree ??= new NameTree(this.hashing, this.#nodes, this.stacks, (frame) =>
      this.#names.ofFrame(frame),
    );
    return this.#nameTree;
  }

  #expectEnd(from: TableLengths): void {
    if (lengthsEqual(from, this.lengths)) return;
    throw new TephraError(
      'corrupt_block',
      `dictionary slice from ${formatLengths(from)} cannot follow ${formatLengths(this.lengths)}`,
    );
  }

  #rows(from: TableLengths, to: TableLengths): Rows {
    assert(lengthsAtLeast(from, NO_LENGTHS), 'the rows of NO_LENGTHS are in no slice');
    assert(lengthsAtLeast(to, from) && lengthsAtLeast(this.lengths, to), 'rows are in the tables');
    const { ends, arena } = this.#strings;
    const base = ends[from.strings] as number;
    return {
      stringEnd: ends.subarray(from.strings + 1, to.strings + 1).map((end) => end - base),
      stringBytes: arena.subarray(base, ends[to.strings]),
      functions: this.#functions.rows(from.functions, to.functions),
      frames: this.#frames.rows(from.frames, to.frames),
      nodeParent: this.#nodes.parent.subarray(from.nodes, to.nodes),
      nodeFrame: this.#nodes.frame.subarray(from.nodes, to.nodes),
      stackNode: this.stacks.node.subarray(from.stacks, to.stacks),
      series: this.#series.rows.slice(from.series, to.series),
    };
  }

  #pushRows(rows: Rows): void {
    this.#strings.pushRows(rows.stringEnd, rows.stringBytes);
    this.#functions.pushRows(rows.functions);
    this.#frames.pushRows(rows.frames);
    this.#nodes.pushRows(rows.nodeParent, rows.nodeFrame);
    this.stacks.pushRows(rows.stackNode);
    for (const row of rows.series) this.#series.push(row);
  }
}
