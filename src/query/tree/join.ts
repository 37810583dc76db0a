import { addWide, createWide, type Lanes, needsWide, toWide } from './lanes.ts';
import { emptyNameTree, type NameTree, ROOT_NAME } from './name-tree.ts';
import { ChildTable } from './child-table.ts';

/** Several trees laid over each other: nodes with the same path of names are one. */
export interface AlignedTrees {
  readonly names: readonly string[];
  readonly parent: Int32Array;
  readonly name: Uint32Array;
  /** Of each tree: the aligned node of its nodes. */
  readonly maps: readonly Uint32Array[];
}

/** Adds up trees by name content. No tree gives the empty one, a single tree is returned as it is. */
export function joinNameTrees(trees: readonly NameTree[]): NameTree {
  const [first] = trees;
  if (first === undefined) return emptyNameTree();
  return trees.length === 1 ? first : addUp(trees);
}

/** The tree with equal names under one parent made one node. */
export function foldEqualNames(tree: NameTree): NameTree {
  return addUp([tree]);
}

function addUp(trees: readonly NameTree[]): NameTree {
  const { names, parent, name, maps } = alignNameTrees(trees);
  const parts = trees.map(({ self }) => self);
  return { names, parent, name, self: sumMapped(parts, maps, parent.length) };
}

/** Lays trees over each other by name content, without adding anything up. */
export function alignNameTrees(trees: readonly NameTree[]): AlignedTrees {
  const names = [ROOT_NAME];
  const nameIndex = new Map([[ROOT_NAME, 0]]);
  const nodes = new ChildTable(Math.max(0, ...trees.map(({ parent }) => parent.length)));
  const maps = trees.map((tree) => {
    const nameOf = new Uint32Array(tree.names.length);
    for (let i = 0; i < nameOf.length; i++) {
      const text = tree.names[i] as string;
      let index = nameIndex.get(text);
      if (index === undefined) {
        index = names.push(text) - 1;
        nameIndex.set(text, index);
      }
      nameOf[i] = index;
    }
    const map = new Uint32Array(tree.parent.length);
    for (let i = 1; i < map.length; i++) {
      const above = map[tree.parent[i] as number] as number;
      map[i] = nodes.intern(above, nameOf[tree.name[i] as number] as number);
    }
    return map;
  });
  return {
    names,
    parent: nodes.parent.slice(0, nodes.end),
    name: nodes.name.slice(0, nodes.end),
    maps,
  };
}

/** Sums of several columns over the nodes that `maps` send their elements to. */
export function sumMapped(
  parts: readonly Lanes[],
  maps: readonly Uint32Array[],
  count: number,
): Lanes {
  if (!needsWide(parts)) {
    const sum = new Float64Array(count);
    for (const [p, { lo }] of parts.entries()) {
      const map = maps[p] as Uint32Array;
      for (let i = 0; i < lo.length; i++) {
        const at = map[i] as number;
        sum[at] = (sum[at] as number) + (lo[i] as number);
      }
    }
    return { lo: sum, hi: undefined };
  }
  const sum = createWide(count);
  for (const [p, part] of parts.entries()) {
    const { lo, hi } = toWide(part);
    const map = maps[p] as Uint32Array;
    for (let i = 0; i < lo.length; i++) {
      addWide(sum, map[i] as number, hi[i] as number, lo[i] as number);
    }
  }
  return sum;
}
