import { constants, deflateRawSync } from 'node:zlib';

/** So flushed, it may stand behind itself: compressing all that it becomes takes long. */
const MEBIBYTE = deflateRawSync(new Uint8Array(1 << 20), { finishFlush: constants.Z_FULL_FLUSH });

/** One gzip member of so many MiB of zeros; its checksum is wrong, which nobody gets to see. */
export function bomb(mebibytes: number): Uint8Array {
  const head = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
  const end = new Uint8Array(10);
  end[0] = 3;
  return Buffer.concat([head, ...Array.from({ length: mebibytes }, () => MEBIBYTE), end]);
}

/** `count` times the same member. */
export function members(count: number, member: Uint8Array): Uint8Array {
  return Buffer.concat(Array.from({ length: count }, () => member));
}

/** Without its last bytes. */
export function cut(bytes: Uint8Array, by: number): Uint8Array {
  return bytes.subarray(0, bytes.length - by);
}
