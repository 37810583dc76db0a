import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { QuerierService } from '../../../src/gen/querier/v1/querier_pb.ts';
import {
  ExemplarType,
  TimeSeriesAggregationType as Aggregation,
} from '../../../src/gen/types/v1/types_pb.ts';
import { QueryService } from '../../../src/gen/tephra/v1/query_pb.ts';
import { Dice } from '../../model/dice.ts';
import { DAY, MINUTE, QueryBench, TYPE, type Pushed } from './bench.ts';

const { method } = QuerierService;
const dice = new Dice(11);
const pushes: Pushed[] = Array.from({ length: 40 }, (_, i) => ({
  // Every fourth one at a full minute: the border of steps.
  startMs: DAY + MINUTE * dice.whole(0, 4) + (i % 4 === 0 ? 0 : dice.whole(0, MINUTE - 1)),
  id: `00000000-0000-4000-8000-0000000001${String(i).padStart(2, '0')}`,
  labels: [
    ['service_name', 'shop'],
    ['pod', `p${dice.whole(0, 1)}`],
    ['zone', `z${i % 3}`],
  ],
  samples: Array.from({ length: dice.whole(1, 5) }, () => ({
    stack: Array.from({ length: dice.whole(1, 3) }, () => dice.pick(['a', 'b'])),
    value: BigInt(dice.whole(1, 1000)),
  })),
}));

interface Asked {
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  readonly groupBy: string[];
  readonly callSite: string[];
  readonly isAverage: boolean;
}

function valueOf({ samples }: Pushed, callSite: readonly string[]): bigint {
  return samples
    .filter(({ stack }) => callSite.every((name, i) => stack[i] === name))
    .reduce((sum, { value }) => sum + value, 0n);
}

function labelOf({ labels = [] }: Pushed, name: string): string {
  return labels.find(([key]) => key === name)?.[1] ?? '';
}

/** By group and time, looking through everything for each point. */
function naive(asked: Asked): Map<string, [number, number][]> {
  const { startMs, endMs, stepMs, groupBy } = asked;
  const lines = new Map<string, [number, number][]>();
  const groups = new Set(pushes.map((push) => groupBy.map((name) => labelOf(push, name)).join()));
  for (const group of groups) {
    const points: [number, number][] = [];
    for (let at = startMs; at <= endMs; at += stepMs) {
      const inside = pushes.filter(
        (push) =>
          push.startMs > at - stepMs &&
          push.startMs <= at &&
          groupBy.map((name) => labelOf(push, name)).join() === group,
      );
      if (inside.length === 0) continue;
      const sum = inside.reduce((all, push) => all + valueOf(push, asked.callSite), 0n);
      points.push([at, Number(sum) / (asked.isAverage ? inside.length : 1)]);
    }
    if (points.length > 0) lines.set(group, points);
  }
  return lines;
}

const bench = new QueryBench();
beforeAll(async () => {
  await bench.open();
  await bench.push(...pushes.slice(0, 25));
});
afterAll(() => bench.engine.stop());

async function answered(asked: Asked): Promise<Map<string, [number, number][]>> {
  const { series } = await bench.call(method.selectSeries, {
    profileTypeID: TYPE,
    labelSelector: '{}',
    start: BigInt(asked.startMs),
    end: BigInt(asked.endMs),
    step: asked.stepMs / 1_000,
    groupBy: asked.groupBy,
    aggregation: asked.isAverage ? Aggregation.AVERAGE : Aggregation.SUM,
    stackTraceSelector: { callSite: asked.callSite.map((name) => ({ name })) },
  });
  return new Map(
    series.map(({ labels, points }) => [
      asked.groupBy.map((name) => labels.find((one) => one.name === name)?.value ?? '').join(),
      points.map(({ timestamp, value }): [number, number] => [Number(timestamp), value]),
    ]),
  );
}

async function sameAsNaive(): Promise<void> {
  for (let i = 0; i < 40; i++) {
    const startMs = DAY + dice.whole(0, 3) * MINUTE + dice.pick([0, 0, 1, 12_345]);
    const asked = {
      startMs,
      endMs: startMs + dice.whole(0, 5) * MINUTE,
      stepMs: dice.pick([MINUTE, 15_000, 7_001, 5 * MINUTE]),
      groupBy: dice.pick([[], ['pod'], ['pod', 'zone']]),
      callSite: dice.pick([[], ['a'], ['a', 'b'], ['b']]),
      isAverage: dice.chance(50),
    };
    const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);
    expect([...(await answered(asked))].sort(byKey)).toEqual([...naive(asked)].sort(byKey));
  }
}

