/** `querier.v1.FlameGraph` or `FlameGraphDiff` as JSON has it: whole numbers are text, empty is missing. */
export interface FlameMessage {
  readonly names?: readonly string[];
  readonly levels?: readonly { readonly values?: readonly string[] }[];
  /** Of a diff: value of the baseline's root. */
  readonly leftTicks?: string;
  /** Of a diff: value of the other side's root. */
  readonly rightTicks?: string;
}

/** Values of one side by node, in the unit of the profile type. */
export interface Side {
  readonly self: Float64Array;
  readonly total: Float64Array;
}

/** A tree as columns, level by level from the root, each level from left to right. */
export interface Flame {
  readonly names: readonly string[];
  /** By depth: its first node; one more entry at the end. */
  readonly levelStart: Int32Array;
  /** By node: index into `names`. */
  readonly name: Int32Array;
  readonly depth: Int32Array;
  /** By node: its parent; -1 for the root. */
  readonly parent: Int32Array;
  /** By node: left edge and width, as shares of the root. */
  readonly x: Float64Array;
  readonly width: Float64Array;
  /** What is shown; of a diff the comparison. */
  readonly now: Side;
  /** Of a diff the baseline. */
  readonly base: Side | undefined;
}

const FIELDS = 4;
const DIFF_FIELDS = 7;

/**
 * Takes the levels of the wire apart. A bar of a diff is as wide as the mean of its shares of both
 * sides, so that ranges of different lengths compare.
 */
export function readFlame(message: FlameMessage, isDiff: boolean): Flame {
  const fields = isDiff ? DIFF_FIELDS : FIELDS;
  const levels = (message.levels ?? []).map((level) => level.values ?? []);
  const levelStart = new Int32Array(levels.length + 1);
  levels.forEach((values, depth) => {
    levelStart[depth + 1] = (levelStart[depth] as number) + Math.floor(values.length / fields);
  });
  const count = levelStart[levels.length] as number;
  const flame = {
    names: message.names ?? [],
    levelStart,
    name: new Int32Array(count),
    depth: new Int32Array(count),
    parent: new Int32Array(count),
    x: new Float64Array(count),
    width: new Float64Array(count),
    now: sideOf(count),
    base: isDiff ? sideOf(count) : undefined,
  };
  const sides = flame.base === undefined ? [flame.now] : [flame.base, flame.now];
  const starts = sides.map(() => new Float64Array(count));
  for (const [depth, values] of levels.entries()) {
    const ends = sides.map(() => 0);
    const first = levelStart[depth] as number;
    for (let node = first; node < (levelStart[depth + 1] as number); node++) {
      const at = (node - first) * fields;
      for (const [s, side] of sides.entries()) {
        const start = (ends[s] as number) + Number(values[at + 3 * s]);
        const total = Number(values[at + 3 * s + 1]);
        (starts[s] as Float64Array)[node] = start;
        side.total[node] = total;
        side.self[node] = Number(values[at + 3 * s + 2]);
        ends[s] = start + total;
      }
      flame.name[node] = Number(values[at + fields - 1]);
      flame.depth[node] = depth;
    }
  }
  place(flame, sides, starts);
  linkParents(flame, sides, starts);
  return flame;
}

/** Nodes in all. */
export function nodeCount(flame: Flame): number {
  return flame.name.length;
}

/** The function of a node. */
export function nameOf(flame: Flame, node: number): string {
  return flame.names[flame.name[node] as number] ?? '';
}

/** The nodes from the root to this one. */
export function pathOf(flame: Flame, node: number): number[] {
  const path: number[] = [];
  for (let at = node; at >= 0; at = flame.parent[at] as number) path.unshift(at);
  return path;
}

/** The children of a node, from left to right: consecutive nodes `[first, end)`. */
export function childrenOf(flame: Flame, node: number): [first: number, end: number] {
  const below = (flame.depth[node] as number) + 1;
  const end = flame.levelStart[below + 1] ?? 0;
  let at = flame.levelStart[below] ?? 0;
  while (at < end && (flame.parent[at] as number) < node) at++;
  const first = at;
  while (at < end && flame.parent[at] === node) at++;
  return [first, at];
}

/** By node: a number of 32 bits that stands for the names from the root to it. */
export function pathHashes(flame: Flame): Uint32Array {
  const ofName = flame.names.map(hashText);
  const hashes = new Uint32Array(flame.name.length);
  for (let node = 0; node < hashes.length; node++) {
    const above = hashes[flame.parent[node] as number] ?? 0;
    hashes[node] = Math.imul(above ^ (ofName[flame.name[node] as number] ?? 0), 0x9e3779b1) ^ above;
  }
  return hashes;
}

/** FNV-1a of the code units, 32 bits. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}

function sideOf(count: number): Side {
  return { self: new Float64Array(count), total: new Float64Array(count) };
}

function place(flame: Flame, sides: readonly Side[], starts: readonly Float64Array[]): void {
  // A side without any value takes no room.
  const scales = sides.map(({ total }) => ((total[0] ?? 0) > 0 ? 1 / (total[0] as number) : 0));
  const parts = scales.filter((scale) => scale > 0).length || 1;
  for (let node = 0; node < flame.name.length; node++) {
    let x = 0;
    let width = 0;
    for (const [s, side] of sides.entries()) {
      const scale = (scales[s] as number) / parts;
      x += ((starts[s] as Float64Array)[node] as number) * scale;
      width += (side.total[node] as number) * scale;
    }
    flame.x[node] = x;
    flame.width[node] = width;
  }
}

/** A child lies within its parent on every side; whole numbers are compared, never shares. */
function linkParents(flame: Flame, sides: readonly Side[], starts: readonly Float64Array[]): void {
  const sum = (columns: readonly Float64Array[], node: number): number =>
    columns.reduce((all, column) => all + (column[node] as number), 0);
  const totals = sides.map(({ total }) => total);
  if (flame.parent.length > 0) flame.parent[0] = -1;
  for (let depth = 1; depth < flame.levelStart.length - 1; depth++) {
    const last = (flame.levelStart[depth] as number) - 1;
    let parent = flame.levelStart[depth - 1] as number;
    for (let node = last + 1; node < (flame.levelStart[depth + 1] as number); node++) {
      const x = sum(starts, node);
      while (parent < last && sum(starts, parent) + sum(totals, parent) <= x) parent++;
      flame.parent[node] = parent;
    }
  }
}
