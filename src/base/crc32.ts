import { crc32 as nativeCrc32 } from 'node:zlib';

/**
 * CRC-32 (ISO-HDLC, as in gzip) of `bytes`, unsigned. `seed` is the CRC of what came before, so
 * that `crc32(b, crc32(a))` is the CRC of a followed by b. Native: about 3 GB/s.
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return nativeCrc32(bytes, seed);
}
