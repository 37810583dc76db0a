import { expect, test } from '@jest/globals';
import { MINUTE_MS } from '../../../src/base/time.ts';
import {
  type BlockEntry,
  decodeBlock,
  decodeBlockSection,
  type FamilyView,
  readMinute,
  readMinutePushes,
} from '../../../src/storage/block/decode.ts';
import { encodeBlock } from '../../../src/storage/block/encode.ts';
import { seekTime, totalsOfSection } from '../../../src/storage/block/totals.ts';
import { TOTAL_MAX, type TypeColumn } from '../../../src/storage/column/entries.ts';
import type { PushEntry } from '../../../src/storage/block/pushes.ts';
import { BLOCK } from '../fixtures.ts';

test('the totals of a section are those of its pushes, in order', () => {
  const bytes = encodeBlock(BLOCK);
  for (const entry of decodeBlock(bytes).sections) {
    const view = decodeBlockSection(bytes.subarray(entry.at, entry.end), entry);
    for (const [f, { series, times, totals }] of totalsOfSection(view).families.entries()) {
      const family = view.families[f] as FamilyView;
      expect(series).toEqual(family.series);
      const pushes = [...family.minutes.keys()].flatMap((i) => {
        const minute = readMinute(view, family, i);
        const minuteMs = minute.minute * MINUTE_MS;
        return readMinutePushes(view, minute).map((push) => ({
          timeMs: minuteMs + push.offsetMs,
          totals: push.totals,
        }));
      });
      expect(pushes.length).toBeGreaterThan(0);
      expect([...times]).toEqual(pushes.map(({ timeMs }) => timeMs));
      for (const [t, column] of totals.entries()) {
        expect([...column].map(BigInt)).toEqual(pushes.map((push) => push.totals[t]));
      }
    }
  }
});

test('totals beyond 2^53, and those beyond 2^63, are exact', () => {
  const [section] = BLOCK.sections;
  const [family] = section?.families ?? [];
  const [minute] = family?.minutes ?? [];
  if (section === undefined || family === undefined || minute === undefined) throw new RangeError();
  for (const total of [2n ** 53n + 1n, 2n ** 63n + 1n, TOTAL_MAX]) {
    const [type] = minute.types.map((one) => ({ ...one, total }));
    const [push] = minute.pushes;
    const pushes = [{ ...(push as PushEntry), totals: [total] }];
    const minutes = [{ ...minute, types: [type as TypeColumn], pushes }];
    const sections = [{ ...section, families: [{ ...family, minutes }] }];
    const bytes = encodeBlock({ ...BLOCK, sections });
    const [entry] = decodeBlock(bytes).sections as [BlockEntry];
    const view = decodeBlockSection(bytes.subarray(entry.at, entry.end), entry);
    const [found] = totalsOfSection(view).families;
    expect([...(found?.totals[0] ?? [])].map(BigInt)).toEqual([total]);
  }
});

test('the first time at or after another is found', () => {
  const times = Uint32Array.of(3, 5, 5, 9);
  expect([0, 3, 4, 5, 6, 9, 10].map((time) => seekTime(times, time))).toEqual([
    0, 0, 1, 1, 3, 3, 4,
  ]);
});
