import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HeatmapQueryType, QuerierService } from '../../../src/gen/querier/v1/querier_pb.ts';
import { ExemplarType } from '../../../src/gen/types/v1/types_pb.ts';
import { Dice } from '../../model/dice.ts';
import { DAY, MINUTE, QueryBench, TYPE, type Pushed } from './bench.ts';

const { method } = QuerierService;
const BUCKETS = 20;
const dice = new Dice(23);
const span = (i: number): string => String(i).padStart(16, '0');
const trace = (i: number): string => String(i).padStart(32, '0');
const pushes: Pushed[] = Array.from({ length: 60 }, (_, i) => ({
  startMs: DAY + MINUTE * dice.whole(0, 4) + dice.whole(0, MINUTE - 1),
  id: `00000000-0000-4000-8000-0000000002${String(i).padStart(2, '0')}`,
  labels: [
    ['service_name', `shop${i % 3}`],
    ['pod', `p${dice.whole(0, 1)}`],
  ],
  samples: Array.from({ length: dice.whole(1, 4) }, () => {
    const id = dice.whole(0, 6);
    return {
      stack: ['main', dice.pick(['a', 'b'])],
      value: BigInt(dice.whole(1, 1000)),
      // Span 0 stands for no span.
      labels:
        id === 0
          ? []
          : ([
              ['span_id', span(id)],
              ['trace_id', trace(id % 2)],
            ] as const),
    };
  }),
}));

/** One value of a heat map. */
interface One {
  readonly timeMs: number;
  readonly value: bigint;
  readonly group: string;
  readonly profileId: string;
  readonly spanId: string;
}

function ones(bySpan: boolean, groupBy: readonly string[]): One[] {
  return pushes.flatMap(({ startMs, samples, labels = [], id = '' }) => {
    const values = new Map<string, bigint>();
    for (const sample of samples) {
      const spanId = sample.labels?.find(([name]) => name === 'span_id')?.[1] ?? '';
      const key = bySpan ? spanId : 'all';
      values.set(key, (values.get(key) ?? 0n) + sample.value);
    }
    const group = groupBy.map((name) => labels.find(([key]) => key === name)?.[1] ?? '').join();
    return [...values]
      .filter(([key]) => key !== '')
      .map(([key, value]) => ({
        timeMs: startMs,
        value,
        group,
        profileId: id,
        spanId: bySpan ? key : '',
      }));
  });
}

const bench = new QueryBench();
beforeAll(async () => {
  await bench.open();
  await bench.push(...pushes.slice(0, 40));
});
afterAll(() => bench.engine.stop());

interface Asked {
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  readonly groupBy: string[];
  readonly bySpan: boolean;
  readonly limit: number;
}

const ask = ({ startMs, endMs, stepMs, groupBy, bySpan, limit }: Asked, exemplars = false) =>
  bench.call(method.selectHeatmap, {
    profileTypeID: TYPE,
    labelSelector: '{}',
    start: BigInt(startMs),
    end: BigInt(endMs),
    step: stepMs / 1_000,
    groupBy,
    queryType: bySpan ? HeatmapQueryType.SPAN : HeatmapQueryType.INDIVIDUAL,
    limit: BigInt(limit),
    ...(exemplars ? { exemplarType: bySpan ? ExemplarType.SPAN : ExemplarType.INDIVIDUAL } : {}),
  });

/** The slots of an answer, put together by looking through everything for each cell. */
function naive(asked: Asked): unknown[] {
  const { startMs, endMs, stepMs, groupBy, bySpan, limit } = asked;
  const last = startMs + Math.floor((endMs - startMs) / stepMs) * stepMs;
  const inside = ones(bySpan, groupBy).filter(
    ({ timeMs }) => timeMs > startMs - stepMs && timeMs <= last,
  );
  const sums = new Map<string, bigint>();
  for (const { group, value } of inside) sums.set(group, (sums.get(group) ?? 0n) + value);
  const groups = [...sums]
    .sort(([a, x], [b, y]) => (x === y ? (a < b ? -1 : 1) : x < y ? 1 : -1))
    .slice(0, limit === 0 ? undefined : limit)
    .map(([group]) => group)
    .sort();
  const values = inside
    .filter(({ group }) => groups.includes(group))
    .map(({ value }) => Number(value));
  const min = Math.min(...values);
  const width = Math.max(1, Math.max(...values) - min);
  const rows: unknown[] = [];
  for (const group of groups) {
    for (let at = startMs; at <= endMs; at += stepMs) {
      const here = inside.filter(
        (one) => one.group === group && one.timeMs > at - stepMs && one.timeMs <= at,
      );
      if (here.length === 0) continue;
      const counts = Array.from({ length: BUCKETS }, () => 0);
      for (const { value } of here) {
        const bucket = Math.floor(((Number(value) - min) * BUCKETS) / width);
        counts[Math.min(BUCKETS - 1, bucket)]!++;
      }
      rows.push([group, at, counts, min, min + (19 * width) / BUCKETS]);
    }
  }
  return rows;
}

