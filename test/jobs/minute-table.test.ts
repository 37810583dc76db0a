import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HOUR_MS, MINUTE_MS } from '../../src/base/time.ts';
import { MinuteTable } from '../../src/jobs/minute-table.ts';
import {
  type BlockSectionView,
  decodeBlock,
  decodeBlockSection,
  readMinute,
  readMinutePushes,
} from '../../src/storage/block/decode.ts';
import { encodeBlock } from '../../src/storage/block/encode.ts';
import { decodeEntries } from '../../src/storage/column/decode.ts';
import { type Entries, saturate } from '../../src/storage/column/entries.ts';
import { ScopeMap } from '../../src/storage/dictionary/scope-map.ts';
import { decodeFragment, readSection } from '../../src/storage/fragment/decode.ts';
import { encodeFragment, type FragmentPush } from '../../src/storage/fragment/encode.ts';
import { headSection, type HeadSection } from '../../src/storage/shard/head.ts';
import { entries } from '../storage/arbitraries.ts';
import { DAY, FRAGMENT } from '../storage/fixtures.ts';

const STACKS = 70;
const SERIES = 4;
const INT64_MAX = (1n << 63n) - 1n;

/** Types of a push: series, column, grain. */
type Head = readonly (readonly [series: number, column: number, grain: bigint])[];

/** Families of one type and of two; those of two may share their ticks. */
const HEADS: readonly Head[] = [
  [[0, 0, 1n]],
  [[0, 0, 6n]],
  [[0, 0, 4n]],
  [
    [1, 0, 1n],
    [2, 0, 10_000_000n],
  ],
  [
    [1, 0, 2n],
    [2, 1, 15n],
  ],
  [
    [1, 1, 2n],
    [2, 0, 10n],
  ],
  [[3, 0, 1n << 61n]],
];

interface Given {
  readonly head: Head;
  readonly minute: number;
  readonly offsetMs: number;
  readonly groups: readonly Entries[];
}

const tick = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt(0n, 300n) },
  { weight: 1, arbitrary: fc.bigInt(0n, (1n << 33n) - 1n) },
  { weight: 1, arbitrary: fc.bigInt(0n, (1n << 64n) - 1n) },
);

const given: fc.Arbitrary<Given> = fc.constantFrom(...HEADS).chain((head) =>
  fc.record({
    head: fc.constant(head),
    minute: fc.constantFrom(0, 1, 59),
    offsetMs: fc.oneof(fc.constantFrom(0, 500), fc.nat(MINUTE_MS - 1)),
    groups: fc.array(
      entries(
        STACKS,
        Math.max(...head.map(([, column]) => column + 1)),
        fc.oneof({ weight: 3, arbitrary: fc.bigInt(0n, 300n) }, { weight: 1, arbitrary: tick }),
      ),
      { minLength: 1, maxLength: 3 },
    ),
  }),
);

/** What a section of a fragment holds, and whether its ids are translated. */
interface GivenSection {
  readonly pushes: readonly Given[];
  readonly isMapped: boolean;
}

const section: fc.Arbitrary<GivenSection> = fc.record({
  pushes: fc.array(given, { minLength: 1, maxLength: 6 }),
  isMapped: fc.boolean(),
});

/** By series and minute: values by stack, and a line for each push. */
type Naive = Map<string, { values: Map<number, bigint>; total: bigint; pushes: string[] }>;

function at(naive: Naive, series: number, minute: number) {
  const key = `${series}@${minute}`;
  let found = naive.get(key);
  if (found === undefined) {
    found = { values: new Map(), total: 0n, pushes: [] };
    naive.set(key, found);
  }
  return found;
}

const bounded = (value: bigint): bigint => (value > INT64_MAX ? INT64_MAX : value);

/** Ids go this way where they are translated: two become one. */
const mappedStack = (id: number): number => (id < 10 ? id : 10 + ((id * 7) % 55));
const mappedSeries = (id: number): number => id + 10;

function scopeMap(): ScopeMap {
  const map = new ScopeMap({ ...FRAGMENT_SEED, stacks: 10 });
  for (let id = 10; id < STACKS; id++) map.tables.stacks.add(mappedStack(id));
  for (let id = 0; id < SERIES; id++) map.tables.series.add(mappedSeries(id));
  return map;
}

const FRAGMENT_SEED = { strings: 0, functions: 0, frames: 0, nodes: 0, stacks: 0, series: 0 };

function totalOf({ groups }: Given, column: number, grain: bigint): bigint {
  let total = 0n;
  for (const { ticks } of groups) {
    for (const one of ticks[column] ?? []) total += BigInt(one);
  }
  return saturate(saturate(total) * grain);
}

function pushOf(one: Given): FragmentPush {
  return {
    key: new Uint8Array(16),
    profileId: '',
    startMs: DAY + one.minute * MINUTE_MS + one.offsetMs,
    durationMs: 10,
    types: one.head.map(([series, column, grain]) => ({
      series,
      column,
      grain,
      total: totalOf(one, column, grain),
    })),
    groups: one.groups.map((group) => ({ spanId: '', traceId: '', entries: group })),
  };
}

