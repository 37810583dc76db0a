import { type Steps, sweep, sweepDown } from '../../base/steps.ts';
import { SIDE_NAMES } from '../../storage/dictionary/name-tree.ts';
import { foldEqualNames } from './join.ts';
import { addWide, createWide, isSet, type Lanes, needsWide, toWide, totalsOf } from './lanes.ts';
import { type NameTree, ROOT_NAME, type SidedTree } from './name-tree.ts';

/** What a dictionary knows of function names: see `Dictionary` in src/storage/dictionary. */
export interface NameSource {
  nameTree(): {
    readonly count: number;
    /** -1 = under the root; otherwise less than the node's own index. */
    readonly parent: Int32Array;
    readonly name: Uint32Array;
    /** Node in which a stack ends. */
    readonly ofStack: Uint32Array;
  };
  nameText(name: number): string;
  /** Takes up to `nodesMax` nodes into what `nameTree` gives; true when that is free. */
  growNameTree?(nodesMax: number): boolean;
}

/** Nodes that a dictionary takes into its name tree without a break. */
const GROWN_AT_ONCE = 4_096;

/** Brings the name tree of a dictionary up to date: much work once, after it was loaded. */
export function* growNames(source: NameSource): Steps<void> {
  while (source.growNameTree?.(GROWN_AT_ONCE) === false) yield;
}

/**
 * The tree of one dictionary's stack sums; only nodes with weight in or under them. Its totals are known
 * unless it `isJoined` with others, which makes them worthless.
 */
export function* nameTreeOf(source: NameSource, sums: Lanes, isJoined = false): Steps<NameTree> {
  const { names, parent, name, sides, totals } = yield* sidedTreeOf(source, [sums], isJoined);
  return { names, parent, name, self: sides[0] as Lanes, total: totals?.[0] };
}

/** The same of several sums: a node is there if it has weight on one side. */
export function* sidedTreeOf(
  source: NameSource,
  sums: readonly Lanes[],
  isJoined = false,
): Steps<SidedTree> {
  yield* growNames(source);
  // As it is now: it may grow wherever this is interrupted.
  const { count, parent: above, name: nameOf, ofStack } = source.nameTree();
  const index = { count, parent: above, name: nameOf, ofStack };
  const { weighty, kept } = yield* nodesWithWeight(index, sums);
  const { parent, name, idOf } = yield* withWeight(index, weighty, kept + 1);
  const sides: Lanes[] = [];
  const totals: Lanes[] = [];
  for (const side of sums) {
    const self = yield* scatter(side, ofStack, idOf, kept + 1);
    sides.push(self);
    if (!isJoined) totals.push(yield* totalsOf(parent, self));
  }
  return yield* named(source, { parent, name, sides, totals });
}

/** What a dictionary has: a tree without a root of its own. */
type NameIndex = ReturnType<NameSource['nameTree']>;

/** A tree whose names are ids of the dictionary. */
interface Unnamed {
  readonly parent: Int32Array;
  /** Name id of each node but the root. */
  readonly name: Uint32Array;
  readonly sides: readonly Lanes[];
  /** None where they are not wanted. */
  readonly totals: readonly Lanes[];
}

/** 1 for each node with weight in or under it on some side, and how many these are. */
function* nodesWithWeight(
  { count, parent, ofStack }: NameIndex,
  sides: readonly Lanes[],
): Steps<{ readonly weighty: Uint8Array; readonly kept: number }> {
  const weighty = new Uint8Array(count);
  for (const sums of sides) {
    yield* sweep(0, Math.min(sums.lo.length, ofStack.length), (from, to) => {
      for (let s = from; s < to; s++) if (isSet(sums, s)) weighty[ofStack[s] as number] = 1;
    });
  }
  let kept = 0;
  yield* sweepDown(0, count, (from, to) => {
    let more = 0;
    for (let i = to - 1; i >= from; i--) {
      if (weighty[i] === 0) continue;
      more++;
      const above = parent[i] as number;
      if (above >= 0) weighty[above] = 1;
    }
    kept += more;
  });
  return { weighty, kept };
}

/** The nodes with weight under a root, in columns of just their number. */
function* withWeight(
  index: NameIndex,
  weighty: Uint8Array,
  count: number,
): Steps<
  Pick<Unnamed, 'parent' | 'name'> & {
    /** The node of each of the dictionary's; none if all are there, one further. */
    readonly idOf: Uint32Array | undefined;
  }
