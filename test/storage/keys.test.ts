import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  blockKey,
  fragmentKey,
  fragmentPrefix,
  markerKey,
  minutesVolume,
  parseBlockKey,
  parseFragmentKey,
  parseMinutesVolume,
  parseRawVolume,
  parseRootName,
  parseSegmentKey,
  rawVolume,
  rootName,
  segmentKey,
} from '../../src/storage/keys.ts';

const AT = Date.UTC(2026, 2, 14, 9, 26, 53);
const HOUR = Date.UTC(2026, 2, 14, 9);
const DAY = Date.UTC(2026, 2, 14);

test('keys are spelled as the format says', () => {
  expect(rawVolume(AT)).toBe('raw/20260314-06');
  expect(fragmentKey({ arrivalHourMs: HOUR, shard: 3, incarnation: 7, seq: 42 })).toBe(
    'raw/20260314-06/f/20260314-09/03/0000000007/0000000042',
  );
  expect(fragmentPrefix({ arrivalHourMs: HOUR })).toBe('raw/20260314-06/f/20260314-09/');
  expect(fragmentPrefix({ arrivalHourMs: HOUR, shard: 3 })).toBe(
    'raw/20260314-06/f/20260314-09/03/',
  );
  expect(markerKey(rawVolume(AT), HOUR, '00ff'.repeat(8))).toBe(
    'raw/20260314-06/u/20260314-09/00ff00ff00ff00ff00ff00ff00ff00ff',
  );
  expect(minutesVolume(DAY)).toBe('minutes/20260314');
  expect(blockKey(DAY, 3, 'ab12')).toBe('minutes/20260314/b/03/ab12');
  expect(segmentKey(DAY, 3, 'ab12')).toBe('minutes/20260314/s/03/ab12');
  expect(rootName(DAY, 16, 3)).toBe('minutes/20260314/r/16/03');
});

test('what was built is parsed back', () => {
  const hour = fc.nat(1_000_000).map((n) => n * 3_600_000);
  fc.assert(
    fc.property(
      hour,
      fc.nat(98),
      fc.nat(9_999_999_999),
      fc.nat(9_999_999_999),
      (ms, shard, i, seq) => {
        const address = { arrivalHourMs: ms, shard, incarnation: i, seq };
        expect(parseFragmentKey(fragmentKey(address))).toEqual(address);
        const dayMs = ms - (ms % 86_400_000);
        expect(parseBlockKey(blockKey(dayMs, shard, 'ab'))).toEqual({ dayMs, shard, id: 'ab' });
        expect(parseSegmentKey(segmentKey(dayMs, shard, 'ab'))).toEqual({ dayMs, shard, id: 'ab' });
        expect(parseRootName(rootName(dayMs, 99, shard))).toEqual({ dayMs, shardCount: 99, shard });
        expect(parseMinutesVolume(minutesVolume(dayMs))).toBe(dayMs);
        expect(parseRawVolume(rawVolume(ms))).toBe(ms - (ms % (6 * 3_600_000)));
      },
    ),
  );
});

test('fragments of a shard sort by their sequence', () => {
  const keys = [9, 10, 99, 100].map((seq) =>
    fragmentKey({ arrivalHourMs: HOUR, shard: 3, incarnation: 7, seq }),
  );
  expect(keys.toSorted()).toEqual(keys);
});

test.each([
  'raw/20260314-00/f/20260314-09/03/0000000007/0000000042',
  'raw/20260314-06/f/20260314-09/3/0000000007/0000000042',
  'raw/20260314-06/f/20260314-99/03/0000000007/0000000042',
  'raw/20260314-06/u/20260314-09/00ff',
  'minutes/20260314/b/03/ab12',
  '',
])('%j is no key of a fragment', (key) => {
  expect(parseFragmentKey(key)).toBeUndefined();
});

test('other kinds, impossible dates and shards are not parsed', () => {
  expect(parseBlockKey('minutes/20260314/s/03/ab')).toBeUndefined();
  expect(parseSegmentKey('minutes/20260314/b/03/ab')).toBeUndefined();
  expect(parseBlockKey('minutes/20260231/b/03/ab')).toBeUndefined();
  expect(parseRootName('minutes/20260314/r/16/16')).toBeUndefined();
  expect(parseRawVolume('raw/20260314-07')).toBeUndefined();
  expect(parseRawVolume('raw/20260314')).toBeUndefined();
  expect(parseMinutesVolume('minutes/20260314-00')).toBeUndefined();
});
