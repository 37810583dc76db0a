import type { Random } from '../../base/random.ts';

/**
 * The secret of a dictionary's hash tables, drawn once per dictionary so that nobody can prepare
 * texts or stacks that collide. Hashes are never stored.
 *
 * A step of a lane is `lane = imul(lane ^ word, multiplier); lane ^= lane >>> 15`; the second lane
 * adds instead and shifts by 13, so that the two fail on different inputs.
 */
export interface Hashing {
  readonly startLow: number;
  readonly startHigh: number;
  /** Odd. */
  readonly multiplierLow: number;
  /** Odd. */
  readonly multiplierHigh: number;
  /** Tables look only at these bits of a hash; all ones but in tests that force collisions. */
  readonly slotBits: number;
}

/** Draws a secret. */
export function drawHashing(random: Random, slotBits = -1): Hashing {
  return {
    startLow: random.u32() | 0,
    startHigh: random.u32() | 0,
    multiplierLow: 0x9e3779b1 ^ (random.u32() & 0x0fff_fffe),
    multiplierHigh: 0x85ebca6b ^ (random.u32() & 0x0fff_fffe),
    slotBits,
  };
}

/** Hash of two words. */
export function hashPair(hashing: Hashing, a: number, b: number): number {
  let h = Math.imul(hashing.startLow ^ a, hashing.multiplierLow);
  h ^= h >>> 15;
  h = Math.imul(h ^ b, hashing.multiplierHigh);
  return h ^ (h >>> 15);
}

/** Hash of four words. */
export function hashFour(hashing: Hashing, a: number, b: number, c: number, d: number): number {
  let h = Math.imul(hashing.startLow ^ a, hashing.multiplierLow);
  h ^= h >>> 15;
  h = Math.imul(h ^ b, hashing.multiplierHigh);
  h ^= h >>> 15;
  h = Math.imul(h ^ c, hashing.multiplierLow);
  h ^= h >>> 15;
  h = Math.imul(h ^ d, hashing.multiplierHigh);
  return h ^ (h >>> 15);
}
