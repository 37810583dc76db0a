import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  BLOCK_FOOTER_BYTES,
  blockDirectoryAt,
  type BlockSectionView,
  decodeBlock,
  decodeBlockSection,
  minuteRange,
  readBlockDirectory,
  readMinute,
  readMinutePushes,
} from '../../../src/storage/block/decode.ts';
import {
  type Block,
  type BlockSection,
  encodeBlock,
  type FamilyColumns,
  type MinuteColumn,
} from '../../../src/storage/block/encode.ts';
import { attack } from '../arbitraries.ts';
import { BLOCK, DAY } from '../fixtures.ts';

function familiesOf(view: BlockSectionView): FamilyColumns[] {
  return view.families.map((family) => ({
    series: family.series,
    minutes: Array.from(family.minutes, (_, i): MinuteColumn => {
      const { minute, types, entriesAt, entriesEnd, ...at } = readMinute(view, family, i);
      return {
        minute,
        types,
        pushes: readMinutePushes(view, { minute, types, entriesAt, entriesEnd, ...at }),
        entries: view.bytes.slice(entriesAt, entriesEnd),
      };
    }),
  }));
}

function decodeAll(bytes: Uint8Array): Block {
  const { sections, ...rest } = decodeBlock(bytes);
  return {
    ...rest,
    sections: sections.map((entry): BlockSection => {
      const view = decodeBlockSection(bytes.subarray(entry.at, entry.end), entry);
      return { tenant: entry.tenant, service: entry.service, families: familiesOf(view) };
    }),
  };
}

/** Sections and families in the order of the format. */
function sorted(block: Block): Block {
  const name = (s: BlockSection): string => `${s.tenant}\0${s.service}`;
  return {
    ...block,
    sections: block.sections
      .map((s) => ({
        ...s,
        families: s.families.toSorted((a, b) => (a.series[0] ?? 0) - (b.series[0] ?? 0)),
      }))
      .toSorted((a, b) => (name(a) < name(b) ? -1 : 1)),
  };
}

const ref = fc.record({
  arrivalHourMs: fc.nat(48).map((hour) => DAY + hour * 3_600_000),
  incarnation: fc.oneof(fc.constant(7), fc.nat()),
  seq: fc.nat(),
  index: fc.nat(3),
  canonical: fc.boolean(),
});

/** Types over one or two columns with ticks; pushes split the ticks. */
const minuteColumn = (series: readonly number[]): fc.Arbitrary<MinuteColumn> =>
  fc
    .record({
      minute: fc.nat(1439),
      grains: fc.array(fc.constantFrom(1n, 3n, 10_000_000n), {
        minLength: series.length,
        maxLength: series.length,
      }),
      columns: fc.integer({ min: 1, max: series.length }),
      pushes: fc.array(
        fc.tuple(
          fc.nat(59_999),
          fc.array(fc.bigInt(0n, 1n << 30n), { minLength: 3, maxLength: 3 }),
          ref,
        ),
        { minLength: 1, maxLength: 4 },
      ),
      entries: fc.uint8Array(),
    })
    .map(({ minute, grains, columns, pushes, entries }) => {
      const totals = (ticks: readonly bigint[]): bigint[] =>
        grains.map((grain, t) => (ticks[t % columns] as bigint) * grain);
      const sums = [0, 1, 2].map((c) =>
        pushes.reduce((sum, [, ticks]) => sum + (ticks[c] as bigint), 0n),
      );
      return {
        minute,
        types: totals(sums).map((total, t) => ({
          series: series[t] as number,
          grain: grains[t] as bigint,
          total,
          column: t % columns,
        })),
        pushes: pushes
          .toSorted((a, b) => a[0] - b[0])
          .map(([offsetMs, ticks, r]) => ({ offsetMs, totals: totals(ticks), ref: r })),
        entries,
      };
    });

const family = (first: number): fc.Arbitrary<FamilyColumns> =>
  fc.uniqueArray(fc.nat(1000), { minLength: 0, maxLength: 2 }).chain((more) => {
    const series = [first, ...more.map((id) => id + 2000)];
    return fc
      .uniqueArray(minuteColumn(series), { selector: (m) => m.minute, minLength: 1, maxLength: 5 })
      .map((minutes) => ({ series, minutes: minutes.toSorted((a, b) => a.minute - b.minute) }));
  });