/** The section as the head has it. */
function headOf({ pushes }: GivenSection, seq: number): HeadSection {
  const [first] = FRAGMENT.sections;
  if (first === undefined) throw new RangeError();
  const bytes = encodeFragment({
    ...FRAGMENT,
    seq,
    sections: [{ ...first, pushes: pushes.map(pushOf) }],
  });
  const fragment = decodeFragment(bytes);
  const [entry] = fragment.sections;
  if (entry === undefined) throw new RangeError();
  const read = () => readSection(bytes, entry);
  return headSection(
    fragment,
    entry,
    read,
    { dictionary: undefined as never, base: entry.to },
    bytes,
  );
}

function expectOf(naive: Naive, { pushes, isMapped }: GivenSection, seq: number): void {
  for (const [index, one] of pushes.entries()) {
    for (const [series, column, grain] of one.head) {
      const cell = at(naive, isMapped ? mappedSeries(series) : series, one.minute);
      for (const { stacks, ticks } of one.groups) {
        for (const [i, stack] of stacks.entries()) {
          const id = isMapped ? mappedStack(stack) : stack;
          const value = BigInt(ticks[column]?.[i] ?? 0) * grain;
          cell.values.set(id, (cell.values.get(id) ?? 0n) + value);
          cell.total += value;
        }
      }
      const total = bounded(totalOf(one, column, grain));
      cell.pushes.push(`${one.offsetMs} ${seq}/${index} ${!isMapped} ${total}`);
    }
  }
}

/** The block's section, its families read back. */
function stored(table: MinuteTable): BlockSectionView {
  const families = [...table.families(0, 60)];
  const bytes = encodeBlock({
    dayMs: DAY,
    shard: 3,
    hours: [0],
    sections: [{ tenant: 'anonymous', service: 'shop', families }],
  });
  const [entry] = decodeBlock(bytes).sections;
  if (entry === undefined) throw new RangeError();
  return decodeBlockSection(bytes.subarray(entry.at, entry.end), entry);
}

function readBack(view: BlockSectionView): Naive {
  const naive: Naive = new Map();
  for (const family of view.families) {
    for (let i = 0; i < family.minutes.length; i++) {
      const minute = readMinute(view, family, i);
      const { stacks, ticks } = decodeEntries(view.bytes, minute.entriesAt, minute.entriesEnd);
      const pushes = readMinutePushes(view, minute);
      for (const [t, { column, grain, total }] of minute.types.entries()) {
        const cell = at(naive, family.series[t] as number, minute.minute);
        cell.total = total;
        for (const [row, stack] of stacks.entries()) {
          cell.values.set(stack, BigInt(ticks[column]?.[row] ?? 0) * grain);
        }
        for (const { offsetMs, totals, ref } of pushes) {
          expect(ref.arrivalHourMs).toBe(DAY + 6 * HOUR_MS);
          const own = bounded(totals[t] as bigint);
          cell.pushes.push(`${offsetMs} ${ref.seq}/${ref.index} ${ref.canonical} ${own}`);
        }
      }
    }
  }
  return naive;
}

/** What of a cell has to be the same: bounded, without zeros, pushes in any order. */
function shown(naive: Naive) {
  return Array.from(naive, ([key, { values, total, pushes }]) => ({
    key,
    total: bounded(total),
    values: [...values]
      .filter(([, value]) => value > 0n)
      .map(([stack, value]) => `${stack}=${bounded(value)}`)
      .toSorted(),
    pushes: pushes.toSorted(),
  })).toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

test('a minute has the sums of its pushes and the list of them, absorbed at once or one by one', () => {
  fc.assert(
    fc.property(fc.array(section, { minLength: 1, maxLength: 5 }), fc.nat(4), (sections, split) => {
      const naive: Naive = new Map();
      for (const [seq, one] of sections.entries()) expectOf(naive, one, seq);
      const wanted = shown(naive);
      const map = scopeMap();
      const add = (table: MinuteTable, from: number, to: number): MinuteTable => {
        for (let seq = from; seq < Math.min(to, sections.length); seq++) {
          const one = sections[seq] as GivenSection;
          table.addSection(headOf(one, seq), one.isMapped ? map : undefined);
        }
        return table;
      };
      const atOnce = stored(add(new MinuteTable(), 0, sections.length));
      expect(shown(readBack(atOnce))).toEqual(wanted);
      // A block that was written before joins what comes later, and is packed once more.
      const later = add(new MinuteTable(), split, sections.length);
      if (split > 0) later.addBlock(stored(add(new MinuteTable(), 0, split)));
      const packed = new MinuteTable();
      packed.addBlock(stored(later));
      expect(shown(readBack(stored(packed)))).toEqual(wanted);
    }),
    { numRuns: 40 },
  );
});