> {
  const parent = new Int32Array(count);
  const name = new Uint32Array(count);
  parent[0] = -1;
  if (count === index.count + 1) {
    yield* sweep(0, index.count, (from, to) => {
      for (let i = from; i < to; i++) parent[i + 1] = (index.parent[i] as number) + 1;
    });
    name.set(index.name.subarray(0, index.count), 1);
    return { parent, name, idOf: undefined };
  }
  const idOf = new Uint32Array(index.count);
  let end = 1;
  yield* sweep(0, index.count, (from, to) => {
    let next = end;
    for (let i = from; i < to; i++) {
      if (weighty[i] === 0) continue;
      const above = index.parent[i] as number;
      parent[next] = above < 0 ? 0 : (idOf[above] as number);
      name[next] = index.name[i] as number;
      idOf[i] = next++;
    }
    end = next;
  });
  return { parent, name, idOf };
}

/** Own values of the nodes; the sums of stacks that end in one node are added up. */
function* scatter(
  sums: Lanes,
  ofStack: Uint32Array,
  idOf: Uint32Array | undefined,
  count: number,
): Steps<Lanes> {
  const nodeOf = (s: number): number => {
    const node = ofStack[s] as number;
    return idOf === undefined ? node + 1 : (idOf[node] as number);
  };
  const stackCount = Math.min(sums.lo.length, ofStack.length);
  if (!(yield* needsWide([sums]))) {
    const { lo } = sums;
    const self = new Float64Array(count);
    yield* sweep(0, stackCount, (from, to) => {
      for (let s = from; s < to; s++) {
        const value = lo[s] as number;
        if (value === 0) continue;
        const node = nodeOf(s);
        self[node] = (self[node] as number) + value;
      }
    });
    return { lo: self, hi: undefined };
  }
  const wide = yield* toWide(sums);
  const self = createWide(count);
  yield* sweep(0, stackCount, (from, to) => {
    const { lo, hi } = wide;
    for (let s = from; s < to; s++) {
      if (!isSet(wide, s)) continue;
      addWide(self, nodeOf(s), hi[s] as number, lo[s] as number);
    }
  });
  return self;
}

/** Numbers the names from 1 in order of first use, in place, and fetches their texts. */
function* named(source: NameSource, { parent, name, sides, totals }: Unnamed): Steps<SidedTree> {
  const { plainEnd, slotCount } = yield* closeTogether(name);
  const firsts = yield* numberNames(name, slotCount);
  const names = [ROOT_NAME];
  const distinct = new Set(names);
  const hasSideNames = slotCount > plainEnd;
  yield* sweep(0, firsts.length, (from, to) => {
    for (let n = from; n < to; n++) {
      const slot = firsts[n] as number;
      const text = source.nameText(slot < plainEnd ? slot : slot - plainEnd + SIDE_NAMES);
      names.push(text);
      if (hasSideNames) distinct.add(text);
    }
  });
  const known = totals.length === 0 ? undefined : totals;
  const tree = { names, parent, name, sides, totals: known };
  // A function may have the name that was made for an address: then two nodes are one.
  return hasSideNames && distinct.size < names.length ? yield* foldEqualNames(tree) : tree;
}

/** Brings name ids close together: names beside the string table, which have ids of their own, come last. */
function* closeTogether(
  ids: Uint32Array,
): Steps<{ readonly plainEnd: number; readonly slotCount: number }> {
  let plainEnd = 0;
  let sideEnd = 0;
  yield* sweep(1, ids.length, (from, to) => {
    let plain = plainEnd;
    let side = sideEnd;
    for (let i = from; i < to; i++) {
      const signed = (ids[i] as number) | 0;
      if (signed >= plain) plain = signed + 1;
      else if (signed < 0) side = Math.max(side, (signed & SIDE_MASK) + 1);
    }
    plainEnd = plain;
    sideEnd = side;
  });
  if (sideEnd > 0) {
    yield* sweep(1, ids.length, (from, to) => {
      const plain = plainEnd;
      for (let i = from; i < to; i++) {
        const id = ids[i] as number;
        if (id >= SIDE_NAMES) ids[i] = (id & SIDE_MASK) + plain;
      }
    });
  }
  return { plainEnd, slotCount: plainEnd + sideEnd };
}

/** SIDE_NAMES is the sign bit of a 32-bit number; this is the rest. */
const SIDE_MASK = SIDE_NAMES - 1;

/** Puts the number of each slot in its place; returns the slots by number, from 1. */
function* numberNames(slots: Uint32Array, slotCount: number): Steps<Uint32Array> {
  const numberOf = new Uint32Array(slotCount);
  const firsts = new Uint32Array(Math.min(slotCount, slots.length));
  let known = 0;
  yield* sweep(1, slots.length, (from, to) => {
    let numbered = known;
    for (let i = from; i < to; i++) {
      const slot = slots[i] as number;
      let number = numberOf[slot] as number;
      if (number === 0) {
        firsts[numbered++] = slot;
        number = numbered;
        numberOf[slot] = number;
      }
      slots[i] = number;
    }
    known = numbered;
  });
  return firsts.subarray(0, known);
}
