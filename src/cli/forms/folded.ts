import type { CallNode } from '../tree/call-tree.ts';
import { stacksOf } from '../tree/stacks.ts';

/** One stack a line and its value; of a diff: the left value and the right one. */
export function* folded(root: CallNode, isDiff: boolean): Generator<string> {
  for (const { names, node } of stacksOf(root)) {
    // A frame may hold the separators; folded text has no way to escape them.
    const stack = names
      .map((name) => name.replaceAll(';', ':').replaceAll(/[\r\n]/g, ' '))
      .join(';');
    yield isDiff ? `${stack} ${node.baseSelf} ${node.self}\n` : `${stack} ${node.self}\n`;
  }
}
