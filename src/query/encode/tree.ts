import { drain, type Steps } from '../../base/steps.ts';
import { isSet } from '../tree/lanes.ts';
import type { NameTree } from '../tree/name-tree.ts';
import { type Overflow, ProtoWriter } from './proto-writer.ts';
import { NodeStack } from './node-stack.ts';
import { type EncodedTree, foldedValueOf, pruned, writeLane } from './pruned.ts';

const ROOT = Uint32Array.of(0);

/** Field of `querier.v1.SelectMergeStacktracesResponse`. */
const TREE = 2;

/**
 * Prunes the tree to `maxNodes` and writes a `querier.v1.SelectMergeStacktracesResponse` with the bytes
 * of its tree: pre-order from a root without a name, right-most child first; of each node the length of
 * its name, the name, its own value and how many children it has. No samples are no bytes. The tree is used up.
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
    const waiting = new NodeStack();
    waiting.push(ROOT, 0, 1);
    yield* drain((rows) => {
      for (let left = rows; waiting.size > 0 && left > 0; left--) {
        const node = waiting.pop();
        writer.bareText(node === 0 ? '' : (names[name[node] as number] as string));
        writeLane(writer, self, node);
        const from = childStart[node] as number;
        const to = childStart[node + 1] as number;
        writer.uint(to - from);
        waiting.push(children, from, to);
      }
      return waiting.size > 0;
    });
    writer.end(field);
  }
  const foldedValue = yield* foldedValueOf(kept);
  return { ...writer.finish(), foldedValue };
}
