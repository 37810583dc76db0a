import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LIMITS } from '../../../src/base/limits.ts';
import {
  addAbsorbed,
  addAbsorbedSeqs,
  containsSeq,
  type Interval,
  isAbsorbed,
} from '../../../src/storage/root/absorbed.ts';
import { decodeRoot } from '../../../src/storage/root/decode.ts';
import { emptyRoot, encodeRoot, type PartitionRoot } from '../../../src/storage/root/encode.ts';
import { attack } from '../arbitraries.ts';
import { EMPTY_ROOT, ROOT } from '../fixtures.ts';

const id = fc
  .uint8Array({ minLength: 1, maxLength: 16 })
  .map((b) => Buffer.from(b).toString('hex'));
const hours = fc.uniqueArray(fc.nat(23)).map((list) => list.toSorted((a, b) => a - b));
const interval: fc.Arbitrary<Interval> = fc
  .tuple(fc.nat(60), fc.nat(9))
  .map(([from, n]) => [from, from + n]);

const root: fc.Arbitrary<PartitionRoot> = fc.record({
  gen: fc.maxSafeNat(),
  commit: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  absorbed: fc.array(fc.tuple(fc.nat(5), fc.array(interval))).map((list) => {
    let absorbed: PartitionRoot['absorbed'] = new Map();
    for (const [incarnation, intervals] of list) {
      absorbed = addAbsorbed(absorbed, incarnation, intervals);
    }
    return absorbed;
  }),
  blocks: fc.array(fc.record({ id, bytes: fc.maxSafeNat(), hours, rolled: fc.boolean() })),
  segments: fc.array(fc.record({ id, bytes: fc.nat() })),
  roll: fc.nat(),
  rolledBy: fc.array(fc.nat(), { minLength: 24, maxLength: 24 }),
  outbox: fc.array(fc.record({ roll: fc.nat(), id })),
  trash: fc.array(fc.record({ id, sinceMs: fc.maxSafeNat() })),
  tombstones: fc.array(fc.uint8Array()),
  dropped: fc.boolean(),
});

test('a root comes back as it went in', () => {
  fc.assert(
    fc.property(root, (given) => {
      expect(decodeRoot(encodeRoot(given))).toEqual(given);
    }),
  );
  expect(decodeRoot(encodeRoot(ROOT))).toEqual(ROOT);
  expect(decodeRoot(encodeRoot(EMPTY_ROOT))).toEqual(EMPTY_ROOT);
});

test('every cut and every flipped bit is refused, never decoded to something else', () => {
  attack(encodeRoot(ROOT), decodeRoot);
});

test('a root beyond its limit is a bug of the writer', () => {
  const tombstones = [new Uint8Array(LIMITS.rootBytesMax)];
  expect(() => encodeRoot({ ...emptyRoot(), tombstones })).toThrow(/a root of/);
});

test('absorbed intervals hold exactly the sequences that were added, disjoint and apart', () => {
  fc.assert(
    fc.property(fc.array(fc.array(interval)), (batches) => {
      let absorbed: PartitionRoot['absorbed'] = new Map();
      const seqs = new Set<number>();
      for (const batch of batches) {
        const before = new Map(absorbed);
        const next = addAbsorbed(absorbed, 3, batch);
        expect(absorbed).toEqual(before);
        absorbed = next;
        for (const [from, to] of batch) for (let seq = from; seq <= to; seq++) seqs.add(seq);
      }
      for (let seq = 0; seq < 80; seq++) {
        expect(isAbsorbed({ absorbed }, 3, seq)).toBe(seqs.has(seq));
        expect(isAbsorbed({ absorbed }, 4, seq)).toBe(false);
      }
      const intervals = absorbed.get(3) ?? [];
      for (const [i, [from, to]] of intervals.entries()) {
        expect(from <= to).toBe(true);
        if (i > 0) expect(from > (intervals[i - 1]?.[1] ?? 0) + 1).toBe(true);
      }
      expect(addAbsorbedSeqs(new Map(), 3, seqs).get(3) ?? []).toEqual(intervals);
    }),
  );
});

test('no sequence lies in no intervals', () => {
  expect(containsSeq([], 1)).toBe(false);
});
