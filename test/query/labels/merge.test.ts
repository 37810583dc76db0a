import { describe, expect, it } from '@jest/globals';
import {
  labelNames,
  labelValues,
  profileTypes,
  seriesProjections,
} from '../../../src/query/labels/merge.ts';
import type { SeriesRow } from '../../../src/query/labels/series-label.ts';
import { compareText } from '../../../src/base/text-order.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const MEMORY = 'memory:malloc_bytes:bytes::';
const ROWS: readonly SeriesRow[] = [
  { type: CPU, labels: [['service_name', 'shop']] },
  {
    type: CPU,
    labels: [
      ['region', 'eu'],
      ['service_name', 'cart'],
    ],
  },
  { type: MEMORY, labels: [['service_name', 'shop']] },
  { type: MEMORY, labels: [] },
];

describe('labelNames', () => {
  it('has the stored and the derived names', () => {
    expect(labelNames(ROWS)).toEqual([
      '__name__',
      '__period_type__',
      '__period_unit__',
      '__profile_type__',
      '__service_name__',
      '__type__',
      '__unit__',
      'region',
      'service_name',
    ]);
  });

  it('has none without series', () => {
    expect(labelNames([])).toEqual([]);
  });
});

describe('labelValues', () => {
  it.each([
    ['service_name', ['cart', 'shop', 'unknown_service']],
    ['__service_name__', ['cart', 'shop', 'unknown_service']],
    ['region', ['eu']],
    ['__profile_type__', [MEMORY, CPU]],
    ['__name__', ['memory', 'process_cpu']],
    ['__period_type__', ['cpu']],
    ['absent', []],
  ])('of %s', (name, values) => {
    expect(labelValues(ROWS, name)).toEqual(values);
  });

  it('sorts by UTF-8 bytes', () => {
    const rows = ['😀', '\uFFFD', 'é', 'z'].map((value): SeriesRow => {
      return { type: CPU, labels: [['a', value]] };
    });
    expect(labelValues(rows, 'a')).toEqual(['z', 'é', '\uFFFD', '😀']);
    expect(compareText('a😀', 'a')).toBeGreaterThan(0);
  });
});

describe('profileTypes', () => {
  it('lists the ids', () => {
    expect(profileTypes(ROWS)).toEqual([MEMORY, CPU]);
  });
});

describe('seriesProjections', () => {
  it('gives the services and their types, the start page of Drilldown', () => {
    expect(seriesProjections(ROWS, ['service_name', '__profile_type__'])).toEqual([
      [
        ['__profile_type__', MEMORY],
        ['service_name', 'shop'],
      ],
      [
        ['__profile_type__', MEMORY],
        ['service_name', 'unknown_service'],
      ],
      [
        ['__profile_type__', CPU],
        ['service_name', 'cart'],
      ],
      [
        ['__profile_type__', CPU],
        ['service_name', 'shop'],
      ],
    ]);
  });

  it('is distinct and leaves out what a series lacks', () => {
    expect(seriesProjections([...ROWS, ...ROWS], ['region'])).toEqual([[['region', 'eu']]]);
  });

  it('gives all labels for no names', () => {
    expect(seriesProjections(ROWS.slice(3), [])).toEqual([
      [
        ['__name__', 'memory'],
        ['__profile_type__', MEMORY],
        ['__service_name__', 'unknown_service'],
        ['__type__', 'malloc_bytes'],
        ['__unit__', 'bytes'],
        ['service_name', 'unknown_service'],
      ],
    ]);
  });
});
