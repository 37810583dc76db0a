import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Label } from '../../../src/profile/labels.ts';
import type { SeriesRequest } from '../../../src/query/request.ts';
import { SeriesBuckets } from '../../../src/query/series/buckets.ts';
import { finishSeries } from '../../../src/query/series/finish.ts';

const REQUEST: SeriesRequest = {
  tenant: 'anonymous',
  selector: '{}',
  profileType: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
  startMs: 60_000,
  endMs: 120_000,
  stepMs: 15_000,
  groupBy: [],
  aggregation: 'sum',
};
const A: readonly Label[] = [['service_name', 'a']];
const B: readonly Label[] = [['service_name', 'b']];

describe('SeriesBuckets', () => {
  it.each([
    [60_000, 60_000],
    [75_000, 75_000],
    [75_001, 90_000],
    [45_001, 60_000],
    [45_000, undefined],
    [120_000, 120_000],
    [120_001, undefined],
  ])('puts a profile at %d into the point at %s', (timestampMs, point) => {
    const buckets = new SeriesBuckets(REQUEST);
    buckets.add([], timestampMs, 7n);
    expect(buckets.finish()).toEqual(
      point === undefined
        ? []
        : [{ labels: [], points: [{ timestampMs: point, value: 7, sum: 7n, profiles: 1 }] }],
    );
  });

  it('leaves out points after the last whole step and steps without a profile', () => {
    const buckets = new SeriesBuckets({ ...REQUEST, endMs: 119_999 });
    expect([buckets.afterMs, buckets.untilMs]).toEqual([45_000, 105_000]);
    buckets.add(A, 105_000, 1n);
    buckets.add(A, 105_001, 1n);
    buckets.add(A, 60_000, 1n);
    expect(buckets.finish()[0]?.points.map(({ timestampMs }) => timestampMs)).toEqual([
      60_000, 105_000,
    ]);
  });

  it('averages over profiles', () => {
    const buckets = new SeriesBuckets({ ...REQUEST, aggregation: 'average' });
    buckets.add(A, 60_000, 1n);
    buckets.add(A, 59_000, 4n, 3);
    expect(buckets.finish()[0]?.points).toEqual([
      { timestampMs: 60_000, value: 1.25, sum: 5n, profiles: 4 },
    ]);
  });

  it('keeps the groups with the largest sums', () => {
    const buckets = new SeriesBuckets({ ...REQUEST, limit: 1 });
    buckets.add(A, 60_000, 5n);
    buckets.add(B, 60_000, 3n);
    buckets.add(B, 75_000, 3n);
    expect(buckets.finish().map(({ labels }) => labels)).toEqual([B]);
  });

  it('rounds once: sums of values that doubles cannot hold are exact', () => {
    const buckets = new SeriesBuckets(REQUEST);
    const total = 2n ** 53n + 1n;
    for (let i = 0; i < 3; i++) buckets.add(A, 60_000, total);
    expect(buckets.finish()[0]?.points[0]?.value).toBe(Number(total * 3n));
    expect(Number(total * 3n)).not.toBe(Number(total) * 3);
  });

  it('refuses steps and ranges that make no timeline', () => {
    for (const stepMs of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => new SeriesBuckets({ ...REQUEST, stepMs })).toThrow('invalid_step');
    }
    expect(() => new SeriesBuckets({ ...REQUEST, endMs: 1 })).toThrow('invalid_time_range');
    const range = { ...REQUEST, startMs: 0, stepMs: 1 };
    expect(() => new SeriesBuckets({ ...range, endMs: 10_999 })).not.toThrow();
    expect(() => new SeriesBuckets({ ...range, endMs: 11_000 })).toThrow(
      'too_many_points: expected at most 11000 points, found 11001',
    );
  });

  it('gives the same answer however the profiles are spread over threads', () => {
    const profile = fc.tuple(
      fc.constantFrom(A, B, []),
      fc.integer({ min: 40_000, max: 125_000 }),
      fc.bigInt(0n, 1n << 60n),
    );
    fc.assert(
      fc.property(fc.array(profile), fc.integer({ min: 1, max: 4 }), (profiles, threads) => {
        const whole = new SeriesBuckets({ ...REQUEST, limit: 2 });
        const split = Array.from({ length: threads }, () => new SeriesBuckets(REQUEST));
        for (const [i, [labels, at, total]] of profiles.entries()) {
          whole.add(labels, at, total);
          split[i % threads]?.add([...labels], at, total);
        }
        const parts = structuredClone(split.map((buckets) => buckets.part()));
        const joined = new SeriesBuckets({ ...REQUEST, limit: 2 });
        for (const part of parts) joined.merge(part);
        expect(finishSeries(parts, { ...REQUEST, limit: 2 })).toEqual(whole.finish());
        expect(joined.finish()).toEqual(whole.finish());
      }),
    );
  });
});
