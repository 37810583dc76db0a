import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TephraError } from '../../../src/base/errors.ts';
import type { Dictionary } from '../../../src/storage/dictionary/dictionary.ts';
import { NO_LENGTHS, type TableLengths } from '../../../src/storage/dictionary/lengths.ts';
import { mergeSlices } from '../../../src/storage/dictionary/merge-slices.ts';
import {
  DAMAGED_FRAME,
  DAMAGED_NODE,
  FRAME_DAMAGED,
} from '../../../src/storage/dictionary/rows.ts';
import { ScopeMap } from '../../../src/storage/dictionary/scope-map.ts';
import { contents, open, put, stackKeyOf, type Step, steps } from './model.ts';

interface Slice {
  readonly from: TableLengths;
  readonly to: TableLengths;
  readonly slice: Uint8Array;
}

/** Puts batches into a dictionary and takes a slice after each. */
function sliced(batches: readonly (readonly Step[])[]): {
  dictionary: Dictionary;
  slices: Slice[];
} {
  const dictionary = open();
  const slices = batches.map((batch): Slice => {
    const from = dictionary.lengths;
    for (const step of batch) put(dictionary, step);
    const to = dictionary.lengths;
    return { from, to, slice: dictionary.encodeSlice(from, to) };
  });
  return { dictionary, slices };
}

const batches = fc.array(steps, { maxLength: 4 });

/** Runs `decode`; damage is fine, and so is an answer (slices have no checksum of their own). */
function damageOrAnswer(decode: () => void): void {
  try {
    decode();
  } catch (thrown) {
    if (!(thrown instanceof TephraError) || thrown.reason !== 'corrupt_block') throw thrown;
  }
}

test('appended slices give the same dictionary, and it goes on as the first would', () => {
  fc.assert(
    fc.property(batches, steps, (all, more) => {
      const { dictionary, slices } = sliced(all);
      const loaded = open();
      for (const { slice, from, to } of slices) loaded.append(slice, from, to);
      expect(contents(loaded)).toEqual(contents(dictionary));
      for (const step of [...all.flat(), ...more]) {
        expect(put(loaded, step)).toBe(put(dictionary, step));
      }
      expect(contents(loaded)).toEqual(contents(dictionary));
    }),
  );
});

test('appending to a dictionary that was searched before finds the new rows', () => {
  fc.assert(
    fc.property(batches, (all) => {
      const { dictionary, slices } = sliced(all);
      const loaded = open();
      for (const [i, { slice, from, to }] of slices.entries()) {
        loaded.append(slice, from, to);
        for (const step of all[i] ?? []) expect(put(loaded, step)).toBe(put(dictionary, step));
        expect(loaded.lengths).toEqual(to);
      }
    }),
  );
});

test('a large tree with few new stacks is indexed by walking them', () => {
  const { dictionary, slices } = sliced([[{ series: { labels: [], type: 'cpu' } }], []]);
  expect(slices).toHaveLength(2);
  const chain = Uint32Array.from({ length: 400 }, (_, line) =>
    dictionary.internFrame(dictionary.internFunction(1, 0, 0, 0), line, 0, 0, 0, 0, 0, 0),
  );
  dictionary.internStack(chain, 0, 400);
  const before = dictionary.lengths;
  const loaded = dictionary.copy(before);
  loaded.internStack(chain, 0, 400);
  const added = dictionary.internStack(chain, 0, 399);
  loaded.append(dictionary.encodeSlice(before, dictionary.lengths), before, dictionary.lengths);
  expect(loaded.internStack(chain, 0, 399)).toBe(added);
  expect(loaded.counters).toEqual({ stackHits: 2, stackWalks: 0 });
});

test('merged slices are one slice with the same rows', () => {
  fc.assert(
    fc.property(batches, (all) => {
      const { dictionary, slices } = sliced(all);
      const loaded = open();
      const to = slices.at(-1)?.to ?? NO_LENGTHS;
      loaded.append(mergeSlices(slices), NO_LENGTHS, to);
      expect(contents(loaded)).toEqual(contents(dictionary));
      expect(mergeSlices(slices)).toEqual(dictionary.encodeSlice(NO_LENGTHS, to));
    }),
  );
});