describe('a timeline', () => {
  test('is that of the naive reading of the head', async () => {
    const all = pushes.splice(25);
    await sameAsNaive();
    pushes.push(...all);
  });

  test('is that of the naive reading of blocks and head, below a call site too', async () => {
    await bench.absorb();
    await bench.push(...pushes.slice(25));
    await sameAsNaive();
    await bench.absorb();
    await sameAsNaive();
  });

  test('names the largest profile behind each point, and finds it by its id', async () => {
    const startMs = DAY + MINUTE;
    const stepMs = 2 * MINUTE;
    const { series } = await bench.call(method.selectSeries, {
      profileTypeID: TYPE,
      labelSelector: '{}',
      start: BigInt(startMs),
      end: BigInt(startMs + 4 * MINUTE),
      step: stepMs / 1_000,
      groupBy: ['pod'],
      exemplarType: ExemplarType.INDIVIDUAL,
    });
    expect(series).toHaveLength(2);
    for (const { labels, points } of series) {
      for (const { timestamp, exemplars } of points) {
        const at = Number(timestamp);
        const largest = pushes
          .filter(
            (push) =>
              push.startMs > at - stepMs &&
              push.startMs <= at &&
              labelOf(push, 'pod') === labels[0]?.value,
          )
          .map((push) => valueOf(push, []))
          .reduce((a, b) => (a > b ? a : b), 0n);
        const [exemplar] = exemplars;
        expect(exemplar?.value).toBe(largest);
        expect(exemplar?.labels.map(({ name }) => name)).toEqual(['service_name', 'zone']);
        const { flamegraph } = await bench.call(method.selectMergeStacktraces, {
          profileTypeID: TYPE,
          labelSelector: '{}',
          start: BigInt(DAY),
          end: BigInt(DAY + 10 * MINUTE),
          profileIdSelector: [exemplar?.profileId ?? ''],
        });
        expect(flamegraph?.total).toBe(largest);
      }
    }
  });

  test('by a label that is named twice has it once', async () => {
    const lines = async (groupBy: string[]) =>
      (
        await bench.call(method.selectSeries, {
          profileTypeID: TYPE,
          labelSelector: '{}',
          start: BigInt(DAY),
          end: BigInt(DAY + 4 * MINUTE),
          step: 60,
          groupBy,
        })
      ).series;
    const once = await lines(['pod']);
    expect(once.length).toBeGreaterThan(0);
    expect(await lines(['pod', 'pod'])).toEqual(once);
  });

  test('keeps the lines with the largest sums', async () => {
    const selection = {
      profileType: TYPE,
      selector: '{}',
      startMs: BigInt(DAY + 10 * MINUTE),
      endMs: BigInt(DAY + 10 * MINUTE),
    };
    const stepMs = BigInt(11 * MINUTE);
    const ask = (limit: number) =>
      bench.call(QueryService.method.series, { selection, stepMs, groupBy: ['zone'], limit });
    const all = (await ask(0)).lines.toSorted((a, b) =>
      (b.points[0]?.sum ?? 0n) > (a.points[0]?.sum ?? 0n) ? 1 : -1,
    );
    expect(all).toHaveLength(3);
    const { lines, exactness } = await ask(1);
    expect(lines).toEqual(all.slice(0, 1));
    expect(exactness?.exact).toBe(true);
    expect((await ask(0)).exactness).toMatchObject({
      total: pushes.reduce((sum, push) => sum + valueOf(push, []), 0n),
      profiles: 40n,
    });
  });

  test('says where steps cut minutes whose profiles are gone', async () => {
    await bench.dropRaw();
    const selection = {
      profileType: TYPE,
      selector: '{}',
      startMs: BigInt(DAY),
      endMs: BigInt(DAY + 5 * MINUTE),
    };
    const totals = await bench.call(QueryService.method.series, { selection, stepMs: 15_000n });
    expect(totals.exactness).toMatchObject({ exact: true, wholeMinutes: 0n });
    const below = await bench.call(QueryService.method.series, {
      selection: { ...selection, callSite: ['a'] },
      stepMs: 15_000n,
    });
    expect(below.exactness).toMatchObject({ exact: false, resolutionMs: 60_000n });
    expect(below.exactness?.wholeMinutes).toBeGreaterThan(0n);
  });
});

test('a sample label that the series has too does not make two profiles of one', async () => {
  const labels = [
    ['service_name', 'split'],
    ['zone', 'a'],
  ] as const;
  const startMs = bench.nowMs;
  await bench.push({
    startMs,
    labels,
    samples: [
      { stack: ['main'], value: 10n },
      { stack: ['main'], value: 20n, labels: [['zone', 'a']] },
      { stack: ['main'], value: 30n, labels: [['zone', 'b']] },
      {
        stack: ['main'],
        value: 40n,
        labels: [
          ['handler', 'x'],
          ['zone', 'b'],
        ],
      },
      { stack: ['main'], value: 50n, labels: [['handler', 'x']] },
    ],
  });
  const { series } = await bench.call(method.selectSeries, {
    profileTypeID: TYPE,
    labelSelector: '{service_name="split"}',
    start: BigInt(startMs),
    end: BigInt(startMs),
    step: 15,
    groupBy: ['zone', 'handler'],
    aggregation: Aggregation.AVERAGE,
  });
  expect(
    series.map(({ labels: found, points }) => [
      found.map(({ value }) => value).join(),
      points.map(({ value }) => value),
    ]),
  ).toEqual([
    ['x,a', [90]],
    ['a', [60]],
  ]);
});
