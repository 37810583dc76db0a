import { type Steps, sweep } from '../../base/steps.ts';
import {
  addWide,
  createWide,
  highOf,
  type Lanes,
  lowOf,
  toWide,
  TWO_32,
  type WideLanes,
} from '../tree/lanes.ts';
import type { PrunedTree } from '../tree/prune.ts';
import type { WideValue } from '../tree/threshold.ts';
import type { ProtoWriter } from './proto-writer.ts';

/** Field numbers that `querier.v1.FlameGraph` and `FlameGraphDiff` have in common. */
const NAMES = 1;
const LEVELS = 2;
const LEVEL_VALUES = 1;

/** Writes the name table. */
export function* writeNames(writer: ProtoWriter, names: readonly string[]): Steps<void> {
  yield* sweep(0, names.length, (from, to) => {
    for (let i = from; i < to; i++) writer.text(NAMES, names[i] as string);
  });
}

/**
 * Writes one `Level` a depth. A node is, for each side, x, total, self; then its name index. x is
 * the distance from the end of the node before it on the level; children begin behind their
 * parent's own value.
 */
export function* writeLevels(
  writer: ProtoWriter,
  tree: PrunedTree,
  indexOf: Uint32Array,
): Steps<void> {
  const { name, childStart, children, sides } = tree;
  const isWide = sides.some(({ self }) => self.hi !== undefined);
  const wide: readonly WideSide[] = isWide ? yield* widened(sides) : [];
  let level = new Level(sides.length, isWide);
  let below = new Level(sides.length, isWide);
  const ends = createWide(sides.length);
  const write = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      const node = level.nodes[i] as number;
      const first = below.add(children, childStart[node] as number, childStart[node + 1] as number);
      for (let s = 0; s < sides.length; s++) {
        if (isWide) writeWide(writer, wide[s] as WideSide, level, i, ends, s, below, first);
        else writeNarrow(writer, sides[s] as Side, level, i, ends.lo, s, below, first);
      }
      writer.uint(indexOf[name[node] as number] as number);
    }
  };
  for (level.add(ROOT, 0, 1); level.size > 0; [level, below] = [below, level]) {
    const field = writer.begin(LEVELS);
    const values = writer.begin(LEVEL_VALUES);
    ends.hi.fill(0);
    ends.lo.fill(0);
    below.size = 0;
    yield* sweep(0, level.size, write);
    writer.end(values);
    writer.end(field);
  }
}

const ROOT = Uint32Array.of(0);

type Side = PrunedTree['sides'][number];

interface WideSide {
  readonly self: WideLanes;
  readonly total: WideLanes;
}

/** Sides in two lanes, those that have only one copied. */
function* widened(sides: readonly Side[]): Steps<WideSide[]> {
  const wide: WideSide[] = [];
  for (const { self, total } of sides) {
    wide.push({ self: yield* asWide(self), total: yield* asWide(total) });
  }
  return wide;
}

function* asWide({ lo, hi }: Lanes): Steps<WideLanes> {
  return hi === undefined ? yield* toWide({ lo, hi }) : { lo, hi };
}

/** One side of node `i` of a level, and where its children start, the first of which is `first` below. */
function writeNarrow(
  writer: ProtoWriter,
  { self, total }: Side,
  level: Level,
  i: number,
  ends: Float64Array,
  s: number,
  below: Level,
  first: number,
): void {
  const node = level.nodes[i] as number;
  const x = level.lo[i * level.sides + s] as number;
  const own = self.lo[node] as number;
  const whole = total.lo[node] as number;
  writer.value(x - (ends[s] as number));
  writer.value(whole);
  writer.value(own);
  ends[s] = x + whole;
  let at = x + own;
  for (let c = first; c < below.size; c++) {
    below.lo[c * below.sides + s] = at;
    at += total.lo[below.nodes[c] as number] as number;
  }
}

/** The same in two lanes. */
function writeWide(
  writer: ProtoWriter,
  { self, total }: WideSide,
  level: Level,
  i: number,
  ends: WideLanes,
  s: number,
  below: Level,
  first: number,
): void {
  const node = level.nodes[i] as number;
  let hi = level.hi[i * level.sides + s] as number;
  let lo = level.lo[i * level.sides + s] as number;
  const low = lo - (ends.lo[s] as number);
  const borrow = low < 0 ? 1 : 0;
  writer.wide(hi - (ends.hi[s] as number) - borrow, low + borrow * TWO_32);
  writer.wide(total.hi[node] as number, total.lo[node] as number);
  writer.wide(self.hi[node] as number, self.lo[node] as number);
  ends.hi[s] = hi;
  ends.lo[s] = lo;
  addWide(ends, s, total.hi[node] as number, total.lo[node] as number);
  hi += self.hi[node] as number;
  lo += self.lo[node] as number;
  for (let c = first; c < below.size; c++) {
    if (lo >= TWO_32) {
      lo -= TWO_32;
      hi++;
    }
    const child = below.nodes[c] as number;
    below.hi[c * below.sides + s] = hi;
    below.lo[c * below.sides + s] = lo;
    hi += total.hi[child] as number;
    lo += total.lo[child] as number;
  }
}

/** The nodes of one level and where they start: as large as the widest level so far. */
class Level {
  nodes = new Uint32Array(1_024);
  size = 0;
  readonly sides: number;
  /** Absolute x, by node and side; `hi` is empty where one lane holds them. */
  lo: Float64Array;
  hi: Float64Array;

  constructor(sides: number, isWide: boolean) {
    this.sides = sides;
    this.lo = new Float64Array(this.nodes.length * sides);
    this.hi = new Float64Array(isWide ? this.lo.length : 0);
  }

  /** Adds `nodes[from, to)`, which start at 0; returns the place of the first. */
  add(nodes: Uint32Array, from: number, to: number): number {
    const first = this.size;
    const needed = first + to - from;
    if (needed > this.nodes.length) this.#grow(Math.max(needed, this.nodes.length * 2));
    for (let i = from; i < to; i++) this.nodes[this.size++] = nodes[i] as number;
    return first;
  }

  #grow(capacity: number): void {
    const { nodes, lo, hi, sides } = this;
    this.nodes = new Uint32Array(capacity);
    this.nodes.set(nodes);
    this.lo = new Float64Array(capacity * sides);
    this.lo.set(lo);
    this.hi = new Float64Array(hi.length === 0 ? 0 : capacity * sides);
    this.hi.set(hi);
  }
}

/** The largest of the values. */
export function* largest(lanes: Lanes): Steps<WideValue> {
  let hi = 0;
  let lo = 0;
  yield* sweep(0, lanes.lo.length, (from, to) => {
    for (let i = from; i < to; i++) {
      const high = highOf(lanes, i);
      const low = lowOf(lanes, i);
      if (high > hi || (high === hi && low > lo)) {
        hi = high;
        lo = low;
      }
    }
  });
  return { hi, lo };
}