test('foreign slices are mapped by content, in any interleaving with own rows', () => {
  fc.assert(
    fc.property(steps, batches, batches, (shared, foreign, own) => {
      const canonical = open();
      for (const step of shared) put(canonical, step);
      const seed = canonical.lengths;
      const writer = canonical.copy(seed);
      const map = new ScopeMap(seed);
      expect(map.mapped).toEqual(seed);
      for (const [i, batch] of foreign.entries()) {
        const from = writer.lengths;
        for (const step of batch) put(writer, step);
        const to = writer.lengths;
        for (const step of own[i] ?? []) put(canonical, step);
        canonical.mapSlice(writer.encodeSlice(from, to), from, to, map);
        expect(map.mapped).toEqual(to);
      }
      for (let stack = 0; stack < writer.lengths.stacks; stack++) {
        expect(stackKeyOf(canonical, map.stack(stack))).toBe(stackKeyOf(writer, stack));
      }
      for (let series = 0; series < writer.lengths.series; series++) {
        expect(canonical.seriesRow(map.series(series))).toEqual(writer.seriesRow(series));
      }
      // Nothing was added twice.
      const { lengths } = canonical;
      for (const step of [...foreign.flat(), ...own.slice(0, foreign.length).flat()]) {
        put(canonical, step);
      }
      expect(canonical.lengths).toEqual(lengths);
    }),
  );
});

test('the map is the identity while nobody else adds rows', () => {
  fc.assert(
    fc.property(steps, batches, (shared, batchesOfWriter) => {
      const canonical = open();
      for (const step of shared) put(canonical, step);
      const writer = canonical.copy(canonical.lengths);
      const map = new ScopeMap(canonical.lengths);
      for (const batch of batchesOfWriter) {
        const from = writer.lengths;
        for (const step of batch) put(writer, step);
        canonical.mapSlice(writer.encodeSlice(from, writer.lengths), from, writer.lengths, map);
      }
      expect(map.isIdentity).toBe(true);
      expect(contents(canonical)).toEqual(contents(writer));
    }),
  );
});

test('damaged slices keep the ids behind them, and their stacks say so', () => {
  fc.assert(
    fc.property(batches, fc.nat(), (all, pick) => {
      fc.pre(all.length > 0);
      const { dictionary, slices } = sliced(all);
      const damaged = pick % slices.length;
      const loaded = open();
      for (const [i, { slice, from, to }] of slices.entries()) {
        if (i === damaged) loaded.appendDamaged(from, to);
        else loaded.append(slice, from, to);
      }
      expect(loaded.lengths).toEqual(dictionary.lengths);
      const { from, to } = slices[damaged] as Slice;
      for (let stack = from.stacks; stack < to.stacks; stack++) {
        expect(loaded.stackNode[stack]).toBe(DAMAGED_NODE);
        expect(stackKeyOf(loaded, stack)).toBe('["(damaged)"]');
      }
      for (let series = from.series; series < to.series; series++) {
        expect(loaded.seriesRow(series).labels).toEqual([]);
      }
      for (let frame = from.frames; frame < to.frames; frame++) {
        expect(loaded.frameName(frame)).toBe('(damaged)');
      }
      // Every stack resolves, it can be written to, and it is stored and read as it is.
      const { ofStack, count } = loaded.nameTree();
      for (const node of ofStack.subarray(0, loaded.lengths.stacks)) {
        expect(node).toBeLessThan(count);
      }
      for (const step of all.flat()) {
        const id = put(loaded, step);
        if ('stack' in step) expect(stackKeyOf(loaded, id)).not.toContain('"(damaged)"]');
      }
      const again = open();
      again.append(loaded.encodeSlice(NO_LENGTHS, loaded.lengths), NO_LENGTHS, loaded.lengths);
      expect(contents(again)).toEqual(contents(loaded));
    }),
  );
});

