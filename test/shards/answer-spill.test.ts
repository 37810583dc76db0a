import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { TephraError } from '../../src/base/errors.ts';
import { LIMITS } from '../../src/base/limits.ts';
import { createPause } from '../../src/base/slice.ts';
import { atOnce, type Steps } from '../../src/base/steps.ts';
import { parseProfileType } from '../../src/profile/profile-type.ts';
import { encodeDiff } from '../../src/query/encode/diff.ts';
import { encodeFlameGraph } from '../../src/query/encode/flame-graph.ts';
import { encodePprof } from '../../src/query/encode/pprof.ts';
import {
  type EncodedMessage,
  type Overflow,
  ProtoWriter,
} from '../../src/query/encode/proto-writer.ts';
import { frameTreeOf } from '../../src/query/tree/join-frames.ts';
import { asSide, joinSidedTrees } from '../../src/query/tree/join.ts';
import { lanesOf } from '../../src/query/tree/lanes.ts';
import { answerFront } from '../../src/shards/answer-front.ts';
import { encodeSpilling } from '../../src/shards/answer-spill.ts';
import type { Limits } from '../../src/shards/host-contract.ts';
import { encodedAs } from '../../src/shards/host-trees.ts';
import { seededRandom } from '../../src/base/random.ts';
import { Dictionary } from '../../src/storage/dictionary/dictionary.ts';
import { FRAME_INLINED } from '../../src/storage/dictionary/rows.ts';
import type { ScratchWriter, TakenFile } from '../../src/storage/scratch/scratch.ts';
import { type Stack, treeOf } from '../query/pictures.ts';

/** Files in memory; what was given away is wiped when it comes back, as if another used it. */
class MemoryScratch implements ScratchWriter {
  readonly files = new Map<number, Uint8Array[]>();
  appended = 0;
  failsAt = Infinity;

  create(): Promise<number> {
    this.files.set(7, []);
    return Promise.resolve(7);
  }
  append(file: number, buffer: Uint8Array, length: number): Promise<Uint8Array> {
    if (++this.appended >= this.failsAt) {
      return Promise.reject(new TephraError('storage_full', 'no room'));
    }
    this.files.get(file)?.push(new Uint8Array(buffer.subarray(0, length)));
    buffer.fill(0xee);
    return Promise.resolve(buffer);
  }
  drop(file: number): Promise<void> {
    this.files.delete(file);
    return Promise.resolve();
  }
  take(file: number): TakenFile {
    const bytes = Buffer.concat(this.files.get(file) ?? []);
    return {
      byteLength: bytes.byteLength,
      read: async (offset, into) => bytes.copy(into, 0, offset),
      close: () => this.files.delete(file),
    };
  }
}

const pause = () => createPause(systemClock, systemTimers);
const limitsOf = (spilledAnswerBytes: number, answerSliceBytes: number): Limits => ({
  ...LIMITS,
  spilledAnswerBytes,
  answerSliceBytes,
});

/** The message as it is read after it was spilled, in pieces of `piece` bytes. */
async function spilled(
  encode: (overflow: Overflow) => Steps<EncodedMessage>,
  limits: Limits,
  piece: number,
): Promise<{ bytes: Uint8Array; slices: number; saturated: boolean }> {
  const scratch = new MemoryScratch();
  const { bytes, front, saturated } = await encodeSpilling(encode, pause(), scratch, limits);
  if (front === undefined) return { bytes, slices: 0, saturated };
  const read = answerFront(scratch.take(front.file), front);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < read.byteLength;) {
    const part = new Uint8Array(piece);
    const size = await read.read(at, part);
    expect(size).toBe(Math.min(piece, read.byteLength - at));
    parts.push(part.subarray(0, size));
    at += size;
  }
  return { bytes: Buffer.concat([...parts, bytes]), slices: scratch.appended, saturated };
}

const names = fc.constantFrom('a', 'b', 'é😀', 'a function with a longer name '.repeat(5), '');
const stacks: fc.Arbitrary<Stack[]> = fc.array(
  fc.tuple(fc.array(names, { minLength: 1, maxLength: 9 }), fc.bigInt(0n, 1n << 62n)),
  { maxLength: 60 },
);
const sizes = {
  limit: fc.integer({ min: 1, max: 300 }),
  slice: fc.integer({ min: 1, max: 100 }),
  piece: fc.integer({ min: 1, max: 200 }),
};

function frameTree(given: readonly Stack[]) {
  const dictionary = new Dictionary(seededRandom(7));
  const frameOf = (name: string, depth: number): number => {
    const text = dictionary.internText(name);
    const fn = dictionary.internFunction(text, text, 0, 1);
    const inlined = depth % 3 === 2 ? FRAME_INLINED : 0;
    return dictionary.internFrame(fn, depth, 0, 0, 0, depth, 0, inlined);
  };
  const values: bigint[] = [];
  for (const [frames, value] of given) {
    const ids = Uint32Array.from(frames, frameOf);
    values[dictionary.internStack(ids, 0, ids.length)] = value;
  }
  const sums = lanesOf(Array.from(values, (value) => value ?? 0n));
  return atOnce(frameTreeOf([{ source: dictionary, sums }]));
}

const header = {
  type: parseProfileType('process_cpu:cpu:nanoseconds:cpu:nanoseconds'),
  timeNanos: 5n,
  durationNanos: 6n,
  period: 7n,
};

/** Every encoder, with random trees of both kinds. */
const ENCODERS: Record<
  string,
  (given: readonly Stack[]) => (overflow?: Overflow) => Steps<EncodedMessage>
