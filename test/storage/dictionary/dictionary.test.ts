import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { utf8 } from '../../../src/base/bytes.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import { NO_LENGTHS } from '../../../src/storage/dictionary/lengths.ts';
import { DAMAGED_NODE, NO_FUNCTION, NO_PARENT } from '../../../src/storage/dictionary/rows.ts';
import {
  contents,
  filled,
  frameKeyOf,
  nodesOf,
  open,
  put,
  stackKeyOf,
  stepKey,
  steps,
} from './model.ts';

test.each([-1, 0, 3])(
  'ids are dense, in first-seen order and equal for equal content (slot bits %i)',
  (slotBits) => {
    fc.assert(
      fc.property(steps, (all) => {
        const dictionary = open(slotBits);
        const known = { stack: new Map<string, number>(), series: new Map<string, number>() };
        for (const step of [...all, ...all]) {
          const ids = 'stack' in step ? known.stack : known.series;
          const key = stepKey(step);
          if (!ids.has(key)) ids.set(key, ids.size);
          expect(put(dictionary, step)).toBe(ids.get(key));
        }
        expect(dictionary.lengths.stacks).toBe(known.stack.size);
        expect(dictionary.lengths.series).toBe(known.series.size);
        for (const [key, id] of known.stack) expect(stackKeyOf(dictionary, id)).toBe(key);
      }),
    );
  },
);

test('no table holds a row twice, and a child comes after its parent', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const dictionary = filled(all);
      const { frames, nodes, strings } = dictionary.lengths;
      const distinct = (count: number, key: (id: number) => string): number =>
        new Set(Array.from({ length: count }, (_, id) => key(id))).size;
      expect(distinct(strings, (id) => dictionary.text(id))).toBe(strings);
      expect(distinct(frames, (id) => frameKeyOf(dictionary, id))).toBe(frames);
      expect(
        distinct(nodes, (id) => `${dictionary.nodeParent[id]}/${dictionary.nodeFrame[id]}`),
      ).toBe(nodes);
      for (let id = 0; id < nodes; id++) expect(dictionary.nodeParent[id]).toBeLessThan(id || 1);
    }),
  );
});

test('a known stack is found by its hash and never walks the tree', () => {
  const dictionary = open();
  const frames = Uint32Array.from([5, 6, 7], (line) =>
    dictionary.internFrame(dictionary.internFunction(1, 0, 0, 0), line, 0, 0, 0, 0, 0, 0),
  );
  const id = dictionary.internStack(frames, 0, 3);
  expect(dictionary.counters).toEqual({ stackHits: 0, stackWalks: 1 });
  for (let i = 0; i < 10; i++) expect(dictionary.internStack(frames, 0, 3)).toBe(id);
  expect(dictionary.counters).toEqual({ stackHits: 10, stackWalks: 1 });
  // The stack above it has its nodes already, but is another stack.
  expect(dictionary.internStack(frames, 0, 2)).toBe(id + 1);
  expect(dictionary.lengths.nodes).toBe(NO_LENGTHS.nodes + 3);
});

test('a new dictionary has the rows that every one is born with', () => {
  const dictionary = open();
  expect(dictionary.lengths).toEqual(NO_LENGTHS);
  expect(dictionary.internText('')).toBe(0);
  expect(dictionary.internText('(damaged)')).toBe(1);
  expect(dictionary.frameName(0)).toBe('(damaged)');
  expect(dictionary.nodeParent[DAMAGED_NODE]).toBe(NO_PARENT);
  // What looks like the damaged frame is another one.
  expect(dictionary.internFrame(NO_FUNCTION, 0, 0, 0, 0, 0, 0, 0)).toBe(1);
});

test('the address of a frame with a function is not kept', () => {
  const dictionary = open();
  const fn = dictionary.internFunction(dictionary.internText('f'), 0, 0, 0);
  const one = dictionary.internFrame(fn, 3, 0, 0, 0, 0x1234, 0, 0);
  expect(dictionary.internFrame(fn, 3, 0, 0, 0, 0x9999, 1, 0)).toBe(one);
  expect(dictionary.frameRow(one)).toMatchObject({ fn, line: 3, addressLow: 0, addressHigh: 0 });
});

test('a frame without symbols is told by build id, else file, and address', () => {
  const dictionary = open();
  const [file, other, build] = ['/bin/a', '/bin/b', 'b1'].map((t) => dictionary.internText(t)) as [
    number,
    number,
    number,
  ];
  const at = (mappingFile: number, buildId: number, low: number): number =>
    dictionary.internFrame(NO_FUNCTION, 9, 9, mappingFile, buildId, low, 2, 1);
  const one = at(file, build, 16);
  expect(at(other, build, 16)).toBe(one);
  expect(at(file, build, 17)).not.toBe(one);
  expect(at(file, 0, 16)).not.toBe(at(other, 0, 16));
  // A file and a build id of the same text are not the same place.
  expect(at(build, 0, 16)).not.toBe(one);
  expect(dictionary.frameName(one)).toBe('/bin/a+0x200000010');
  expect(dictionary.frameName(at(0, build, 16))).toBe('/bin/a+0x200000010');
  expect(dictionary.frameName(at(0, build, 18))).toBe('b1+0x200000012');
  expect(dictionary.frameName(at(0, 0, 18))).toBe('0x200000012');
  expect(dictionary.frameRow(one)).toMatchObject({ line: 0, column: 0, flags: 0 });
});

