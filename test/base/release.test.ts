import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { release } from '../../src/base/release.ts';

/** Bytes of buffers that this process holds. */
function held(): number {
  return process.memoryUsage().arrayBuffers;
}

describe('release', () => {
  test('frees a buffer at once, without a collection', () => {
    const size = 64 * 1024 * 1024;
    const before = held();
    const bytes = new Uint8Array(size);
    expect(held() - before).toBeGreaterThan(size / 2);
    release(bytes);
    expect(held() - before).toBeLessThan(size / 2);
    expect(bytes).toHaveLength(0);
    // Of what is empty nothing is left to free.
    release(bytes);
  });

  test('what zlib gives is freed, though its buffer is longer', () => {
    const output = gunzipSync(gzipSync(Buffer.alloc(100_000, 7)), { chunkSize: 100_001 });
    release(new Uint8Array(output.buffer, output.byteOffset, output.byteLength));
    expect(output).toHaveLength(0);
  });

  test('leaves small buffers alone, and the pool that others share', () => {
    const pooled = Buffer.from('shared');
    const neighbour = Buffer.from('kept');
    const small = new Uint8Array(100).fill(1);
    release(pooled);
    release(small);
    expect([pooled.toString(), neighbour.toString()]).toEqual(['shared', 'kept']);
    expect(small).toHaveLength(100);
  });
});
