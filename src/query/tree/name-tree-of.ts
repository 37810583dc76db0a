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
}

/** The tree of one dictionary's stack sums; only nodes with weight in or under them. */
export function nameTreeOf(source: NameSource, sums: Lanes): NameTree {
  const { names, parent, name, sides, totals } = sidedTreeOf(source, [sums]);
  return { names, parent, name, self: sides[0] as Lanes, total: totals?.[0] };
}

/** The same of several sums: a node is there if it has weight on one side. */
export function sidedTreeOf(source: NameSource, sums: readonly Lanes[]): SidedTree {
  const { count, parent, name, ofStack } = source.nameTree();
  // With the root in front, node i of the dictionary is i + 1.
  const parents = new Int32Array(count + 1);
  for (let i = 0; i < count; i++) parents[i + 1] = (parent[i] as number) + 1;
  parents[0] = -1;
  const sides = sums.map((side) => scatter(side, ofStack, count + 1));
  const totals = sides.map((side) => totalsOf(parents, side));
  return named(source, dropWeightless({ parent: parents, name, sides, totals }));
}

/** A tree whose names are ids of the dictionary, without one for the root. */
interface Unnamed {
  readonly parent: Int32Array;
  /** Name id of node i + 1. */
  readonly name: Uint32Array;
  readonly sides: readonly Lanes[];
  readonly totals: readonly Lanes[];
}

/** Own values of the nodes; the sums of stacks that end in one node are added up. */
function scatter(sums: Lanes, ofStack: Uint32Array, count: number): Lanes {
  const stackCount = Math.min(sums.lo.length, ofStack.length);
  if (!needsWide([sums])) {
    const { lo } = sums;
    const self = new Float64Array(count);
    for (let s = 0; s < stackCount; s++) {
      const value = lo[s] as number;
      if (value === 0) continue;
      const node = (ofStack[s] as number) + 1;
      self[node] = (self[node] as number) + value;
    }
    return { lo: self, hi: undefined };
  }
  const { lo, hi } = toWide(sums);
  const self = createWide(count);
  for (let s = 0; s < stackCount; s++) {
    if (isSet({ lo, hi }, s)) {
      addWide(self, (ofStack[s] as number) + 1, hi[s] as number, lo[s] as number);
    }
  }
  return self;
}

function dropWeightless(tree: Unnamed): Unnamed {
  const { parent } = tree;
  const { weighty, kept } = nodesWithWeight(tree);
  if (kept === parent.length) return tree;
  const idOf = new Uint32Array(parent.length);
  const nodeOf = new Uint32Array(kept);
  const parents = new Int32Array(kept);
  const names = new Uint32Array(kept - 1);
  parents[0] = -1;
  let next = 1;
  for (let i = 1; i < parent.length; i++) {
    if (weighty[i] === 0) continue;
    parents[next] = idOf[parent[i] as number] as number;
    names[next - 1] = tree.name[i - 1] as number;
    nodeOf[next] = i;
    idOf[i] = next++;
  }
  const gather = ({ lo, hi }: Lanes): Lanes => ({
    lo: gatherLane(lo, nodeOf),
    hi: hi === undefined ? undefined : gatherLane(hi, nodeOf),
  });
  return {
    parent: parents,
    name: names,
    sides: tree.sides.map(gather),
    totals: tree.totals.map(gather),
  };
}

/** 1 for each node with weight in or under it on some side; the root always counts. */
function nodesWithWeight({ parent, totals }: Unnamed): {
  readonly weighty: Uint8Array;
  readonly kept: number;
} {
  const weighty = new Uint8Array(parent.length);
  let kept = 1;
  for (const total of totals) {
    for (let i = 1; i < parent.length; i++) {
      if (weighty[i] !== 0 || !isSet(total, i)) continue;
      weighty[i] = 1;
      kept++;
    }
  }
  return { weighty, kept };
}

function gatherLane(lane: Float64Array, from: Uint32Array): Float64Array {
  const picked = new Float64Array(from.length);
  for (let i = 0; i < from.length; i++) picked[i] = lane[from[i] as number] as number;
  return picked;
}

/** Numbers the names from 1 in order of first use and fetches their texts. */
function named(source: NameSource, { parent, name: ids, sides, totals }: Unnamed): SidedTree {
  const count = parent.length;
  const { slots, slotCount, hasSideNames } = slotsOf(ids, count - 1);
  const { name, firsts } = numberNames(slots, slotCount, count);
  const names = [ROOT_NAME];
  for (let n = 0; n < firsts.length; n++) {
    names.push(source.nameText(ids[(firsts[n] as number) - 1] as number));
  }
  const tree = { names, parent, name, sides, totals };
  // A function may have the name that was made for an address: then two nodes are one.
  return hasSideNames && new Set(names).size < names.length ? foldEqualNames(tree) : tree;
}

/** Name ids close together: names beside the string table, which have ids of their own, at its end. */
function slotsOf(
  ids: Uint32Array,
  count: number,
): { readonly slots: Uint32Array; readonly slotCount: number; readonly hasSideNames: boolean } {
  let plainEnd = 0;
  let sideEnd = 0;
  for (let i = 0; i < count; i++) {
    const signed = (ids[i] as number) | 0;
    if (signed >= plainEnd) plainEnd = signed + 1;
    else if (signed < 0) sideEnd = Math.max(sideEnd, (signed & SIDE_MASK) + 1);
  }
  if (sideEnd === 0) return { slots: ids, slotCount: plainEnd, hasSideNames: false };
  const slots = ids.map((id) => (id < SIDE_NAMES ? id : (id & SIDE_MASK) + plainEnd));
  return { slots, slotCount: plainEnd + sideEnd, hasSideNames: true };
}

/** SIDE_NAMES is the sign bit of a 32-bit number; this is the rest. */
const SIDE_MASK = SIDE_NAMES - 1;

/** The number of each node's name, and the first node of each name. */
function numberNames(
  slots: Uint32Array,
  slotCount: number,
  count: number,
): { readonly name: Uint32Array; readonly firsts: Uint32Array } {
  const numberOf = new Uint32Array(slotCount);
  const firsts = new Uint32Array(Math.min(slotCount, count));
  const name = new Uint32Array(count);
  let numbered = 0;
  for (let i = 1; i < count; i++) {
    const slot = slots[i - 1] as number;
    let number = numberOf[slot] as number;
    if (number === 0) {
      firsts[numbered++] = i;
      number = numbered;
      numberOf[slot] = number;
    }
    name[i] = number;
  }
  return { name, firsts: firsts.subarray(0, numbered) };
}
