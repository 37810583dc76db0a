import type { CallNode } from './call-tree.ts';
import { functionsOf } from './functions.ts';
import { stacksOf } from './stacks.ts';

/** How one function or stack changed from the left side to the right one. */
export interface Change {
  /** One function, or the frames of a stack, root first. */
  readonly names: readonly string[];
  readonly left: bigint;
  readonly right: bigint;
  /** right - left. */
  readonly change: bigint;
  /** Difference of the parts of each side's total, -1 to 1. */
  readonly shareChange: number;
  /**
   * How much it matters, 0 to 1: the larger of the change as part of the larger total, and of
   * {@link shareChange}. Sides may have seen different traffic, or lasted differently: what is flat by
   * one measure may have moved by the other.
   */
  readonly weight: number;
}

/** Changes by weight, and what was below the floor. Nothing is lost: all `change`s add up. */
export interface Changes {
  /** At or above the floor, the weightiest first. */
  readonly rows: readonly Change[];
  readonly small: { readonly count: number; readonly change: bigint };
  readonly unchanged: number;
}

/** Of functions: what they used themselves, or with what they called. */
export function functionChanges(root: CallNode, by: 'self' | 'total', floor: number): Changes {
  return weighed(
    root,
    floor,
    functionsOf(root).map((row) => ({
      names: [row.name],
      left: by === 'self' ? row.baseSelf : row.baseTotal,
      right: by === 'self' ? row.self : row.total,
    })),
  );
}

/** Of stacks: what ended in them. */
export function stackChanges(root: CallNode, floor: number): Changes {
  return weighed(
    root,
    floor,
    Array.from(stacksOf(root), ({ names, node }) => ({
      names,
      left: node.baseSelf,
      right: node.self,
    })),
  );
}

function weighed(
  root: CallNode,
  floor: number,
  values: readonly Pick<Change, 'names' | 'left' | 'right'>[],
): Changes {
  const larger = root.total > root.baseTotal ? root.total : root.baseTotal;
  const rows: Change[] = [];
  let unchanged = 0;
  let count = 0;
  let together = 0n;
  for (const { names, left, right } of values) {
    const change = right - left;
    const shareChange = share(right, root.total) - share(left, root.baseTotal);
    const absolute = Math.abs(share(change, larger));
    // Against an empty side every share is a change of share; that side says nothing about it.
    const bothSides = root.total !== 0n && root.baseTotal !== 0n;
    const weight = Math.max(absolute, bothSides ? Math.abs(shareChange) : 0);
    if (change === 0n && weight < floor) {
      unchanged++;
    } else if (weight < floor) {
      count++;
      together += change;
    } else {
      rows.push({ names, left, right, change, shareChange, weight });
    }
  }
  return {
    rows: rows.sort((a, b) => b.weight - a.weight || byNames(a.names, b.names)),
    small: { count, change: together },
    unchanged,
  };
}

function byNames(a: readonly string[], b: readonly string[]): number {
  const [x, y] = [a.join(';'), b.join(';')];
  if (x === y) return 0;
  return x < y ? -1 : 1;
}

/** `part` of `whole`, 0 where there is none. */
export function share(part: bigint, whole: bigint): number {
  return whole === 0n ? 0 : Number(part) / Number(whole);
}
