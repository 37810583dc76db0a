import { laneValue } from './tree/lanes.ts';
import type { NameTree } from './tree/name-tree.ts';
import { walkNames } from './tree/walk.ts';

/**
 * The tree as folded text, one `root;…;leaf value` a line (without line end), in byte order of the
 * frames. A `;` in a name becomes `:`, line ends become blanks: the format has no escapes. Samples
 * without frames are left out.
 */
export function* foldedLines(tree: NameTree): Generator<string> {
  const texts = tree.names.map((text) => text.replaceAll(';', ':').replaceAll(/[\r\n]+/g, ' '));
  const path: string[] = [];
  for (const { node, depth } of walkNames(tree)) {
    path.length = depth;
    path.push(texts[tree.name[node] as number] as string);
    const self = laneValue(tree.self, node);
    if (self > 0n) yield `${path.join(';')} ${self}`;
  }
}