async function sameAsNaive(): Promise<void> {
  for (let i = 0; i < 30; i++) {
    const startMs = DAY + dice.whole(0, 3) * MINUTE + dice.pick([0, 1, 12_345]);
    const asked = {
      startMs,
      endMs: startMs + dice.whole(0, 5) * MINUTE,
      stepMs: dice.pick([MINUTE, 15_000, 7_001, 5 * MINUTE]),
      groupBy: dice.pick([[], ['pod'], ['service_name']]),
      bySpan: dice.chance(50),
      limit: dice.pick([0, 0, 1, 2]),
    };
    const { series } = await ask(asked);
    const rows = series.flatMap(({ labels, slots }) =>
      slots.map(({ timestamp, counts, yMin }) => [
        labels.map(({ value }) => value).join(),
        Number(timestamp),
        counts,
        yMin[0],
        expect.closeTo(yMin[BUCKETS - 1]!, 6),
      ]),
    );
    expect(naive(asked)).toEqual(rows);
  }
}

describe('a heat map', () => {
  test('is that of the naive reading of the head', async () => {
    const later = pushes.splice(40);
    await sameAsNaive();
    pushes.push(...later);
  });

  test('is that of the naive reading of blocks and head', async () => {
    await bench.absorb();
    await bench.push(...pushes.slice(40));
    await sameAsNaive();
    await bench.absorb();
    await sameAsNaive();
  });

  test.each([false, true])(
    'has the largest of each cell as its exemplar (spans: %s)',
    async (bySpan) => {
      const asked = {
        startMs: DAY + 5 * MINUTE,
        endMs: DAY + 5 * MINUTE,
        stepMs: 10 * MINUTE,
        groupBy: [],
        bySpan,
        limit: 0,
      };
      const [group] = (await ask(asked, true)).series;
      const [slot] = group!.slots;
      const all = ones(bySpan, []);
      expect(slot!.counts.reduce((a, b) => a + b)).toBe(all.length);
      expect(slot!.exemplars).toHaveLength(slot!.counts.filter((count) => count > 0).length);
      for (const { value, profileId, spanId, timestamp, traceId } of slot!.exemplars) {
        const behind = all.filter((one) => one.profileId === profileId && one.spanId === spanId);
        expect(behind).toMatchObject([{ value, timeMs: Number(timestamp) }]);
        expect(traceId).toBe(bySpan ? trace(Number(spanId) % 2) : '');
      }
    },
  );

  test('of one value alone lies in its first bucket', async () => {
    const [only] = pushes.toSorted((a, b) => a.startMs - b.startMs);
    const at = only!.startMs;
    const asked = { startMs: at, endMs: at, stepMs: 1, groupBy: [], bySpan: false, limit: 0 };
    const [group] = (await ask(asked)).series;
    expect(group?.slots).toMatchObject([{ counts: [1, ...Array.from({ length: 19 }, () => 0)] }]);
  });

  test('of nothing is empty; exemplars of another kind are refused', async () => {
    const asked = {
      startMs: 1_000,
      endMs: 2_000,
      stepMs: 500,
      groupBy: [],
      bySpan: true,
      limit: 0,
    };
    expect((await ask(asked, true)).series).toEqual([]);
    await expect(
      bench.call(method.selectHeatmap, {
        profileTypeID: TYPE,
        labelSelector: '{}',
        start: 1n,
        end: 2n,
        step: 1,
        queryType: HeatmapQueryType.SPAN,
        exemplarType: ExemplarType.INDIVIDUAL,
      }),
    ).rejects.toMatchObject({ reason: 'invalid_argument' });
  });

  test('counts the profiles whose spans the raw tier has no more', async () => {
    await bench.dropRaw();
    const asked = {
      startMs: DAY,
      endMs: DAY + 10 * MINUTE,
      stepMs: MINUTE,
      groupBy: [],
      bySpan: false,
      limit: 0,
    };
    expect((await ask(asked)).series).toHaveLength(1);
    expect((await ask({ ...asked, bySpan: true })).series).toEqual([]);
    let unread = 0;
    const request = {
      ...asked,
      tenant: 'anonymous',
      selector: '{}',
      profileType: TYPE,
      aggregation: 'sum' as const,
      heat: { of: 'spans' as const },
    };
    await bench.engine.heatmap(request, (notes) => (unread = notes.unreadProfiles));
    expect(unread).toBe(pushes.length);
  });
});