const block: fc.Arbitrary<Block> = fc
  .uniqueArray(
    fc.record({
      tenant: fc.constantFrom('a', 'b', 'ü'),
      service: fc.string(),
      families: fc.tuple(family(0), family(1), family(1500)).map((all) => all.toReversed()),
    }),
    { selector: (s) => `${s.tenant}\0${s.service}`, maxLength: 3 },
  )
  .map((sections) => ({
    dayMs: DAY,
    shard: 15,
    hours: Array.from({ length: 24 }, (_, hour) => hour),
    sections,
  }));

test('a block comes back as it went in, sorted', () => {
  fc.assert(
    fc.property(block, (given) => {
      expect(decodeAll(encodeBlock(given))).toEqual(sorted(given));
    }),
  );
  expect(decodeAll(encodeBlock(BLOCK))).toEqual(sorted(BLOCK));
});

test('the directory tells which series have data in which hour', () => {
  fc.assert(
    fc.property(block, (given) => {
      const { sections } = decodeBlock(encodeBlock(given));
      for (const [s, entry] of sections.entries()) {
        const expected = new Map<number, Set<number>>();
        const minutes: number[] = [];
        for (const { series, minutes: columns } of sorted(given).sections[s]?.families ?? []) {
          for (const { minute } of columns) {
            const hour = Math.floor(minute / 60);
            const present = expected.get(hour) ?? new Set();
            for (const id of series) present.add(id);
            expected.set(hour, present);
            minutes.push(minute);
          }
        }
        expect(entry.hours.map(({ hour }) => hour)).toEqual(
          [...expected.keys()].toSorted((a, b) => a - b),
        );
        for (const { hour, series } of entry.hours) {
          expect(series).toEqual([...(expected.get(hour) ?? [])].toSorted((a, b) => a - b));
        }
        expect([entry.firstMinute, entry.lastMinute]).toEqual([
          Math.min(...minutes),
          Math.max(...minutes),
        ]);
      }
    }),
    { numRuns: 30 },
  );
});

test('every cut and every flipped bit is refused, never decoded to something else', () => {
  attack(encodeBlock(BLOCK), decodeAll);
});

test('the tail alone gives the directory', () => {
  const bytes = encodeBlock(BLOCK);
  const at = blockDirectoryAt(bytes.slice(-BLOCK_FOOTER_BYTES), bytes.byteLength);
  expect(readBlockDirectory(bytes.slice(at), at)).toEqual(decodeBlock(bytes));
});

test('minutes are found by range', () => {
  const bytes = encodeBlock(BLOCK);
  const [entry] = decodeBlock(bytes).sections;
  if (entry === undefined) throw new Error('a section');
  const [found] = decodeBlockSection(bytes.subarray(entry.at, entry.end), entry).families;
  if (found === undefined) throw new Error('a family');
  expect([...found.minutes]).toEqual([361, 420]);
  expect(minuteRange(found, 0, 1439)).toEqual({ from: 0, to: 2 });
  expect(minuteRange(found, 361, 361)).toEqual({ from: 0, to: 1 });
  expect(minuteRange(found, 362, 419)).toEqual({ from: 1, to: 1 });
  expect(minuteRange(found, 420, 420)).toEqual({ from: 1, to: 2 });
});

test('a minute outside of the hours, pushes out of order and foreign series are bugs of the writer', () => {
  expect(() => encodeBlock({ ...BLOCK, hours: [6] })).toThrow(/hours/);
  const edit = (change: (m: MinuteColumn) => MinuteColumn): Block => ({
    ...BLOCK,
    sections: BLOCK.sections.map((s) => ({
      ...s,
      families: s.families.map((f) => ({ ...f, minutes: f.minutes.map(change) })),
    })),
  });
  expect(() => encodeBlock(edit((m) => ({ ...m, pushes: [...m.pushes].toReversed() })))).toThrow(
    /varint/,
  );
  expect(() => encodeBlock(edit((m) => ({ ...m, types: m.types.toReversed() })))).toThrow(/series/);
});
