import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TephraError } from '../../../src/base/errors.ts';
import { decodeEntries } from '../../../src/storage/column/decode.ts';
import { entries, plain } from '../arbitraries.ts';
import { encoded, entriesOf } from '../fixtures.ts';

const anyEntries = fc.nat(10).chain((columns) => entries(2 ** 32, columns));

test('entries come back as they went in, numbers where all ticks are below 2^53', () => {
  fc.assert(
    fc.property(anyEntries, fc.nat(5), (given, offset) => {
      const bytes = new Uint8Array([...new Uint8Array(offset), ...encoded(given)]);
      const back = decodeEntries(bytes, offset, bytes.byteLength);
      expect(back.stacks).toEqual(given.stacks);
      expect(back.ticks).toEqual(given.ticks);
    }),
  );
});

test('damaged entries throw a coded error or decode to well-formed entries', () => {
  fc.assert(
    fc.property(
      entries(1000, 2),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.nat(),
      (given, place, flip, cut) => {
        const bytes = encoded(given);
        const at = place % bytes.byteLength;
        bytes[at] = (bytes[at] as number) ^ flip;
        const size = cut % 3 === 0 ? cut % bytes.byteLength : bytes.byteLength;
        try {
          const back = decodeEntries(bytes.subarray(0, size), 0, size);
          expect([...plain(back).keys()]).toEqual([...back.stacks].toSorted((a, b) => a - b));
          for (const ticks of back.ticks) expect(ticks).toHaveLength(back.stacks.length);
        } catch (thrown) {
          if (!(thrown instanceof TephraError)) throw thrown;
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('every proper prefix of entries is refused', () => {
  const bytes = encoded(entriesOf([1, 200, 70_000], [5, 6, 7], [1, 2 ** 33, 300]));
  for (let size = 0; size < bytes.byteLength; size++) {
    expect(() => decodeEntries(bytes, 0, size)).toThrow(TephraError);
  }
});

test('another layout tag is a newer format', () => {
  const bytes = encoded(entriesOf([1], [1]));
  bytes[0] = 2;
  expect(() => decodeEntries(bytes, 0, bytes.byteLength)).toThrow(/^unknown_format_version/);
});

test('counts and column counts beyond the bytes are refused before anything is allocated', () => {
  const huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
  for (const bytes of [
    Uint8Array.of(1, ...huge, 0, 0),
    Uint8Array.of(1, 0, ...huge, 0),
    Uint8Array.of(1, 0, 0, ...huge),
  ]) {
    expect(() => decodeEntries(bytes, 0, bytes.byteLength)).toThrow(/^corrupt_block/);
  }
});

test('stacks that do not ascend are a bug of the writer', () => {
  expect(() => encoded(entriesOf([2, 2], [1, 1]))).toThrow(/ascend/);
  expect(() => encoded(entriesOf([2], [1, 1]))).toThrow(/parallel/);
  expect(() => encoded(entriesOf([2], [-1]))).toThrow(/negative/);
  expect(() => encoded(entriesOf([2], [0.5]))).toThrow(/whole/);
});
