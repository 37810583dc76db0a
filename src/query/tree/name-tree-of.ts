import { SIDE_NAMES } from '../../storage/dictionary/name-tree.ts';
import { foldEqualNames } from './join.ts';
import { addWide, createWide, type Lanes, needsWide, toWide } from './lanes.ts';
import { type NameTree, ROOT_NAME } from './name-tree.ts';

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
  const nodes = source.nameTree();
  const { count, parent, ofStack } = nodes;
  const stackCount = Math.min(sums.lo.length, ofStack.length);
  const alive = new Uint8Array(count);
  for (let s = 0; s < stackCount; s++) {
    if (sums.lo[s] !== 0 || (sums.hi !== undefined && sums.hi[s] !== 0)) {
      alive[ofStack[s] as number] = 1;
    }
  }
  let kept = 1;
  let nameEnd = 0;
  let sideEnd = 0;
  for (let i = count - 1; i >= 0; i--) {
    if (alive[i] === 0) continue;
    kept++;
    const above = parent[i] as number;
    if (above >= 0) alive[above] = 1;
    const name = nodes.name[i] as number;
    if (name >= SIDE_NAMES) sideEnd = Math.max(sideEnd, name - SIDE_NAMES + 1);
    else if (name >= nameEnd) nameEnd = name + 1;
  }
  const names = [ROOT_NAME];
  // Side names are made for frames without symbols; they are numbered on their own.
  const nameOf = new Uint32Array(nameEnd + sideEnd);
  const idOf = new Uint32Array(count);
  const parents = new Int32Array(kept);
  const nodeNames = new Uint32Array(kept);
  parents[0] = -1;
  // Several ids may have one text: a name that was made for an address and a function called so, or
  // bytes that are no UTF-8.
  let doubtful = sideEnd > 0;
  let next = 1;
  for (let i = 0; i < count; i++) {
    if (alive[i] === 0) continue;
    const above = parent[i] as number;
    const name = nodes.name[i] as number;
    const slot = name >= SIDE_NAMES ? name - SIDE_NAMES + nameEnd : name;
    let index = nameOf[slot] as number;
    if (index === 0) {
      const text = source.nameText(name);
      doubtful ||= text.includes('\uFFFD');
      index = names.push(text) - 1;
      nameOf[slot] = index;
    }
    parents[next] = above < 0 ? 0 : (idOf[above] as number);
    nodeNames[next] = index;
    idOf[i] = next++;
  }
  const self = scatter(sums, ofStack, idOf, kept);
  const tree = { names, parent: parents, name: nodeNames, self };
  return doubtful && new Set(names).size < names.length ? foldEqualNames(tree) : tree;
}

function scatter(sums: Lanes, ofStack: Uint32Array, idOf: Uint32Array, count: number): Lanes {
  const stackCount = Math.min(sums.lo.length, ofStack.length);
  const { lo, hi } = sums;
  if (!needsWide([sums])) {
    const self = new Float64Array(count);
    for (let s = 0; s < stackCount; s++) {
      const value = lo[s] as number;
      if (value === 0) continue;
      const id = idOf[ofStack[s] as number] as number;
      self[id] = (self[id] as number) + value;
    }
    return { lo: self, hi: undefined };
  }
  const self = createWide(count);
  const wide = hi === undefined ? toWide(sums) : { lo, hi };
  for (let s = 0; s < stackCount; s++) {
    const low = wide.lo[s] as number;
    const high = wide.hi[s] as number;
    // Stacks without weight may end in nodes that were not kept.
    if (low !== 0 || high !== 0) addWide(self, idOf[ofStack[s] as number] as number, high, low);
  }
  return self;
}
