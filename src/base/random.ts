import { randomBytes } from 'node:crypto';

/** Randomness as an argument, so that a failing history is a seed. */
export interface Random {
  /** A whole number in [0, 2^32). */
  u32(): number;
  /** `size` fresh bytes. */
  bytes(size: number): Uint8Array;
}

/** Cryptographic randomness of the machine. */
export const systemRandom: Random = {
  u32: () => randomBytes(4).readUInt32LE(0),
  bytes: (size) => new Uint8Array(randomBytes(size)),
};

/** A small seeded generator (xorshift32 over a mixed seed): repeatable, not secret. */
export function seededRandom(seed: number): Random {
  let state = (Math.imul(seed, 2654435761) + 0x9e3779b9) >>> 0 || 1;
  const u32 = (): number => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
  for (let i = 0; i < 8; i++) u32();
  return {
    u32,
    bytes: (size) => Uint8Array.from({ length: size }, () => u32() & 0xff),
  };
}

/** Lower-case hexadecimal name of `size` random bytes. */
export function randomName(random: Random, size = 8): string {
  return Buffer.from(random.bytes(size)).toString('hex');
}
