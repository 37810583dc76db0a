import fc from 'fast-check';
import { seededRandom } from '../../../src/base/random.ts';
import type { Label } from '../../../src/profile/labels.ts';
import { Dictionary } from '../../../src/storage/dictionary/dictionary.ts';
import { FRAME_DAMAGED, FRAME_INLINED, NO_FUNCTION } from '../../../src/storage/dictionary/rows.ts';

/** A frame by its content; no ids. */
export interface PlainFrame {
  /** Undefined: no symbols. */
  readonly fn: { name: string; systemName: string; file: string; startLine: number } | undefined;
  readonly line: number;
  readonly column: number;
  readonly mappingFile: string;
  readonly buildId: string;
  readonly address: readonly [low: number, high: number];
  readonly inlined: boolean;
}

/** One thing to put into a dictionary. */
export type Step =
  | { readonly stack: readonly PlainFrame[] }
  | { readonly series: { readonly labels: readonly Label[]; readonly type: string } };

const text = fc.constantFrom('', 'a', 'main', 'main.go', 'ünïcødé', 'x'.repeat(40), '(damaged)');
const line = fc.constantFrom(0, 1, 7, 0xffff_ffff);

/** Frames out of a small universe, so that they repeat. */
export const plainFrame: fc.Arbitrary<PlainFrame> = fc.record({
  fn: fc.option(fc.record({ name: text, systemName: text, file: text, startLine: line }), {
    nil: undefined,
    freq: 4,
  }),
  line,
  column: fc.constantFrom(0, 3),
  mappingFile: fc.constantFrom('', '/bin/app', '/lib/libc.so'),
  buildId: fc.constantFrom('', 'b1'),
  address: fc.tuple(fc.constantFrom(0, 1, 0xffff_ffff), fc.constantFrom(0, 0x7fff)),
  inlined: fc.boolean(),
});

/** Some that only a key with lengths tells apart. */
const LABEL_SETS: readonly (readonly Label[])[] = [
  [],
  [['a', 'b']],
  [
    ['a', '1:b'],
    ['c', ''],
  ],
  [
    ['a', '1'],
    ['b', 'c'],
  ],
];

/** Stacks whose frames come from few, so that they share roots and repeat. */
export const steps: fc.Arbitrary<readonly Step[]> = fc
  .array(plainFrame, { minLength: 1, maxLength: 6 })
  .chain((frames) =>
    fc.array(
      fc.oneof<fc.MaybeWeightedArbitrary<Step>[]>(
        {
          weight: 5,
          arbitrary: fc.record({
            stack: fc.array(fc.constantFrom(...frames), { minLength: 1, maxLength: 6 }),
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({
            series: fc.record({
              labels: fc.constantFrom(...LABEL_SETS),
              type: fc.constantFrom('cpu', 'wall'),
            }),
          }),
        },
      ),
      { maxLength: 24 },
    ),
  );

/** Puts a frame in; its id. */
export function putFrame(dictionary: Dictionary, frame: PlainFrame): number {
  const { fn } = frame;
  return dictionary.internFrame(
    fn === undefined
      ? NO_FUNCTION
      : dictionary.internFunction(
          dictionary.internText(fn.name),
          dictionary.internText(fn.systemName),
          dictionary.internText(fn.file),
          fn.startLine,
        ),
    frame.line,
    frame.column,
    dictionary.internText(frame.mappingFile),
    dictionary.internText(frame.buildId),
    frame.address[0],
    frame.address[1],
    frame.inlined ? FRAME_INLINED : 0,
  );
}

/** Puts a step in; its stack id or series id. */
export function put(dictionary: Dictionary, step: Step): number {
  if ('stack' in step) {
    const frames = Uint32Array.from(step.stack, (frame) => putFrame(dictionary, frame));
    return dictionary.internStack(frames, 0, frames.length);
  }
  const { labels, type } = step.series;
  return dictionary.internSeries(labels, {
    name: 'n',
    type,
    unit: 'u',
    periodType: '',
    periodUnit: '',
  });
}

/** The same for two frames exactly if they are one by the rules. */
export function frameKey(frame: PlainFrame): string {
  const { fn, line: number, column, mappingFile, buildId, address, inlined } = frame;
  return fn === undefined
    ? JSON.stringify([buildId === '' ? ['file', mappingFile] : ['build', buildId], address])
    : JSON.stringify([
        fn.name,
        fn.systemName,
        fn.file,
        fn.startLine,
        number,
        column,
        mappingFile,
        buildId,
        inlined,
      ]);
}

/** The same for two steps exactly if they have one id. */
export function stepKey(step: Step): string {
  return 'stack' in step
    ? JSON.stringify(step.stack.map(frameKey))
    : JSON.stringify([step.series.labels, step.series.type]);
}

/** Content key of a frame in a dictionary, as {@link frameKey}. */
export function frameKeyOf(dictionary: Dictionary, id: number): string {
  const row = dictionary.frameRow(id);
  if ((row.flags & FRAME_DAMAGED) !== 0) return '(damaged)';
  const fn = row.fn === NO_FUNCTION ? undefined : dictionary.functionRow(row.fn);
  return frameKey({
    fn: fn && {
      name: dictionary.text(fn.name),
      systemName: dictionary.text(fn.systemName),
      file: dictionary.text(fn.file),
      startLine: fn.startLine,
    },
    line: row.line,
    column: row.column,
    mappingFile: dictionary.text(row.mappingFile),
    buildId: dictionary.text(row.buildId),
    address: [row.addressLow, row.addressHigh],
    inlined: (row.flags & FRAME_INLINED) !== 0,
  });
}

/** Node ids of a stack, root first. */
export function nodesOf(dictionary: Dictionary, stack: number): number[] {
  const nodes: number[] = [];
  for (
    let node = dictionary.stackNode[stack] as number;
    node >= 0;
    node = dictionary.nodeParent[node] as number
  ) {
    nodes.unshift(node);
  }
  return nodes;
}

/** Content key of a stack in a dictionary, as {@link stepKey}. */
export function stackKeyOf(dictionary: Dictionary, stack: number): string {
  return JSON.stringify(
    nodesOf(dictionary, stack).map((node) =>
      frameKeyOf(dictionary, dictionary.nodeFrame[node] as number),
    ),
  );
}

/** Everything that a dictionary holds, as plain values. */
export function contents(dictionary: Dictionary): unknown {
  const { strings, functions, frames, nodes, stacks, series } = dictionary.lengths;
  const ids = (count: number): number[] => Array.from({ length: count }, (_, id) => id);
  return {
    strings: ids(strings).map((id) => dictionary.text(id)),
    functions: ids(functions).map((id) => dictionary.functionRow(id)),
    frames: ids(frames).map((id) => dictionary.frameRow(id)),
    nodes: ids(nodes).map((id) => [dictionary.nodeParent[id], dictionary.nodeFrame[id]]),
    stacks: ids(stacks).map((id) => dictionary.stackNode[id]),
    series: ids(series).map((id) => dictionary.seriesRow(id)),
  };
}

/** A dictionary with a fixed secret; `slotBits` 0 makes everything collide. */
export function open(slotBits = -1): Dictionary {
  return new Dictionary(seededRandom(7), slotBits);
}

/** A dictionary that holds the steps. */
export function filled(all: readonly Step[], slotBits = -1): Dictionary {
  const dictionary = open(slotBits);
  for (const step of all) put(dictionary, step);
  return dictionary;
}
