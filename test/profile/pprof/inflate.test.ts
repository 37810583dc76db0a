import { describe, expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import { TephraError } from '../../../src/base/errors.ts';
import { inflatePayload } from '../../../src/profile/pprof/inflate.ts';

const MAX = 1 << 20;
const text = (size: number): Buffer => Buffer.alloc(size, 'tephra ');

function reasonOf(bytes: Uint8Array, maxBytes = MAX): string {
  try {
    inflatePayload(bytes, maxBytes);
  } catch (thrown) {
    return TephraError.from(thrown).message;
  }
  return 'accepted';
}

describe('a payload', () => {
  test('that is not gzip comes back as it is, without a copy', () => {
    const bytes = new Uint8Array([0x0a, 0x00]);
    expect(inflatePayload(bytes, MAX)).toBe(bytes);
    expect(inflatePayload(new Uint8Array(0), MAX)).toHaveLength(0);
  });

  test.each([1, 100, 4_095, 4_096, 4_097, 70_000, MAX])(
    'of %i bytes in gzip is inflated',
    (size) => {
      const inflated = inflatePayload(gzipSync(text(size)), MAX);
      expect(Buffer.compare(inflated, text(size))).toBe(0);
      expect(inflated.constructor).toBe(Uint8Array);
    },
  );

  test('of several members is their concatenation', () => {
    const members = Buffer.concat([
      gzipSync(text(5_000)),
      gzipSync(text(3)),
      gzipSync(text(9_000)),
    ]);
    const expected = Buffer.concat([text(5_000), text(3), text(9_000)]);
    expect(Buffer.compare(inflatePayload(members, MAX), expected)).toBe(0);
  });

  test('in two layers is inflated, and a third is refused', () => {
    const twice = gzipSync(gzipSync(text(100)));
    expect(Buffer.compare(inflatePayload(twice, MAX), text(100))).toBe(0);
    expect(reasonOf(gzipSync(twice))).toMatch(/^nested_compression/);
  });

  test('whose trailer lies about the size is inflated all the same', () => {
    const members = Buffer.concat([gzipSync(text(90_000)), gzipSync(text(1))]);
    expect(inflatePayload(members, MAX)).toHaveLength(90_001);
    const lying = gzipSync(text(10));
    lying.writeUInt32LE(0xffff_ffff, lying.length - 4);
    expect(reasonOf(lying)).toMatch(/^malformed_gzip/);
  });

  test.each<[string, Uint8Array]>([
    ['not in gzip', text(MAX + 1)],
    ['in gzip', gzipSync(text(MAX + 1))],
    [
      'in a thousand members',
      Buffer.concat(Array.from({ length: 1_000 }, () => gzipSync(text(1_100)))),
    ],
    [
      'over both layers together',
      gzipSync(Buffer.concat([gzipSync(text(10), { level: 0 }), gzipSync(text(MAX - 10))])),
    ],
    ['of zeros', gzipSync(Buffer.alloc(64 << 20))],
  ])('beyond the limit %s is refused', (_, bytes) => {
    expect(reasonOf(bytes)).toMatch(/^decompressed_size: more than 1048576 bytes/);
  });

  test('cut at any byte is refused as truncated or damaged', () => {
    const whole = gzipSync(text(200));
    for (let end = 2; end < whole.length; end++) {
      expect(reasonOf(whole.subarray(0, end))).toMatch(/^malformed_gzip/);
    }
    expect(reasonOf(whole.subarray(0, whole.length - 3))).toBe('malformed_gzip: truncated');
  });

  test('with a wrong checksum, or something behind it, is refused', () => {
    const wrong = gzipSync(text(200));
    wrong.writeUInt32LE(1, wrong.length - 8);
    expect(reasonOf(wrong)).toMatch(/^malformed_gzip/);
    expect(reasonOf(Buffer.concat([gzipSync(text(200)), Buffer.from('rest')]))).toMatch(
      /^malformed_gzip/,
    );
  });
});
