import { constants, deflateRawSync } from 'node:zlib';

const CHUNK_BYTES = 64 << 20;

/** One gzip member of `chunks` times 64 MiB of zeros; its checksum is wrong, which nobody gets to see. */
export function bomb(chunks: number): Uint8Array {
  const zeros = deflateRawSync(new Uint8Array(CHUNK_BYTES), {
    finishFlush: constants.Z_FULL_FLUSH,
  });
  const head = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
  const end = new Uint8Array(10);
  end[0] = 3;
  return Buffer.concat([head, ...Array.from({ length: chunks }, () => zeros), end]);
}

/** `count` times the same member. */
export function members(count: number, member: Uint8Array): Uint8Array {
  return Buffer.concat(Array.from({ length: count }, () => member));
}

/** Without its last bytes. */
export function cut(bytes: Uint8Array, by: number): Uint8Array {
  return bytes.subarray(0, bytes.length - by);
}
