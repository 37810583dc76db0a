/** More new rows than fit into one segment: a blob has a limit, and absorb must get by it. */
import { describe, expect, test } from '@jest/globals';
import { HOUR_MS, MINUTE_MS } from '../../src/base/time.ts';
import { LIMITS } from '../../src/base/limits.ts';
import { groupsBySize } from '../../src/jobs/new-rows.ts';
import { packSections } from '../../src/jobs/pack.ts';
import { ByteWriter } from '../../src/base/bytes.ts';
import { NO_LENGTHS } from '../../src/storage/dictionary/lengths.ts';
import { mergeSegments, type SegmentPart } from '../../src/storage/dictionary/segment.ts';
import { Bench, DAY } from './fixture.ts';

const SEGMENT_BYTES = 3_000;
const SEGMENTS = 'minutes/20260314/s/';
/** Names that deflate does not make much shorter. */
const LEAVES = 60;
const nameOf = (push: number, leaf: number): string =>
  Array.from({ length: 8 }, (_, i) =>
    Math.imul(push * 1_000 + leaf * 8 + i + 1, 0x9e37_79b1).toString(36),
  ).join('.');

async function pushAll(bench: Bench, from: number, to: number): Promise<void> {
  for (let push = from; push < to; push++) {
    const startMs = DAY + push * MINUTE_MS;
    const service = push % 3 === 0 ? 'shop' : 'pay';
    for (let leaf = 0; leaf < LEAVES; leaf++) {
      expect(await bench.push(nameOf(push, leaf), startMs + leaf, 1n, service)).toBe('stored');
    }
  }
}

/** Sums and names as they must be after the first `count` of {@link pushAll}. */
async function expectAll(bench: Bench, count: number): Promise<void> {
  const { ticks, names } = await bench.merge();
  expect(ticks).toBe(BigInt(count * LEAVES));
  const wanted = Array.from({ length: count * LEAVES }, (_, i) =>
    nameOf(Math.floor(i / LEAVES), i % LEAVES),
  );
  expect([...names].toSorted()).toEqual(['main', 'total', ...wanted].toSorted());
}

/** Bytes of each segment there is. */
async function segmentsOf(bench: Bench): Promise<number[]> {
  const sizes = (await bench.store.list(SEGMENTS)).map(({ size }) => size);
  for (const size of sizes) expect(size).toBeLessThan(SEGMENT_BYTES + 500);
  return sizes;
}

describe.each([
  { how: 'as they are', restarts: false },
  { how: 'by content', restarts: true },
])('rows that are taken over $how', ({ restarts }) => {
  test('go to as many segments as they need, and a roll joins no more than fit into one', async () => {
    const bench = await new Bench({ segmentBytes: SEGMENT_BYTES, graceMs: 0 }).open();
    await pushAll(bench, 0, 4);
    if (restarts) await bench.open();
    await bench.at(DAY + HOUR_MS - 1);
    expect(await segmentsOf(bench)).toHaveLength(0);
    bench.nowMs = DAY + HOUR_MS - 1;
    await pushAll(bench, 4, 6);
    await bench.at(DAY + HOUR_MS + 3 * MINUTE_MS);
    const first = await segmentsOf(bench);
    expect(first.length).toBeGreaterThan(4);
    await expectAll(bench, 6);
    await bench.open();
    await expectAll(bench, 6);
    // What came small is joined, what is large stays.
    for (let push = 6; push < 12; push++) {
      await pushAll(bench, push, push + 1);
      await bench.at(DAY + (2 + push) * HOUR_MS);
    }
    await bench.at(DAY + 20 * HOUR_MS);
    const sizes = await segmentsOf(bench);
    const sum = sizes.reduce((all, size) => all + size, 0);
    expect(sizes.length).toBeLessThanOrEqual(Math.ceil((2 * sum) / SEGMENT_BYTES) + 4);
    await bench.open();
    await expectAll(bench, 12);
  });
});

test('groups are as large as they may be, and what is larger is alone', () => {
  const group = (sizes: number[]): number[][] => groupsBySize(sizes, (size) => size, 10);
  expect(group([])).toEqual([]);
  expect(group([4, 6, 1])).toEqual([[4, 6], [1]]);
  expect(group([11, 1, 9, 12, 3])).toEqual([[11], [1, 9], [12], [3]]);
});

test('minutes of a family are parted over blocks, each in one of them', () => {
  const minute = (at: number) => ({
    minute: at,
    types: [],
    pushes: [],
    entries: new Uint8Array(40),
  });
  const family = (series: number) => ({
    series: [series],
    minutes: Array.from({ length: 5 }, (_, at) => minute(at)),
  });
  const section = (service: string) => ({
    tenant: 'a',
    service,
    families: [family(1), family(2)],
  });
  const blocks = packSections([section('x'), section('y')], 150);
  expect(blocks.length).toBeGreaterThan(6);
  const seen: string[] = [];
  for (const block of blocks) {
    expect(new Set(block.map(({ service }) => service)).size).toBe(block.length);
    for (const { service, families } of block) {
      expect(new Set(families.map(({ series }) => series[0])).size).toBe(families.length);
      for (const { series, minutes } of families) {
        for (const one of minutes) seen.push(`${service}${series.join()}@${one.minute}`);
      }
    }
  }
  const all = ['x', 'y'].flatMap((service) =>
    [1, 2].flatMap((series) => [0, 1, 2, 3, 4].map((at) => `${service}${series}@${at}`)),
  );
  expect(seen).toEqual(all);
});

test('slices are not joined to one that would be too large to be read', () => {
  const slice = new ByteWriter()
    .u8(1)
    .varint(Math.floor(LIMITS.blobBytesMax * 0.6))
    .finish();
  const at = (rows: number) => ({ ...NO_LENGTHS, strings: rows });
  const part = (from: number): SegmentPart => {
    return { tenant: 'a', service: 's', from: at(from), to: at(from + 1), slice };
  };
  const parts = [part(0), part(1), part(2)];
  expect(mergeSegments(parts)).toEqual(parts);
});
