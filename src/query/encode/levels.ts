import { type Steps, sweep } from '../../base/steps.ts';
import { addWide, createWide, TWO_32, type WideLanes } from '../tree/lanes.ts';
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
  const starts: WideLanes[] = [];
  for (const { self, total } of sides) starts.push(yield* startsOf(tree, self, total));
  const breadthFirst = new Uint32Array(name.length);
  let known = 1;
  const ends = createWide(sides.length);
  const write = (from: number, to: number): void => {
    let next = known;
    for (let i = from; i < to; i++) {
      const node = breadthFirst[i] as number;
      for (let s = 0; s < sides.length; s++) {
        const { self, total } = sides[s] as PrunedTree['sides'][number];
        writeDistance(writer, starts[s] as WideLanes, node, ends, s);
        writer.wide(total.hi[node] as number, total.lo[node] as number);
        writer.wide(self.hi[node] as number, self.lo[node] as number);
        addWide(ends, s, total.hi[node] as number, total.lo[node] as number);
      }
      writer.uint(indexOf[name[node] as number] as number);
      const end = childStart[node + 1] as number;
      for (let c = childStart[node] as number; c < end; c++) {
        breadthFirst[next++] = children[c] as number;
      }
    }
    known = next;
  };
  for (let from = 0, to = 1; from < to; from = to, to = known) {
    const level = writer.begin(LEVELS);
    const values = writer.begin(LEVEL_VALUES);
    ends.hi.fill(0);
    ends.lo.fill(0);
    yield* sweep(from, to, write);
    writer.end(values);
    writer.end(level);
  }
}

/** Writes x of `node` less the end before it, and moves the end there. */
function writeDistance(
  writer: ProtoWriter,
  starts: WideLanes,
  node: number,
  ends: WideLanes,
  side: number,
): void {
  const hi = starts.hi[node] as number;
  const lo = starts.lo[node] as number;
  const low = lo - (ends.lo[side] as number);
  const borrow = low < 0 ? 1 : 0;
  writer.wide(hi - (ends.hi[side] as number) - borrow, low + borrow * TWO_32);
  ends.hi[side] = hi;
  ends.lo[side] = lo;
}

/** Absolute x of every node. Children have larger ids than their parents. */
function* startsOf(tree: PrunedTree, self: WideLanes, total: WideLanes): Steps<WideLanes> {
  const { childStart, children } = tree;
  const starts = createWide(tree.name.length);
  const at = createWide(1);
  yield* sweep(0, tree.name.length, (from, to) => {
    for (let node = from; node < to; node++) {
      at.hi[0] = starts.hi[node] as number;
      at.lo[0] = starts.lo[node] as number;
      addWide(at, 0, self.hi[node] as number, self.lo[node] as number);
      const end = childStart[node + 1] as number;
      for (let c = childStart[node] as number; c < end; c++) {
        const child = children[c] as number;
        starts.hi[child] = at.hi[0];
        starts.lo[child] = at.lo[0];
        addWide(at, 0, total.hi[child] as number, total.lo[child] as number);
      }
    }
  });
  return starts;
}

/** The largest of the values. */
export function* largest(lanes: WideLanes): Steps<WideValue> {
  let hi = 0;
  let lo = 0;
  yield* sweep(0, lanes.lo.length, (from, to) => {
    for (let i = from; i < to; i++) {
      const high = lanes.hi[i] as number;
      const low = lanes.lo[i] as number;
      if (high > hi || (high === hi && low > lo)) {
        hi = high;
        lo = low;
      }
    }
  });
  return { hi, lo };
}