> = {
  'a flame graph': (given) => (to) => encodeFlameGraph(treeOf(given), 20, to),
  'a tree': (given) => (to) => encodedAs({ kind: 'tree', maxNodes: 20 }, treeOf(given), to),
  'a DOT graph': (given) => (to) => encodedAs({ kind: 'dot', maxNodes: 20 }, treeOf(given), to),
  'a list of functions': (given) => (to) =>
    encodedAs({ kind: 'top', limit: 20 }, treeOf(given), to),
  'a diff': (given) => {
    const half = given.length >> 1;
    const sides = [given.slice(0, half), given.slice(half)].map((side, i) =>
      asSide(treeOf(side), i, 2),
    );
    return (to) => encodeDiff(atOnce(joinSidedTrees(sides, 2)), 20, to);
  },
  'a pprof': (given) => (to) => encodePprof(frameTree(given), header, to),
  'a pprof in two messages': (given) => (to) =>
    encodePprof(frameTree(given), { ...header, within: [5, 1] }, to),
};

describe('an answer that goes to disk in slices', () => {
  test.each(Object.keys(ENCODERS))('is byte for byte the same as in memory: %s', async (name) => {
    let most = 0;
    await fc.assert(
      fc.asyncProperty(
        stacks,
        sizes.limit,
        sizes.slice,
        sizes.piece,
        async (given, limit, slice, piece) => {
          const encode = ENCODERS[name]?.(given) as (to?: Overflow) => Steps<EncodedMessage>;
          const whole = atOnce(encode());
          const parts = await spilled(encode, limitsOf(limit, slice), piece);
          expect(Buffer.from(parts.bytes).equals(whole.bytes)).toBe(true);
          expect(parts.saturated).toBe(whole.saturated);
          most = Math.max(most, parts.slices);
        },
      ),
      { numRuns: 60 },
    );
    expect(most).toBeGreaterThan(0);
  });

  test('has the lengths of fields of any depth that were open when a slice was full', async () => {
    interface Field {
      readonly text: string;
      readonly inner: readonly Field[];
    }
    const { field } = fc.letrec<{ field: Field }>((tie) => ({
      field: fc.record({
        text: fc.string({ maxLength: 300 }),
        inner: fc.oneof({ maxDepth: 4 }, fc.constant([]), fc.array(tie('field'), { maxLength: 4 })),
      }),
    }));
    function* write(writer: ProtoWriter, { text, inner }: Field): Steps<void> {
      const start = writer.begin(3);
      writer.text(1, text);
      for (const one of inner) yield* write(writer, one);
      writer.value(text.length * 2 ** 40);
      writer.end(start);
      yield;
    }
    await fc.assert(
      fc.asyncProperty(fc.array(field), sizes.limit, sizes.slice, async (fields, limit, slice) => {
        function* encode(overflow?: Overflow): Steps<EncodedMessage> {
          const writer = new ProtoWriter(64, overflow);
          yield* write(writer, { text: '', inner: fields });
          return writer.finish();
        }
        const parts = await spilled(encode, limitsOf(limit, slice), 64);
        expect(Buffer.from(parts.bytes).equals(atOnce(encode()).bytes)).toBe(true);
      }),
    );
  });

  test('is in memory, and nothing else happens, below the limit', async () => {
    const scratch = new MemoryScratch();
    const encode = (to: Overflow) => encodeFlameGraph(treeOf([[['a'], 1n]]), 10, to);
    const { front } = await encodeSpilling(encode, pause(), scratch, LIMITS);
    expect([front, scratch.appended, scratch.files.size]).toEqual([undefined, 0, 0]);
  });

  test.each([1, 3])('leaves nothing when the disk is full at slice %i', async (failsAt) => {
    const scratch = new MemoryScratch();
    scratch.failsAt = failsAt;
    const given = Array.from({ length: 50 }, (_, i): Stack => [[`name ${i}`], 1n]);
    const encode = (to: Overflow) => encodeFlameGraph(treeOf(given), 100, to);
    await expect(encodeSpilling(encode, pause(), scratch, limitsOf(64, 32))).rejects.toMatchObject({
      reason: 'storage_full',
    });
    expect(scratch.files.size).toBe(0);
  });

  test('leaves nothing when nobody waits for it any more', async () => {
    const scratch = new MemoryScratch();
    const given = Array.from({ length: 50 }, (_, i): Stack => [[`name ${i}`], 1n]);
    const encode = (to: Overflow) => encodeFlameGraph(treeOf(given), 100, to);
    const leaving = {
      here() {
        if (scratch.appended < 2) return undefined;
        return Promise.reject(new TephraError('canceled', 'the client left'));
      },
    };
    await expect(encodeSpilling(encode, leaving, scratch, limitsOf(64, 32))).rejects.toMatchObject({
      reason: 'canceled',
    });
    expect(scratch.files.size).toBe(0);
  });

  test('waits for its slices: it never holds more than those of one step', async () => {
    let held = 0;
    let most = 0;
    const scratch = new MemoryScratch();
    const append = scratch.append.bind(scratch);
    scratch.append = async (...given) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      held--;
      return append(...given);
    };
    function* encode(overflow: Overflow): Steps<EncodedMessage> {
      const writer = new ProtoWriter(64, {
        limitBytes: overflow.limitBytes,
        take(full, used) {
          most = Math.max(most, ++held);
          return overflow.take(full, used);
        },
      });
      for (let i = 0; i < 200; i++) {
        writer.text(1, 'x'.repeat(20));
        yield;
      }
      return writer.finish();
    }
    await encodeSpilling(encode, pause(), scratch, limitsOf(64, 64));
    expect(scratch.appended).toBeGreaterThan(50);
    expect(most).toBeLessThanOrEqual(2);
  });
});
