import type { CallNode } from '../../tree/call-tree.ts';
import { share } from '../../tree/changes.ts';
import { ascendingText } from '../text-table.ts';

/** Boxes narrower than this part of the whole are not drawn: half a pixel of a wide window. */
const WIDTH_MIN = 0.0004;
/** Rows of boxes; what lies deeper is not drawn. */
const DEPTH_MAX = 250;

/** A node with its place: parts of the whole width, and its row from the root. */
export interface Box {
  readonly node: CallNode;
  readonly depth: number;
  readonly x: number;
  readonly width: number;
}

/** All boxes of a picture. */
export interface Layout {
  /** The root first, parents before children. */
  readonly boxes: readonly Box[];
  readonly rows: number;
  /** Nodes that are too narrow or too deep, and all that is below them counted once. */
  readonly left: number;
}

/**
 * Boxes of a tree, the widest child first. In a diff a box is as wide as the mean of its shares of both
 * sides, so that what is gone keeps its place and a side with less traffic counts as much as the other.
 */
export function layOut(root: CallNode): Layout {
  const sides = Number(root.total !== 0n) + Number(root.baseTotal !== 0n);
  const widthOf = (node: CallNode): number =>
    (share(node.total, root.total) + share(node.baseTotal, root.baseTotal)) / Math.max(1, sides);
  const boxes: Box[] = [{ node: root, depth: 0, x: 0, width: 1 }];
  let rows = 1;
  let left = 0;
  for (let at = 0; at < boxes.length; at++) {
    const { node, depth, x } = boxes[at] as Box;
    let childX = x;
    const children = node.children
      .map((child) => ({ child, width: widthOf(child) }))
      .sort((a, b) => b.width - a.width || ascendingText(a.child.name, b.child.name));
    for (const { child, width } of children) {
      if (width < WIDTH_MIN || depth + 1 >= DEPTH_MAX) {
        left++;
        continue;
      }
      boxes.push({ node: child, depth: depth + 1, x: childX, width });
      rows = Math.max(rows, depth + 2);
      childX += width;
    }
  }
  return { boxes, rows, left };
}
