import { TephraError } from '../../src/base/errors.ts';
import { seededRandom, type Random } from '../../src/base/random.ts';
import type { Target } from './targets.ts';
import { wireMutant } from './wire-mutant.ts';

/** What a run found. */
export interface Outcome {
  readonly accepted: number;
  /** Refusals by reason. */
  readonly refused: ReadonlyMap<string, number>;
  /** The longest execution, ms. */
  readonly slowestMs: number;
}

/** An input that a target neither read nor refused, or took too long for. */
class Finding extends Error {
  readonly input: Uint8Array;

  constructor(input: Uint8Array, why: string, options?: ErrorOptions) {
    super(`${why}; input (base64): ${Buffer.from(input).toString('base64')}`, options);
    this.input = input;
  }
}

/** Longest input. */
const INPUT_MAX = 4_096;

/** Bytes that decoders treat in a special way. */
const SPECIAL = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x1f, 0x8b, 0x0a, 0x22, 0x7b, 0x7d];

/**
 * Runs a target on mutants. Inputs that it accepts, or refuses for a reason that is new, become seeds:
 * that leads further in than the seeds alone. The same seed gives the same inputs.
 */
export function fuzz(
  target: Target,
  options: { executions: number; seed: number; slowMs: number },
): Outcome {
  const random = seededRandom(options.seed);
  const pool: Uint8Array[] = target.seeds.map((seed) => seed.slice(0, INPUT_MAX * 4));
  const fixed = pool.length;
  const refused = new Map<string, number>();
  let accepted = 0;
  let slowestMs = 0;
  for (let i = 0; i < options.executions; i++) {
    const input = i < fixed ? (pool[i] as Uint8Array) : mutant(pool, target, random);
    const { reason, tookMs } = timed(target, input, options.slowMs);
    slowestMs = Math.max(slowestMs, tookMs);
    if (reason === undefined) accepted++;
    else refused.set(reason, (refused.get(reason) ?? 0) + 1);
    const isNew = reason === undefined ? pick(random, 50) === 0 : refused.get(reason) === 1;
    if (!isNew || input.byteLength > INPUT_MAX) continue;
    if (pool.length < 200) pool.push(input);
    else pool[fixed + pick(random, pool.length - fixed)] = input;
  }
  return { accepted, refused, slowestMs };
}

/** Tries of an input that seems slow: a busy machine or a garbage collection is not the input's fault. */
const SLOW_TRIES = 4;

function timed(
  target: Target,
  input: Uint8Array,
  slowMs: number,
): { reason: string | undefined; tookMs: number } {
  let tookMs = 0;
  for (let tries = 0; tries < SLOW_TRIES; tries++) {
    const startedMs = performance.now();
    const reason = execute(target, input);
    tookMs = performance.now() - startedMs;
    if (tookMs <= slowMs) return { reason, tookMs };
  }
  throw new Finding(input, `took ${tookMs.toFixed(0)} ms`);
}

function execute(target: Target, input: Uint8Array): string | undefined {
  try {
    // A copy of its own: a read beyond the end must not find other bytes.
    target.run(input.slice());
    return undefined;
  } catch (thrown) {
    if (thrown instanceof TephraError && thrown.reason !== 'internal') return thrown.reason;
    throw new Finding(input, `threw ${String(thrown)}`, { cause: thrown });
  }
}

function mutant(
  pool: readonly Uint8Array[],
  { seeds, shape, words }: Target,
  random: Random,
): Uint8Array {
  if (shape !== undefined && pick(random, 4) > 0) {
    // Of a message that may lack every field the pool comes to hold little else than empty ones.
    const from = pick(random, 4) > 0 ? seeds : pool;
    return wireMutant(from, shape, words, random);
  }
  let bytes: Uint8Array = pool[pick(random, pool.length)] as Uint8Array;
  for (let steps = 1 + pick(random, 4); steps > 0; steps--) {
    bytes = changed(bytes, pool, words, random);
  }
  return bytes;
}

function changed(
  bytes: Uint8Array,
  pool: readonly Uint8Array[],
  words: readonly string[],
  random: Random,
): Uint8Array {
  const at = pick(random, bytes.byteLength + 1);
  switch (pick(random, 8)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + pick(random, 8)));
    case 2:
      return joined(bytes.subarray(0, at), bytes.subarray(pick(random, at + 1)));
    case 3: {
      const other = pool[pick(random, pool.length)] as Uint8Array;
      return joined(bytes.subarray(0, at), other.subarray(pick(random, other.byteLength + 1)));
    }
    case 4: {
      const word = words[pick(random, Math.max(1, words.length))] ?? '\u0080';
      return joined(bytes.subarray(0, at), Buffer.from(word), bytes.subarray(at));
    }
    case 5: {
      const value = SPECIAL[pick(random, SPECIAL.length)] as number;
      return joined(bytes.subarray(0, at), Uint8Array.of(value), bytes.subarray(at));
    }
    case 6: {
      const copy = bytes.slice();
      if (copy.byteLength > 0) copy[pick(random, copy.byteLength)] = random.u32() & 0xff;
      return copy;
    }
    default: {
      const copy = bytes.slice();
      if (copy.byteLength > 0) {
        const place = pick(random, copy.byteLength);
        copy[place] = (copy[place] as number) ^ (1 << pick(random, 8));
      }
      return copy;
    }
  }
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function pick(random: Random, count: number): number {
  return random.u32() % count;
}