test('a damaged foreign slice maps to the damaged rows', () => {
  const { dictionary, slices } = sliced([
    [{ stack: [plain('a'), plain('b')] }],
    [{ stack: [plain('a'), plain('c')] }],
  ]);
  const canonical = open();
  put(canonical, { stack: [plain('z')] });
  const map = new ScopeMap(NO_LENGTHS);
  const [first, second] = slices as [Slice, Slice];
  canonical.mapSlice(first.slice, first.from, first.to, map);
  canonical.mapDamaged(second.from, second.to, map);
  expect(map.isIdentity).toBe(false);
  expect(stackKeyOf(canonical, map.stack(0))).toBe(stackKeyOf(dictionary, 0));
  expect(canonical.stackNode[map.stack(1)]).toBe(DAMAGED_NODE);
  expect(map.frame(second.to.frames - 1)).toBe(DAMAGED_FRAME);
  expect(canonical.frameRow(DAMAGED_FRAME).flags).toBe(FRAME_DAMAGED);
});

test('a slice that does not follow is refused and changes nothing', () => {
  const { dictionary, slices } = sliced([[{ stack: [plain('a')] }], [{ stack: [plain('b')] }]]);
  const [, second] = slices as [Slice, Slice];
  const loaded = open();
  expect(() => loaded.append(second.slice, second.from, second.to)).toThrow('corrupt_block');
  expect(() => loaded.appendDamaged(second.from, second.to)).toThrow('corrupt_block');
  expect(loaded.lengths).toEqual(NO_LENGTHS);
  expect(dictionary.lengths).toEqual(second.to);
});

test.each(['plain', 'deflated'])(
  'a %s slice that is cut or flipped is damage or another slice, never a crash',
  (kind) => {
    const names =
      kind === 'plain' ? ['a', 'b'] : Array.from({ length: 24 }, (_, i) => `function ${i}`);
    const { slices } = sliced([
      [],
      [
        { stack: [...names.map(plain), { ...plain('x'), fn: undefined }] },
        { stack: names.map(plain) },
        { series: { labels: [['a', 'b']], type: 'cpu' } },
      ],
    ]);
    const { from, to, slice } = (slices as [Slice, Slice])[1];
    expect(slice[0]).toBe(kind === 'plain' ? 0 : 1);
    const decode = (bytes: Uint8Array): Dictionary => {
      const loaded = open();
      try {
        loaded.append(bytes, from, to);
      } catch (thrown) {
        expect(loaded.lengths).toEqual(NO_LENGTHS);
        throw thrown;
      }
      return loaded;
    };
    for (let size = 0; size < slice.byteLength; size++) {
      expect(() => decode(slice.slice(0, size))).toThrow('corrupt_block');
    }
    expect(() => decode(Uint8Array.from([...slice, 0]))).toThrow('corrupt_block');
    for (let bit = 0; bit < slice.byteLength * 8; bit++) {
      const flipped = slice.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      damageOrAnswer(() => {
        const loaded = decode(flipped);
        // What decodes refers only to what is there: everything can be read and searched.
        contents(loaded);
        loaded.nameTree();
        put(loaded, { stack: [plain('a'), plain('new')] });
      });
    }
  },
);

test('lengths that the bytes cannot hold are refused before memory is taken', () => {
  const { slices } = sliced([[{ stack: [plain('a')] }]]);
  const { from, to, slice } = (slices as [Slice])[0];
  for (const table of Object.keys(to) as (keyof TableLengths)[]) {
    for (const rows of [to[table] - 1, to[table] + 1, 2 ** 31 - 1]) {
      expect(() => open().append(slice, from, { ...to, [table]: rows })).toThrow('corrupt_block');
    }
  }
});

function plain(name: string): Extract<Step, { stack: unknown }>['stack'][number] {
  return {
    fn: { name, systemName: '', file: `${name}.go`, startLine: 1 },
    line: 2,
    column: 0,
    mappingFile: '/bin/app',
    buildId: '',
    address: [5, 0],
    inlined: false,
  };
}
