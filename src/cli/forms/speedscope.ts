import type { CallNode } from '../tree/call-tree.ts';
import { stacksOf } from '../tree/stacks.ts';
import { baselineOf } from '../tree/overlay.ts';

/** A profile of a file: its name and its stacks. */
export interface SpeedscopePart {
  readonly name: string;
  readonly root: CallNode;
}

/** The parts of a diff: both sides, to be looked at one after the other. */
export function speedscopeSides(root: CallNode, left: string, right: string): SpeedscopePart[] {
  return [
    { name: `left: ${left}`, root: baselineOf(root) },
    { name: `right: ${right}`, root },
  ];
}

/**
 * A file that https://speedscope.app opens.
 *
 * Source: https://www.speedscope.app/file-format-schema.json, `SampledProfile`.
 */
export function* speedscope(parts: readonly SpeedscopePart[], unit: string): Generator<string> {
  const frames = new Map<string, number>();
  const indexOf = (name: string): number => {
    let index = frames.get(name);
    if (index === undefined) frames.set(name, (index = frames.size));
    return index;
  };
  yield '{"$schema":"https://www.speedscope.app/file-format-schema.json","exporter":"tephra","profiles":[';
  for (const [index, { name, root }] of parts.entries()) {
    if (index > 0) yield ',\n';
    yield `{"type":"sampled","name":${JSON.stringify(name)},"unit":"${unitName(unit)}",`;
    yield `"startValue":0,"endValue":${root.total},"samples":[`;
    const weights: bigint[] = [];
    for (const { names, node } of stacksOf(root)) {
      if (node.self === 0n) continue;
      yield `${weights.length === 0 ? '' : ','}\n[${names.map(indexOf).join(',')}]`;
      weights.push(node.self);
    }
    yield `],"weights":[${weights.join(',')}]}`;
  }
  yield '],\n"shared":{"frames":[';
  for (const [name, index] of frames) {
    yield `${index === 0 ? '' : ','}\n{"name":${JSON.stringify(name)}}`;
  }
  yield ']}}\n';
}

function unitName(unit: string): string {
  return unit === 'nanoseconds' || unit === 'bytes' ? unit : 'none';
}
