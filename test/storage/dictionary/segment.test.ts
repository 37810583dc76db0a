import { expect, test } from '@jest/globals';
import { NO_LENGTHS } from '../../../src/storage/dictionary/lengths.ts';
import {
  decodeSegmentDirectory,
  decodeSegmentFooter,
  encodeSegment,
  mergeSegments,
  openSegment,
  SEGMENT_FOOTER_BYTES,
  type SegmentPart,
  sliceOf,
} from '../../../src/storage/dictionary/segment.ts';
import { attack } from '../arbitraries.ts';
import { contents, open, put } from './model.ts';

/** One slice for each text, of one service. */
function partsOf(tenant: string, service: string, types: readonly string[]): SegmentPart[] {
  const dictionary = open();
  return types.map((type) => {
    const from = dictionary.lengths;
    dictionary.internText(`text ${type}`);
    put(dictionary, { series: { labels: [['service_name', service]], type } });
    const to = dictionary.lengths;
    return { tenant, service, from, to, slice: dictionary.encodeSlice(from, to) };
  });
}

const PARTS = [
  ...partsOf('anonymous', 'shop', ['cpu', 'wall']),
  ...partsOf('anonymous', 'pay', ['cpu']),
  ...partsOf('', '', []),
];

test('a segment gives back its slices, whole or by ranges', () => {
  const blob = encodeSegment(PARTS);
  const segment = openSegment(blob);
  expect(
    segment.entries.map((entry) => ({
      tenant: entry.tenant,
      service: entry.service,
      from: entry.from,
      to: entry.to,
      slice: segment.slice(entry),
    })),
  ).toEqual(PARTS);
  const { directoryAt, directoryEnd } = decodeSegmentFooter(
    blob.slice(-SEGMENT_FOOTER_BYTES),
    blob.byteLength,
  );
  const entries = decodeSegmentDirectory(blob.slice(directoryAt, directoryEnd));
  expect(entries).toEqual(segment.entries);
  for (const [i, entry] of entries.entries()) {
    expect(sliceOf(blob.slice(entry.at, entry.end), entry)).toEqual(PARTS[i]?.slice);
    expect(() => sliceOf(blob.slice(entry.at, entry.end - 1), entry)).toThrow('corrupt_block');
  }
});

test('a segment without slices is one', () => {
  expect(openSegment(encodeSegment([])).entries).toEqual([]);
});

test('a segment cut at any byte or flipped at any bit is damage', () => {
  attack(encodeSegment(PARTS), (bytes) => {
    const segment = openSegment(bytes);
    return segment.entries.map((entry) => segment.slice(entry));
  });
});

test('a damaged slice costs only itself', () => {
  const blob = encodeSegment(PARTS);
  blob[10] = (blob[10] as number) ^ 1;
  const segment = openSegment(blob);
  const [first, second] = segment.entries;
  expect(() => segment.slice(first as never)).toThrow('corrupt_block');
  expect(segment.slice(second as never)).toEqual(PARTS[1]?.slice);
});

test('merged segments hold one slice a service, and a gap begins a new one', () => {
  const shop = partsOf('t', 'shop', ['a', 'b', 'c', 'd']);
  const pay = partsOf('t', 'pay', ['a', 'b']);
  const [a, b, c, d] = shop as [SegmentPart, SegmentPart, SegmentPart, SegmentPart];
  const merged = mergeSegments([a, ...pay, b, d]);
  expect(merged.map(({ service, from, to }) => [service, from, to])).toEqual([
    ['shop', a.from, b.to],
    ['shop', d.from, d.to],
    ['pay', NO_LENGTHS, pay[1]?.to],
  ]);
  const separate = open();
  const joined = open();
  for (const part of [a, b]) separate.append(part.slice, part.from, part.to);
  joined.append((merged[0] as SegmentPart).slice, a.from, b.to);
  separate.appendDamaged(c.from, c.to);
  joined.appendDamaged(c.from, c.to);
  for (const dictionary of [separate, joined]) dictionary.append(d.slice, d.from, d.to);
  expect(contents(joined)).toEqual(contents(separate));
});
