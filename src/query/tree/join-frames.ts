import { FrameTables, type FrameTablesSource } from './frame-tables.ts';
import type { FrameTree } from './frame-tree.ts';
import { sumMapped } from './join.ts';
import type { Lanes } from './lanes.ts';
import { PairTable } from './pair-table.ts';

/** What a dictionary knows of frames: see `Dictionary` in src/storage/dictionary. */
export interface FrameSource extends FrameTablesSource {
  /** -1 = under the root; otherwise less than the node's own id. */
  readonly nodeParent: Int32Array;
  readonly nodeFrame: Uint32Array;
  /** Node in which a stack ends. */
  readonly stackNode: Uint32Array;
}

/** The tree of one dictionary's stack sums; only nodes with weight in or under them. */
export function frameTreeOf(source: FrameSource, sums: Lanes): FrameTree {
  const { nodeParent, nodeFrame, stackNode } = source;
  const alive = new Uint8Array(nodeParent.length);
  const stackCount = Math.min(sums.lo.length, stackNode.length);
  const hasWeight = (s: number): boolean =>
    sums.lo[s] !== 0 || (sums.hi !== undefined && sums.hi[s] !== 0);
  for (let s = 0; s < stackCount; s++) {
    if (!hasWeight(s)) continue;
    let node = stackNode[s] as number;
    while (node >= 0 && alive[node] === 0) {
      alive[node] = 1;
      node = nodeParent[node] as number;
    }
  }
  const tables = new FrameTables();
  const frameOf = tables.from(source);
  const nodes = new PairTable(1, 1024);
  const idOf = new Uint32Array(nodeParent.length);
  for (let i = 0; i < nodeParent.length; i++) {
    if (alive[i] === 0) continue;
    const above = nodeParent[i] as number;
    const parent = above < 0 ? 0 : (idOf[above] as number);
    idOf[i] = nodes.intern(parent, frameOf(nodeFrame[i] as number));
  }
  // Stacks without weight go to the root, which takes nothing from them.
  const map = Uint32Array.from(sums.lo, (_, s) =>
    s < stackCount && hasWeight(s) ? (idOf[stackNode[s] as number] as number) : 0,
  );
  return finish(tables, nodes, [sums], [map]);
}

/** Adds up trees by the content of their frames. No tree gives an empty one. */
export function joinFrameTrees(trees: readonly FrameTree[]): FrameTree {
  const [first] = trees;
  if (first !== undefined && trees.length === 1) return first;
  const tables = new FrameTables();
  const nodes = new PairTable(1, Math.max(0, ...trees.map(({ parent }) => parent.length)));
  const maps = trees.map((tree) => {
    const frameOf = tables.from(sourceOf(tree));
    const map = new Uint32Array(tree.parent.length);
    for (let i = 1; i < map.length; i++) {
      const above = map[tree.parent[i] as number] as number;
      map[i] = nodes.intern(above, frameOf(tree.frame[i] as number));
    }
    return map;
  });
  const parts = trees.map(({ self }) => self);
  return finish(tables, nodes, parts, maps);
}

function finish(
  tables: FrameTables,
  nodes: PairTable,
  parts: readonly Lanes[],
  maps: readonly Uint32Array[],
): FrameTree {
  nodes.a[0] = -1;
  return {
    strings: tables.strings,
    functions: tables.functionColumns(),
    frames: tables.frameColumns(),
    parent: nodes.a.slice(0, nodes.end),
    frame: nodes.b.slice(0, nodes.end),
    self: sumMapped(parts, maps, nodes.end),
  };
}

function sourceOf({ strings, functions, frames }: FrameTree): FrameTablesSource {
  return {
    text: (id) => strings[id] as string,
    functionRow: (id) => ({
      name: functions.name[id] as number,
      systemName: functions.systemName[id] as number,
      file: functions.file[id] as number,
      startLine: functions.startLine[id] as number,
    }),
    frameRow: (id) => ({
      fn: frames.fn[id] as number,
      line: frames.line[id] as number,
      column: frames.column[id] as number,
      mappingFile: frames.mappingFile[id] as number,
      buildId: frames.buildId[id] as number,
      addressLow: frames.addressLow[id] as number,
      addressHigh: frames.addressHigh[id] as number,
      flags: frames.flags[id] as number,
    }),
  };
}
