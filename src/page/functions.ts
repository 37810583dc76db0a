import type { Flame, Side } from './flame.ts';

/** What one function costs; of a diff on both sides. */
export interface FunctionRow {
  readonly name: string;
  readonly self: number;
  /** A stack counts once, however often the function recurses in it. */
  readonly total: number;
  readonly baseSelf: number;
  readonly baseTotal: number;
}

/** Sums a tree by function. The root is no function. */
export function functionsOf(flame: Flame): FunctionRow[] {
  const rows = flame.names.map((name) => ({ name, self: 0, total: 0, baseSelf: 0, baseTotal: 0 }));
  const value = (side: Side | undefined, column: keyof Side, node: number): number =>
    side?.[column][node] ?? 0;
  for (let node = 1; node < flame.name.length; node++) {
    const row = rows[flame.name[node] as number];
    if (row === undefined) continue;
    row.self += value(flame.now, 'self', node);
    row.baseSelf += value(flame.base, 'self', node);
    if (recurs(flame, node)) continue;
    row.total += value(flame.now, 'total', node);
    row.baseTotal += value(flame.base, 'total', node);
  }
  return rows.filter(({ total, baseTotal }) => total > 0 || baseTotal > 0);
}

/** Nodes whose name contains `text`, whatever the case; undefined for an empty text. */
export function nodesNamed(flame: Flame, text: string): Uint8Array | undefined {
  if (text === '') return undefined;
  const wanted = text.toLowerCase();
  const names = flame.names.map((name) => name.toLowerCase().includes(wanted));
  return Uint8Array.from(flame.name, (name) => (names[name] === true ? 1 : 0));
}

/** Value below the marked nodes: a stack counts once, however many of its nodes are marked. */
export function markedValue(flame: Flame, marks: Uint8Array, side: Side): number {
  let sum = 0;
  const within = new Uint8Array(marks.length);
  for (let node = 0; node < marks.length; node++) {
    const above = within[flame.parent[node] as number] === 1;
    if (marks[node] === 1 && !above) sum += side.total[node] as number;
    within[node] = above || marks[node] === 1 ? 1 : 0;
  }
  return sum;
}

function recurs(flame: Flame, node: number): boolean {
  const name = flame.name[node];
  for (let at = flame.parent[node] as number; at > 0; at = flame.parent[at] as number) {
    if (flame.name[at] === name) return true;
  }
  return false;
}
