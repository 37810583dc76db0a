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
  const { count, parent, name, ofStack } = source.nameTree();
  // With the root in front, node i of the dictionary is i + 1.
  const parents = new Int32Array(count + 1);
  yield* sweep(0, count, (from, to) => {
    for (let i = from; i < to; i++) parents[i + 1] = (parent[i] as number) + 1;
  });
  parents[0] = -1;
  const sides: Lanes[] = [];
  const totals: Lanes[] = [];
  for (const side of sums) {
    const self = yield* scatter(side, ofStack, count + 1);
    sides.push(self);
    if (!isJoined) totals.push(yield* totalsOf(parents, self));
  }
  const weighty = yield* dropWeightless({ parent: parents, name, sides, totals });
  return yield* named(source, weighty);
}

/** A tree whose names are ids of the dictionary, without one for the root. */
interface Unnamed {
  readonly parent: Int32Array;
  /** Name id of node i + 1. */
  readonly name: Uint32Array;
  readonly sides: readonly Lanes[];
  /** None where they are not wanted. */
  readonly totals: readonly Lanes[];
}

/** Own values of the nodes; the sums of stacks that end in one node are added up. */
function* scatter(sums: Lanes, ofStack: Uint32Array, count: number): Steps<Lanes> {
  const stackCount = Math.min(sums.lo.length, ofStack.length);
  if (!(yield* needsWide([sums]))) {
    const { lo } = sums;
    const self = new Float64Array(count);
    yield* sweep(0, stackCount, (from, to) => {
      for (let s = from; s < to; s++) {
        const value = lo[s] as number;
        if (value === 0) continue;
        const node = (ofStack[s] as number) + 1;
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
      addWide(self, (ofStack[s] as number) + 1, hi[s] as number, lo[s] as number);
    }
  });
  return self;
}

function* dropWeightless(tree: Unnamed): Steps<Unnamed> {
  const { parent, name } = tree;
  const { weighty, kept } = yield* nodesWithWeight(tree);
  if (kept === parent.length) return tree;
  const idOf = new Uint32Array(parent.length);
  const nodeOf = new Uint32Array(kept);
  const parents = new Int32Array(kept);
  const names = new Uint32Array(kept - 1);
  parents[0] = -1;
  let end = 1;
  yield* sweep(1, parent.length, (from, to) => {
    let next = end;
    for (let i = from; i < to; i++) {
      if (weighty[i] === 0) continue;
      parents[next] = idOf[parent[i] as number] as number;
      names[next - 1] = name[i - 1] as number;
      nodeOf[next] = i;
      idOf[i] = next++;
    }
    end = next;
  });
  return {
    parent: parents,
    name: names,
    sides: yield* gatherAll(tree.sides, nodeOf),
    totals: yield* gatherAll(tree.totals, nodeOf),
  };
}

/** 1 for each node with weight in or under it on some side; the root always counts. */
function* nodesWithWeight({ parent, sides }: Unnamed): Steps<{
  readonly weighty: Uint8Array;
  readonly kept: number;
}> {
  const weighty = new Uint8Array(parent.length);
  for (const own of sides) {
    yield* sweep(1, parent.length, (from, to) => {
      for (let i = from; i < to; i++) if (isSet(own, i)) weighty[i] = 1;
    });
  }
  let kept = 1;
  yield* sweepDown(1, parent.length, (from, to) => {
    let more = 0;
    for (let i = to - 1; i >= from; i--) {
      if (weighty[i] === 0) continue;
      weighty[parent[i] as number] = 1;
      more++;
    }
    kept += more;
  });
  return { weighty, kept };
}

function* gatherAll(columns: readonly Lanes[], nodeOf: Uint32Array): Steps<Lanes[]> {
  const gathered: Lanes[] = [];
  for (const { lo, hi } of columns) {
    gathered.push({
      lo: yield* gatherLane(lo, nodeOf),
      hi: hi === undefined ? undefined : yield* gatherLane(hi, nodeOf),
    });
  }
  return gathered;
}

function* gatherLane(lane: Float64Array, nodeOf: Uint32Array): Steps<Float64Array> {
  const picked = new Float64Array(nodeOf.length);
  yield* sweep(0, nodeOf.length, (from, to) => {
    for (let i = from; i < to; i++) picked[i] = lane[nodeOf[i] as number] as number;
  });
  return picked;
}

/** Numbers the names from 1 in order of first use and fetches their texts. */
function* named(
  source: NameSource,
  { parent, name: ids, sides, totals }: Unnamed,
): Steps<SidedTree> {
  const count = parent.length;
  const { slots, slotCount, hasSideNames } = yield* slotsOf(ids, count - 1);
  const { name, firsts } = yield* numberNames(slots, slotCount, count);
  const names = [ROOT_NAME];
  const distinct = new Set(names);
  yield* sweep(0, firsts.length, (from, to) => {
    for (let n = from; n < to; n++) {
      const text = source.nameText(ids[(firsts[n] as number) - 1] as number);
      names.push(text);
      if (hasSideNames) distinct.add(text);
    }
  });
  const known = totals.length === 0 ? undefined : totals;
  const tree = { names, parent, name, sides, totals: known };
  // A function may have the name that was made for an address: then two nodes are one.
  return hasSideNames && distinct.size < names.length ? yield* foldEqualNames(tree) : tree;
}

/** Name ids close together: names beside the string table, which have ids of their own, at its end. */
function* slotsOf(
  ids: Uint32Array,
  count: number,
): Steps<{
  readonly slots: Uint32Array;
  readonly slotCount: number;
  readonly hasSideNames: boolean;
}> {
  let plainEnd = 0;
  let sideEnd = 0;
  yield* sweep(0, count, (from, to) => {
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
  if (sideEnd === 0) return { slots: ids, slotCount: plainEnd, hasSideNames: false };
  const slots = new Uint32Array(count);
  yield* sweep(0, count, (from, to) => {
    const plain = plainEnd;
    for (let i = from; i < to; i++) {
      const id = ids[i] as number;
      slots[i] = id < SIDE_NAMES ? id : (id & SIDE_MASK) + plain;
    }
  });
  return { slots, slotCount: plainEnd + sideEnd, hasSideNames: true };
}

/** SIDE_NAMES is the sign bit of a 32-bit number; this is the rest. */
const SIDE_MASK = SIDE_NAMES - 1;

/** The number of each node's name, and the first node of each name. */
function* numberNames(
  slots: Uint32Array,
  slotCount: number,
  count: number,
): Steps<{ readonly name: Uint32Array; readonly firsts: Uint32Array }> {
  const numberOf = new Uint32Array(slotCount);
  const firsts = new Uint32Array(Math.min(slotCount, count));
  const name = new Uint32Array(count);
  let known = 0;
  yield* sweep(1, count, (from, to) => {
    let numbered = known;
    for (let i = from; i < to; i++) {
      const slot = slots[i - 1] as number;
      let number = numberOf[slot] as number;
      if (number === 0) {
        firsts[numbered++] = i;
        number = numbered;
        numberOf[slot] = number;
      }
      name[i] = number;
    }
    known = numbered;
  });
  return { name, firsts: firsts.subarray(0, known) };
}
