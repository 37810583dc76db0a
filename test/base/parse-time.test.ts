import { describe, expect, test } from '@jest/globals';
import { parseTime } from '../../src/base/parse-time.ts';

const NOW = Date.parse('2026-08-01T12:00:00Z');

describe('a time in text', () => {
  test.each([
    ['now', NOW],
    ['now-3h', NOW - 3 * 3_600_000],
    ['now+90s', NOW + 90_000],
    ['now-2w', NOW - 14 * 86_400_000],
    ['20260801', Date.parse('2026-08-01T00:00:00Z')],
    ['1700000000', 1_700_000_000_000],
    ['1700000000123', 1_700_000_000_123],
    ['1700000000123456', 1_700_000_000_123],
    ['1700000000123456789', 1_700_000_000_123],
    ['2026-08-01', Date.parse('2026-08-01T00:00:00Z')],
    ['2026-08-01T12:30', NOW + 1_800_000],
    ['2026-08-01 12:30:00.5', NOW + 1_800_500],
    ['2026-08-01T14:00:00+02:00', NOW],
  ])('%s is understood', (text, time) => {
    expect(parseTime(text, NOW)).toBe(time);
  });

  test.each([
    '',
    'NaN',
    'Infinity',
    '1e400',
    '1',
    '-1700000000',
    'now-1y',
    'now-99999999999h',
    'now-999999999w',
    'now-1h-1h',
    '20261332',
    '2026-13-01',
    'yesterday',
    '123456789012345678901',
  ])('%j is refused', (text) => {
    expect(() => parseTime(text, NOW)).toThrow('invalid_time');
  });
});
