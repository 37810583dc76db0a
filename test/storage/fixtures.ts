import type { Block } from '../../src/storage/block/encode.ts';
import { ByteWriter, fromHex } from '../../src/base/bytes.ts';
import { encodeEntries } from '../../src/storage/column/encode.ts';
import type { Entries } from '../../src/storage/column/entries.ts';
import type { TableLengths } from '../../src/storage/dictionary/lengths.ts';
import type { Fragment } from '../../src/storage/fragment/encode.ts';
import { emptyRoot, type PartitionRoot } from '../../src/storage/root/encode.ts';

/** 2026-03-14, 00:00 UTC. */
export const DAY = Date.UTC(2026, 2, 14);
const HOUR = 3_600_000;

/** Table lengths from six numbers. */
export function lengths(...n: [number, number, number, number, number, number]): TableLengths {
  const [strings, functions, frames, nodes, stacks, series] = n;
  return { strings, functions, frames, nodes, stacks, series };
}

/** Entries of plain arrays. */
export function entriesOf(stacks: number[], ...ticks: number[][]): Entries {
  return { stacks: Uint32Array.from(stacks), ticks: ticks.map((t) => Float64Array.from(t)) };
}

/** Encoded entries. */
export function encoded(entries: Entries): Uint8Array {
  const writer = new ByteWriter();
  encodeEntries(writer, entries);
  return writer.finish();
}

const noKey = new Uint8Array(16);

/** Two services, one of them with spans; a CPU push stores its two types in one column. */
export const FRAGMENT: Fragment = {
  incarnation: 7,
  seq: 42,
  shard: 3,
  arrivalHourMs: DAY + 6 * HOUR,
  skipped: [40, 41],
  sections: [
    {
      tenant: 'anonymous',
      service: 'shop',
      dayMs: DAY,
      epoch: 2,
      seed: lengths(10, 4, 5, 5, 2, 1),
      from: lengths(12, 5, 6, 6, 3, 1),
      to: lengths(14, 6, 7, 8, 5, 3),
      slice: Uint8Array.of(0xd1, 0xc7),
      pushes: [
        {
          key: fromHex('00112233445566778899aabbccddeeff'),
          profileId: '0b4e9f3a-2d5c-4b6a-8f1e-7c6d5e4f3a2b',
          startMs: DAY + 6 * HOUR + 90_500,
          durationMs: 10_000,
          types: [
            { series: 1, grain: 1n, total: 6n, column: 0 },
            { series: 2, grain: 10_000_000n, total: 60_000_000n, column: 0 },
          ],
          groups: [
            { spanId: '', traceId: '', entries: entriesOf([1, 4], [1, 2]) },
            {
              spanId: '0102030405060708',
              traceId: '0102030405060708090a0b0c0d0e0f10',
              entries: entriesOf([300], [3]),
            },
          ],
        },
      ],
    },
    {
      tenant: 'anonymous',
      service: 'web',
      dayMs: DAY,
      epoch: 3,
      seed: lengths(2, 0, 1, 1, 0, 0),
      from: lengths(2, 0, 1, 1, 0, 0),
      to: lengths(3, 1, 2, 2, 1, 1),
      slice: Uint8Array.of(),
      pushes: [
        {
          key: noKey,
          profileId: 'run 5',
          startMs: DAY,
          durationMs: 0,
          types: [{ series: 0, grain: 1n, total: 0n, column: 0 }],
          groups: [{ spanId: '', traceId: '', entries: entriesOf([], []) }],
        },
        {
          key: noKey,
          profileId: '',
          startMs: DAY + 86_399_999,
          durationMs: 1,
          types: [{ series: 0, grain: 3n, total: 3n << 40n, column: 0 }],
          groups: [{ spanId: '', traceId: '', entries: entriesOf([0], [2 ** 40]) }],
        },
      ],
    },
  ],
};

const ref = { arrivalHourMs: DAY + 6 * HOUR, incarnation: 7, seq: 42, index: 0, canonical: true };

/** Two services; a minute with two pushes, one with other grains, one with a late push. */
export const BLOCK: Block = {
  dayMs: DAY,
  shard: 3,
  hours: [6, 7],
  sections: [
    {
      tenant: 'anonymous',
      service: 'web',
      families: [
        {
          series: [4],
          minutes: [
            {
              minute: 419,
              types: [{ series: 4, grain: 1n, total: 5n, column: 0 }],
              pushes: [{ offsetMs: 59_999, totals: [5n], ref }],
              entries: encoded(entriesOf([2], [5])),
            },
          ],
        },
      ],
    },
    {
      tenant: 'anonymous',
      service: 'shop',
      families: [
        {
          series: [2, 1],
          minutes: [
            {
              minute: 361,
              types: [
                { series: 2, grain: 1n, total: 6n, column: 0 },
                { series: 1, grain: 10_000_000n, total: 60_000_000n, column: 0 },
              ],
              pushes: [
                { offsetMs: 500, totals: [2n, 20_000_000n], ref },
                {
                  offsetMs: 30_500,
                  totals: [4n, 40_000_000n],
                  ref: { ...ref, seq: 43, index: 2, canonical: false },
                },
              ],
              entries: encoded(entriesOf([1, 4, 300], [1, 2, 3])),
            },
            {
              minute: 420,
              types: [
                { series: 2, grain: 1n, total: 4n, column: 0 },
                { series: 1, grain: 7n, total: 14n, column: 1 },
              ],
              pushes: [
                {
                  offsetMs: 0,
                  totals: [4n, 14n],
                  ref: { ...ref, arrivalHourMs: DAY + 26 * HOUR, incarnation: 8, seq: 1 },
                },
              ],
              entries: encoded(entriesOf([1, 4], [4, 0], [1, 1])),
            },
          ],
        },
      ],
    },
  ],
};

/** Every field is in use. */
export const ROOT: PartitionRoot = {
  gen: 300,
  commit: fromHex('000102030405060708090a0b0c0d0e0f'),
  absorbed: new Map([
    [
      7,
      [
        [1, 39],
        [42, 42],
      ],
    ],
    [8, [[1, 1]]],
  ]),
  blocks: [
    { id: 'b1b1b1b1', bytes: 70_000, hours: [0, 6, 23], rolled: true },
    { id: 'b2b2b2b2', bytes: 100, hours: [7], rolled: false },
  ],
  segments: [{ id: '5e5e5e5e', bytes: 12_345 }],
  roll: 3,
  rolledBy: Array.from({ length: 24 }, (_, hour) => (hour === 6 ? 3 : hour === 0 ? 1 : 0)),
  outbox: [{ roll: 3, id: 'de17a000' }],
  trash: [{ id: 'dead', sinceMs: DAY + 7 * HOUR }],
  tombstones: [Uint8Array.of(1, 2, 3), Uint8Array.of()],
  dropped: true,
};

/** A root of which nothing was ever committed. */
export const EMPTY_ROOT: PartitionRoot = emptyRoot();
