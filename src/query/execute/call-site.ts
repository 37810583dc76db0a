import { type Steps, sweep } from '../../base/steps.ts';
import { growNames, type NameSource } from '../tree/name-tree-of.ts';
import type { Lanes } from '../tree/lanes.ts';

/**
 * Which stacks of a dictionary begin, root first, with exactly the function names of `callSite`: 1 by
 * stack id. One forward sweep over the tree of names, because parents come before their children.
 */
export function* stacksBelow(source: NameSource, callSite: readonly string[]): Steps<Uint8Array> {
  yield* growNames(source);
  const { count, parent, name, ofStack } = source.nameTree();
  const texts = new Map<number, string>();
  const textOf = (id: number): string => {
    let text = texts.get(id);
    if (text === undefined) texts.set(id, (text = source.nameText(id)));
    return text;
  };
  // Names matched on the way to each node; -1 = another way.
  const matched = new Int32Array(count);
  yield* sweep(0, count, (from, to) => {
    for (let node = from; node < to; node++) {
      const above = parent[node] as number;
      const before = above < 0 ? 0 : (matched[above] as number);
      if (before < 0 || before === callSite.length) matched[node] = before;
      else matched[node] = textOf(name[node] as number) === callSite[before] ? before + 1 : -1;
    }
  });
  const below = new Uint8Array(ofStack.length);
  yield* sweep(0, ofStack.length, (from, to) => {
    for (let stack = from; stack < to; stack++) {
      if (matched[ofStack[stack] as number] === callSite.length) below[stack] = 1;
    }
  });
  return below;
}

/** The sums with those of all other stacks cleared, in place; unchanged without a call site. */
export function* keepBelow(
  source: NameSource,
  sums: Lanes,
  callSite: readonly string[] | undefined,
): Steps<Lanes> {
  if (callSite === undefined || callSite.length === 0) return sums;
  const below = yield* stacksBelow(source, callSite);
  yield* sweep(0, sums.lo.length, (from, to) => {
    for (let stack = from; stack < to; stack++) {
      if (below[stack] === 1) continue;
      sums.lo[stack] = 0;
      if (sums.hi !== undefined) sums.hi[stack] = 0;
    }
  });
  return sums;
}