test('a line that is no u32 is unknown', () => {
  const dictionary = open();
  for (const line of [-1, 2 ** 32, 2 ** 60, Number.NaN]) {
    expect(dictionary.functionRow(dictionary.internFunction(0, 0, 0, line)).startLine).toBe(0);
    const frame = dictionary.internFrame(0, line, line, 0, 0, 0, 0, 0);
    expect(dictionary.frameRow(frame)).toMatchObject({ line: 0, column: 0 });
  }
});

test('a string beyond the limit is cut where a character ends', () => {
  const dictionary = open();
  const bytes = utf8('é'.repeat(40_000));
  const id = dictionary.internBytes(bytes, 0, bytes.byteLength);
  expect(dictionary.textBytes(id).byteLength).toBe(LIMITS.stringBytesKept - 1);
  expect(dictionary.internBytes(bytes, 0, bytes.byteLength)).toBe(id);
});

test('strings of all lengths and near neighbours are told apart', () => {
  const bytes = (): fc.Arbitrary<Uint8Array> =>
    fc.array(fc.constantFrom(0, 1, 0x80, 0xff), { maxLength: 13 }).map((b) => Uint8Array.from(b));
  fc.assert(
    fc.property(fc.array(bytes(), { maxLength: 60 }), (all) => {
      const dictionary = open(3);
      const known = new Map<string, number>([
        ['', 0],
        ['28,64,61,6d,61,67,65,64,29', 1],
      ]);
      for (const one of [...all, ...all.toReversed()]) {
        // Not at the start of its buffer, and with another byte behind.
        const padded = Uint8Array.from([9, ...one, 9]);
        const key = [...one].map((b) => b.toString(16)).join();
        const id = dictionary.internBytes(padded, 1, 1 + one.length);
        expect(id).toBe(known.get(key) ?? known.size);
        known.set(key, id);
        expect([...dictionary.textBytes(id)]).toEqual([...one]);
      }
    }),
  );
});

test('a copy has the rows up to its lengths and goes its own way', () => {
  fc.assert(
    fc.property(steps, steps, (first, second) => {
      const dictionary = filled(first);
      const { lengths } = dictionary;
      const before = contents(dictionary);
      for (const step of second) put(dictionary, step);
      const copy = dictionary.copy(lengths);
      expect(contents(copy)).toEqual(before);
      // Known things are found in it, new ones get the next ids.
      for (const step of first) put(copy, step);
      expect(copy.lengths).toEqual(lengths);
      for (const step of second) expect(put(copy, step)).toBe(put(dictionary, step));
      expect(contents(copy)).toEqual(contents(dictionary));
    }),
  );
});

test('the name tree folds frames to function names and grows with the dictionary', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 3 }), (batches) => {
      const dictionary = open();
      for (const batch of batches) {
        for (const step of batch) put(dictionary, step);
        while (!dictionary.growNameTree(3));
        const before = dictionary.lengths;
        const tree = dictionary.nameTree();
        expect(dictionary.lengths).toEqual(before);
        const paths = new Set<string>();
        for (let id = 0; id < tree.count; id++) {
          expect(tree.parent[id]).toBeLessThan(id || 1);
          paths.add(`${tree.parent[id]}/${tree.name[id]}`);
        }
        expect(paths.size).toBe(tree.count);
        for (let stack = 0; stack < before.stacks; stack++) {
          const names: string[] = [];
          let at = tree.ofStack[stack] as number;
          for (; at >= 0; at = tree.parent[at] as number) {
            names.unshift(dictionary.nameText(tree.name[at] as number));
          }
          expect(names).toEqual(
            nodesOf(dictionary, stack).map((node) =>
              dictionary.frameName(dictionary.nodeFrame[node] as number),
            ),
          );
        }
      }
    }),
  );
});

test('a function without a name is called by its system name, or unknown', () => {
  const dictionary = open();
  const frame = (name: string, systemName: string): string =>
    dictionary.frameName(
      dictionary.internFrame(
        dictionary.internFunction(
          dictionary.internText(name),
          dictionary.internText(systemName),
          0,
          0,
        ),
        0,
        0,
        0,
        0,
        0,
        0,
        0,
      ),
    );
  expect(frame('f', '_Z1f')).toBe('f');
  expect(frame('', '_Z1f')).toBe('_Z1f');
  expect(frame('', '')).toBe('(unknown)');
});

test('memory is counted and grows with what is put in', () => {
  const dictionary = open();
  const empty = dictionary.bytesInMemory;
  expect(empty).toBeLessThan(8_192);
  for (let i = 0; i < 1_000; i++) dictionary.internText(`string number ${i}`);
  expect(dictionary.bytesInMemory).toBeGreaterThan(empty + 20_000);
});
