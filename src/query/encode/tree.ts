import { drain, type Steps } from '../../base/steps.ts';
import { isSet } from '../tree/lanes.ts';
import type { NameTree } from '../tree/name-tree.ts';
import { type Overflow, ProtoWriter } from './proto-writer.ts';
import { type EncodedTree, foldedValueOf, pruned } from './pruned.ts';

/** Field of `querier.v1.SelectMergeStacktracesResponse`. */
const TREE = 2;

/**
 * Prunes the tree to `maxNodes` and writes a `querier.v1.SelectMergeStacktracesResponse` with the bytes
 * of its tree: pre-order from a root without a name, right-most child first; of each node the length of
 * its name, the name, its own value and how many children it has. No samples are no bytes.
 */
export function* encodeTree(
  tree: NameTree,
  maxNodes: number,
  overflow?: Overflow,
): Steps<EncodedTree> {
  const kept = yield* pruned(tree, maxNodes);
  const { names, name, childStart, children } = kept;
  const [{ self, total }] = kept.sides as [(typeof kept.sides)[number]];
  const writer = new ProtoWriter(64 * 1024, overflow);
  if (isSet(total, 0)) {
    const field = writer.begin(TREE);
    const waiting = new Uint32Array(name.length);
    let depth = 1;
    yield* drain((rows) => {
      let top = depth;
      for (let left = rows; top > 0 && left > 0; left--) {
        const node = waiting[--top] as number;
        writer.bareText(node === 0 ? '' : (names[name[node] as number] as string));
        writer.wide(self.hi[node] as number, self.lo[node] as number);
        const from = childStart[node] as number;
        const to = childStart[node + 1] as number;
        writer.uint(to - from);
        for (let c = from; c < to; c++) waiting[top++] = children[c] as number;
      }
      depth = top;
      return top > 0;
    });
    writer.end(field);
  }
  const foldedValue = yield* foldedValueOf(kept);
  return { ...writer.finish(), foldedValue };
}
