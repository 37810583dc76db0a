import { NameTreeBuilder } from '../../src/query/tree/build.ts';
import type { NameTree } from '../../src/query/tree/name-tree.ts';

/** A stack, root first, and its value. */
export type Stack = readonly [frames: readonly string[], value: bigint];

/** Stacks from folded text, one a line. */
export function stacksOf(picture: string): Stack[] {
  return picture
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at).split(';'), BigInt(line.slice(at + 1))] as const;
    });
}

/** Tree of stacks. */
export function treeOf(stacks: Iterable<Stack>): NameTree {
  const builder = new NameTreeBuilder();
  for (const [frames, value] of stacks) builder.add(frames, value);
  return builder.finish();
}

/** The left tree of the worked examples in wire-pyroscope 6.3 and 6.4. */
export const LEFT = `
  main;alpha;gamma 5
  main;alpha 2
  main;beta 2
  main;beta;delta 1
  main 1`;

/** The right tree of 6.4. */
export const RIGHT = `
  main;alpha;gamma 4
  main;alpha 2
  main;beta 6`;
