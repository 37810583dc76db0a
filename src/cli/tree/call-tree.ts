/**
 * The tree behind a flame graph. Levels hold flat groups of numbers, children lie inside the
 * interval of their parent: `x` is relative to the end of the node before, in the same level.
 */
import type { DiffFlameGraph, FlameGraph } from '../../client/index.ts';

/** A node: values of the range asked for, and those of the baseline in a diff (else 0). */
export interface CallNode {
  readonly name: string;
  readonly self: bigint;
  readonly total: bigint;
  readonly baseSelf: bigint;
  readonly baseTotal: bigint;
  readonly children: CallNode[];
}

/** A node while it is made. */
export type GrowingNode = { -readonly [Field in keyof CallNode]: CallNode[Field] };

/** A node without values and children. */
export function emptyNode(name: string): GrowingNode {
  return { name, self: 0n, total: 0n, baseSelf: 0n, baseTotal: 0n, children: [] };
}

interface Placed {
  readonly node: CallNode;
  readonly start: bigint;
  readonly end: bigint;
}

/** The tree of a flame graph: its root is `total`, also where there are no levels. */
export function treeOfFlameGraph(graph: Pick<FlameGraph, 'names' | 'levels'>): CallNode {
  return build(graph.names, graph.levels, 4);
}

/** The tree of a diff; left is the baseline. */
export function treeOfDiff(graph: Pick<DiffFlameGraph, 'names' | 'levels'>): CallNode {
  return build(graph.names, graph.levels, 7);
}

function build(names: readonly string[], levels: FlameGraph['levels'], groupSize: 4 | 7): CallNode {
  let above: Placed[] = [];
  let root: CallNode | undefined;
  for (const values of levels) {
    const level = placeLevel(names, values, groupSize);
    root ??= level[0]?.node;
    let parent = 0;
    for (const placed of above.length === 0 ? [] : level) {
      while (parent < above.length - 1 && (above[parent] as Placed).end <= placed.start) parent++;
      (above[parent] as Placed).node.children.push(placed.node);
    }
    above = level;
  }
  return root ?? emptyNode('total');
}

/** In a diff both sides advance together, so the sum of both positions places a node. */
function placeLevel(
  names: readonly string[],
  values: readonly bigint[],
  groupSize: 4 | 7,
): Placed[] {
  const placed: Placed[] = [];
  const at = (index: number): bigint => values[index] ?? 0n;
  let end = 0n;
  for (let i = 0; i + groupSize <= values.length; i += groupSize) {
    const isDiff = groupSize === 7;
    const [x, total, self] = [at(i), at(i + 1), at(i + 2)];
    const [rightX, rightTotal, rightSelf] = isDiff
      ? [at(i + 3), at(i + 4), at(i + 5)]
      : [0n, 0n, 0n];
    const start = end + x + rightX;
    end = start + total + rightTotal;
    const node: CallNode = {
      name: names[Number(at(i + groupSize - 1))] ?? '?',
      self: isDiff ? rightSelf : self,
      total: isDiff ? rightTotal : total,
      baseSelf: isDiff ? self : 0n,
      baseTotal: isDiff ? total : 0n,
      children: [],
    };
    placed.push({ node, start, end });
  }
  return placed;
}
