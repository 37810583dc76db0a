import { expect, test } from '@jest/globals';
import { SpareBuffers } from '../../../src/server/stream/spare-buffers.ts';

const KIB = 1024;

test('a large buffer that was given back is taken again, a small one is not kept', () => {
  const spare = new SpareBuffers(512 * KIB);
  const large = spare.take(100 * KIB);
  expect(large.byteLength).toBe(128 * KIB);
  spare.give(large);
  spare.give(spare.take(10));
  expect(spare.bytes).toBe(128 * KIB);
  expect(spare.take(60 * KIB)).not.toBe(large);
  expect(spare.take(120 * KIB)).toBe(large);
  expect(spare.bytes).toBe(0);
});

test('no more is kept than the bound: the oldest go, and what is larger than all of it', () => {
  const spare = new SpareBuffers(256 * KIB);
  const [first, ...others] = Array.from({ length: 3 }, () => spare.take(128 * KIB));
  for (const one of [first, ...others]) spare.give(one as Uint8Array);
  spare.give(spare.take(512 * KIB));
  expect(spare.bytes).toBe(256 * KIB);
  expect([spare.take(128 * KIB), spare.take(128 * KIB)]).toEqual(others);
  expect(spare.take(128 * KIB)).not.toBe(first);
});
