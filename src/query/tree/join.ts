import { type Steps, sweep } from '../../base/steps.ts';
import { addWide, createWide, type Lanes, needsWide, toWide } from './lanes.ts';
import { emptyNameTree, type NameTree, ROOT_NAME, type SidedTree } from './name-tree.ts';
import { ChildTable } from './child-table.ts';

/** Nodes and their names. */
type Shape = Pick<SidedTree, 'names' | 'parent' | 'name'>;

/** Several trees laid over each other: nodes with the same path of names are one. */
interface AlignedTrees {
  readonly names: readonly string[];
  readonly parent: Int32Array;
  readonly name: Uint32Array;
  /** Of each tree: the aligned node of its nodes. */
  readonly maps: readonly Uint32Array[];
}

/** Adds up trees by name content. No tree gives the empty one, a single tree is returned as it is. */
export function* joinNameTrees(trees: readonly NameTree[]): Steps<NameTree> {
  const [first] = trees;
  if (first === undefined) return emptyNameTree();
  if (trees.length === 1) return first;
  const sided = trees.map((tree) => asSide(tree, 0, 1));
  const { names, parent, name, sides } = yield* joinSidedTrees(sided, 1);
  return { names, parent, name, self: sides[0] as Lanes };
}

/**
 * Adds up trees of `sideCount` sides each by name content; equal names under one parent become one
 * node. No tree gives an empty one, a single tree is returned as it is.
 */
export function* joinSidedTrees(trees: readonly SidedTree[], sideCount: number): Steps<SidedTree> {
  const [first] = trees;
  if (first !== undefined && trees.length === 1) return first;
  return yield* addUp(trees, sideCount);
}

/** The tree with equal names under one parent made one node. */
export function foldEqualNames(tree: SidedTree): Steps<SidedTree> {
  return addUp([tree], tree.sides.length);
}

/** A tree as side number `side` of a tree that is empty on its other sides. */
export function asSide(tree: NameTree, side: number, sideCount: number): SidedTree {
  const { names, parent, name, self } = tree;
  const none = { lo: new Float64Array(sideCount > 1 ? self.lo.length : 0), hi: undefined };
  const sides = Array.from({ length: sideCount }, (_, i) => (i === side ? self : none));
  return { names, parent, name, sides };
}

function* addUp(trees: readonly SidedTree[], sideCount: number): Steps<SidedTree> {
  const { names, parent, name, maps } = yield* alignTrees(trees);
  const sides: Lanes[] = [];
  for (let side = 0; side < sideCount; side++) {
    const parts = trees.map((tree) => tree.sides[side] as Lanes);
    sides.push(yield* sumMapped(parts, maps, parent.length));
  }
  return { names, parent, name, sides };
}

/** Lays trees over each other by name content, without adding anything up. */
function* alignTrees(trees: readonly Shape[]): Steps<AlignedTrees> {
  const names = [ROOT_NAME];
  const nameIndex = new Map([[ROOT_NAME, 0]]);
  const nodes = new ChildTable(expectedNodes(trees));
  const maps: Uint32Array[] = [];
  for (const tree of trees) {
    const nameOf = new Uint32Array(tree.names.length);
    yield* sweep(0, nameOf.length, (from, to) => {
      for (let i = from; i < to; i++) {
        const text = tree.names[i] as string;
        let index = nameIndex.get(text);
        if (index === undefined) {
          index = names.push(text) - 1;
          nameIndex.set(text, index);
        }
        nameOf[i] = index;
      }
    });
    const map = new Uint32Array(tree.parent.length);
    yield* sweep(1, map.length, (from, to) => {
      for (let i = from; i < to; i++) {
        const above = map[tree.parent[i] as number] as number;
        map[i] = nodes.intern(above, nameOf[tree.name[i] as number] as number);
      }
    });
    maps.push(map);
  }
  return {
    names,
    parent: nodes.parent.slice(0, nodes.end),
    name: nodes.name.slice(0, nodes.end),
    maps,
  };
}

/** Days of a service have nearly the same nodes, services hardly any in common. */
function expectedNodes(trees: readonly Shape[]): number {
  const lengths = trees.map(({ parent }) => parent.length);
  const most = Math.max(0, ...lengths);
  return Math.min(
    lengths.reduce((sum, length) => sum + length, 0),
    4 * most,
  );
}

/** Sums of several columns over the nodes that `maps` send their elements to. */
export function* sumMapped(
  parts: readonly Lanes[],
  maps: readonly Uint32Array[],
  count: number,
): Steps<Lanes> {
  if (!(yield* needsWide(parts))) {
    const sum = new Float64Array(count);
    for (const [p, { lo }] of parts.entries()) {
      const map = maps[p] as Uint32Array;
      yield* sweep(0, lo.length, (from, to) => {
        for (let i = from; i < to; i++) {
          const at = map[i] as number;
          sum[at] = (sum[at] as number) + (lo[i] as number);
        }
      });
    }
    return { lo: sum, hi: undefined };
  }
  const sum = createWide(count);
  for (const [p, part] of parts.entries()) {
    const { lo, hi } = yield* toWide(part);
    const map = maps[p] as Uint32Array;
    yield* sweep(0, lo.length, (from, to) => {
      for (let i = from; i < to; i++) {
        addWide(sum, map[i] as number, hi[i] as number, lo[i] as number);
      }
    });
  }
  return sum;
}
