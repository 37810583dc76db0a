import type { FlameGraph } from '../../src/gen/querier/v1/querier_pb.ts';
import type { Sums } from './naive-profile.ts';

interface Node {
  readonly path: string;
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * Own values of a flame graph by the names on the way from the root, joined with a line feed. Throws
 * where a node does not lie within one node of the level above.
 */
export function sumsOfFlameGraph({ names, levels }: FlameGraph): Sums {
  const sums: Sums = new Map();
  let above: Node[] = [];
  for (const [depth, { values }] of levels.entries()) {
    const level: Node[] = [];
    let end = 0n;
    let parent = 0;
    for (let at = 0; at < values.length; at += 4) {
      const [x, total, self, name] = values.slice(at, at + 4) as [bigint, bigint, bigint, bigint];
      const from = end + x;
      end = from + total;
      while (parent < above.length && (above[parent] as Node).to <= from) parent++;
      const over = above[parent];
      if (depth > 0 && (over === undefined || from < over.from || end > over.to)) {
        throw new Error(`level ${depth}: node at ${from} hangs in the air`);
      }
      const own = names[Number(name)] as string;
      const path = depth < 2 ? own : `${over?.path}\n${own}`;
      if (self > 0n && depth > 0) sums.set(path, (sums.get(path) ?? 0n) + self);
      level.push({ path, from, to: end });
    }
    above = level;
  }
  return sums;
}
