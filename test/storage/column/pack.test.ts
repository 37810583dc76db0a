import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { encodeEntries } from '../../../src/storage/column/encode.ts';
import { EntriesPacker } from '../../../src/storage/column/pack.ts';
import { StackSums } from '../../../src/storage/column/stack-sums.ts';

const UINT32 = 0xffff_ffff;

describe('packed entries', () => {
  test('are byte for byte what encodeEntries writes', () => {
    const packer = new EntriesPacker();
    const id = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: UINT32 }));
    const row = fc.record({
      id,
      ticks: fc.array(fc.oneof(fc.nat(200), fc.integer({ min: 0, max: UINT32 })), {
        minLength: 9,
        maxLength: 9,
      }),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(row, { selector: (one) => one.id, maxLength: 400 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(3),
        fc.nat(3),
        (rows, columns, before, behind) => {
          const sorted = rows.toSorted((a, b) => a.id - b.id);
          const ids = new Uint32Array([
            ...Array.from({ length: before }, () => 7),
            ...sorted.map((one) => one.id),
          ]);
          const stride = sorted.length + behind;
          const flat = new Float64Array(before + stride * columns);
          for (let c = 0; c < columns; c++) {
            for (const [i, { ticks }] of sorted.entries()) {
              flat[before + c * stride + i] = ticks[c] as number;
            }
          }
          const packed = packer.pack(ids, before, sorted.length, flat, before, stride, columns);
          const writer = new ByteWriter();
          encodeEntries(writer, {
            stacks: ids.slice(before),
            ticks: Array.from({ length: columns }, (_, c) =>
              Float64Array.from(sorted, ({ ticks }) => ticks[c] as number),
            ),
          });
          expect(packed.columns).toBe(columns);
          expect(packed.bytes.subarray(packed.at, packed.end)).toEqual(writer.finish());
        },
      ),
    );
  });

  test('of sums are those of the entries that were summed, without zeros', () => {
    const packer = new EntriesPacker();
    const sums = new StackSums();
    const tick = fc.oneof(fc.nat(3), fc.nat(20_000), fc.constant(2 ** 31 - 1));
    const rows = fc.array(fc.tuple(fc.oneof(fc.nat(50), fc.nat(20_000)), tick), { maxLength: 80 });
    fc.assert(
      fc.property(rows, (list) => {
        const ids = Uint32Array.from(list, ([id]) => id);
        const ticks = Float64Array.from(list, ([, one]) => one);
        const expected = new Map<number, number>();
        for (const [id, one] of list) expected.set(id, (expected.get(id) ?? 0) + one);
        fc.pre([...expected.values()].every((sum) => sum <= UINT32));
        sums.add(ids, 0, ids.length, 20_001, ticks, ids.length, 1);
        expect(sums.canDrain).toBe(true);
        const packed = packer.packSums(sums);
        const kept = [...expected].filter(([, sum]) => sum > 0).toSorted(([a], [b]) => a - b);
        const writer = new ByteWriter();
        encodeEntries(writer, {
          stacks: Uint32Array.from(kept, ([id]) => id),
          ticks: [Float64Array.from(kept, ([, sum]) => sum)],
        });
        expect(packed.bytes.subarray(packed.at, packed.end)).toEqual(writer.finish());
        expect(sums.drained.count).toBe(kept.length);
        expect(sums.take(1, 'kept')).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test('stay as they are when more is packed', () => {
    const packer = new EntriesPacker();
    const count = 5_000;
    const pack = (first: number): ReturnType<EntriesPacker['pack']> => {
      const ids = Uint32Array.from({ length: count }, (_, i) => first + i);
      return packer.pack(ids, 0, count, new Float64Array(count).fill(first), 0, count, 1);
    };
    const all = Array.from({ length: 40 }, (_, i) => ({ packed: pack(i), copy: pack(i) }));
    for (const { packed, copy } of all) {
      const bytes = packed.bytes.subarray(packed.at, packed.end);
      expect(Buffer.compare(bytes, copy.bytes.subarray(copy.at, copy.end))).toBe(0);
    }
  });

  test('refuse what is out of order or no tick', () => {
    const packer = new EntriesPacker();
    const pack = (ids: number[], ticks: number[]) => () =>
      packer.pack(Uint32Array.from(ids), 0, ids.length, Float64Array.from(ticks), 0, ids.length, 1);
    expect(pack([2, 2], [1, 1])).toThrow('ascend');
    expect(pack([3, 2], [1, 1])).toThrow('ascend');
    for (const tick of [-1, 0.5, 2 ** 32, Number.NaN]) {
      expect(pack([1], [tick])).toThrow('a tick');
    }
  });
});
