/**
 * Every call of Grafana's data source and of its Profiles Drilldown app, over profiles that are known
 * here; what each must answer is worked out from the list of profiles, with nothing of `src/` but the
 * generated messages.
 */
import { expect } from '@jest/globals';
import { type DescMessage, fromJson, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import type { FlameGraph } from '../../src/gen/querier/v1/querier_pb.ts';
import { QuerierService } from '../../src/gen/querier/v1/querier_pb.ts';
import { encodePprof } from '../model/profile.ts';
import { sumsOfFlameGraph } from './naive-graph.ts';
import type { Method } from './real-clients.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const SPACE = 'memory:inuse_space:bytes:space:bytes';
const UNKNOWN = 'no:such:type:of:profile';
const STEP = 15_000;
const { method } = QuerierService;

interface KnownSample {
  readonly stack: readonly string[];
  readonly value: bigint;
  readonly span: number;
}

/** A profile that was pushed. */
export interface KnownProfile {
  readonly id: string;
  readonly timeMs: number;
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly KnownSample[];
}

const spanId = (span: number): string => span.toString(16).padStart(16, '0');
const traceId = (span: number): string => (span % 2).toString(16).padStart(32, 'a');
const STACKS = [
  ['main'],
  ['main', 'alpha'],
  ['main', 'alpha', 'gamma'],
  ['main', 'beta'],
  ['init'],
];

/** Forty profiles of three services in four minutes from `startMs` on. */
export function knownProfiles(startMs: number): KnownProfile[] {
  return Array.from({ length: 40 }, (_, i) => {
    const isMemory = i % 4 === 3;
    return {
      id: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
      // Some on the border of a step.
      timeMs: startMs + (i % 5 === 0 ? Math.floor(i / 5) * STEP : i * 5_987),
      type: isMemory ? SPACE : CPU,
      labels: {
        service_name: `shop-${i % 3}`,
        pod: `p${i % 2}`,
        ...(i % 6 === 0 ? { region: 'north' } : {}),
      },
      samples: STACKS.slice(0, 1 + (i % STACKS.length)).map((stack, s) => ({
        stack,
        value: BigInt((i + 1) * 1_000 + s * 37),
        span: isMemory ? 0 : (i + s) % 4,
      })),
    };
  });
}

/** The pprof bytes of a profile. */
export function pprofOf({ type, timeMs, samples }: KnownProfile): Uint8Array {
  const [, name = '', unit = '', periodType = '', periodUnit = ''] = type.split(':');
  return encodePprof({
    sampleTypes: [[name, unit]],
    periodType: [periodType, periodUnit],
    period: 1n,
    timeNanos: BigInt(timeMs) * 1_000_000n,
    samples: samples.map(({ stack, value, span }) => ({
      values: [value],
      labels:
        span === 0
          ? []
          : [
              ['span_id', spanId(span)],
              ['trace_id', traceId(span)],
            ],
      frames: stack.map((function_) => ({
        name: function_,
        systemName: function_,
        file: `${function_}.go`,
        startLine: 1,
        line: function_.length,
        mappingFile: '/bin/shop',
        buildId: 'b1',
        address: 0,
        inlined: false,
      })),
    })),
  });
}

/** One call. */
export interface Call {
  readonly name: string;
  readonly method: Method;
  readonly request: JsonValue;
  /** Two servers need not say the same. */
  readonly varies?: boolean;
  /** Checks the answer of one that must succeed. */
  readonly check?: (answer: JsonValue) => void;
  /** Code and part of the message of one that must be refused. */
  readonly refused?: readonly [code: string, told: string];
}

type Chosen = (profile: KnownProfile, sample: KnownSample) => boolean;

/** All calls over `profiles`, which `knownProfiles(startMs)` made. */
export function dataSourceCalls(profiles: readonly KnownProfile[], startMs: number): Call[] {
  const endMs = startMs + 300_000;
  const range = { start: String(startMs), end: String(endMs) };
  const empty = { start: '1000000', end: '2000000' };
  const cpu = profiles.filter(({ type }) => type === CPU);
  const data = (fields: Record<string, JsonValue> = {}): Record<string, JsonValue> => ({
    profileTypeID: CPU,
    labelSelector: '{service_name="shop-1"}',
    ...range,
    ...fields,
  });
  const shop1: Chosen = ({ labels }) => labels['service_name'] === 'shop-1';
  const all: Chosen = () => true;

  const sums = (chosen: Chosen): Map<string, bigint> => {
    const found = new Map<string, bigint>();
    for (const profile of cpu) {
      for (const sample of profile.samples.filter((one) => chosen(profile, one))) {
        const key = sample.stack.join('\n');
        found.set(key, (found.get(key) ?? 0n) + sample.value);
      }
    }
    return found;
  };
  const isGraph = (graph: FlameGraph | undefined, chosen: Chosen): void => {
    const expected = sums(chosen);
    expect(graph?.names[0]).toBe('total');
    expect(graph?.levels[0]?.values).toHaveLength(4);
    expect(sumsOfFlameGraph(graph as FlameGraph)).toEqual(expected);
    expect(graph?.total).toBe([...expected.values()].reduce((a, b) => a + b, 0n));
  };
  const graphCall = (name: string, fields: Record<string, JsonValue>, chosen: Chosen): Call =>
    call(name, method.selectMergeStacktraces, data(fields), ({ flamegraph }) =>
      isGraph(flamegraph, chosen),
    );

  /** By group and time, looking through all profiles for each point. */
  const points = (chosen: Chosen, groupBy: readonly string[]): unknown[] => {
    const groupOf = ({ labels }: KnownProfile): string =>
      groupBy.map((name) => labels[name] ?? '').join();
    const rows: unknown[] = [];
    for (const group of [...new Set(cpu.map(groupOf))].sort()) {
      for (let at = startMs; at <= endMs; at += STEP) {
        const inside = cpu.filter(
          (one) =>
            groupOf(one) === group &&
            one.timeMs > at - STEP &&
            one.timeMs <= at &&
            chosen(one, one.samples[0] as KnownSample),
        );
        if (inside.length > 0) rows.push([group, at, inside.map(totalOf)]);
      }
    }
    return rows;
  };
  const seriesCall = (
    name: string,
    fields: Record<string, JsonValue>,
    rows: unknown[],
    isAverage = false,
  ): Call =>
    call(name, method.selectSeries, data({ step: STEP / 1_000, ...fields }), ({ series }) => {
      const found = series.flatMap(({ labels, points: line }) =>
        line.map(({ timestamp, value }) => [
          labels.map((label) => label.value).join(),
          Number(timestamp),
          value,
        ]),
      );
      const expected = (rows as [string, number, bigint[]][]).map(([group, at, totals]) => [
        group,
        at,
        Number(totals.reduce((a, b) => a + b)) / (isAverage ? totals.length : 1),
      ]);
      expect(found).toEqual(expected);
    });

  const [largest] = cpu
    .filter((one) => shop1(one, one.samples[0] as KnownSample))
    .toSorted((a, b) => Number(totalOf(b) - totalOf(a)));
  const profileIds = cpu.slice(2, 6).map(({ id }) => id);
  const types = ({ profileTypes }: MessageShape<typeof method.profileTypes.output>): void => {
    expect(profileTypes.map(({ ID, name, sampleType }) => [ID, name, sampleType])).toEqual([
      [SPACE, 'memory', 'inuse_space'],
      [CPU, 'process_cpu', 'cpu'],
    ]);
  };
  return [
    // The data source.
    call('ProfileTypes', method.profileTypes, range, types),
    call(
      'ProfileTypes as its health check',
      method.profileTypes,
      { start: '1000', end: '4000' },
      ({ profileTypes }) => expect(profileTypes).toEqual([]),
    ),
    call('ProfileTypes as older versions ask', method.profileTypes, {}, types),
    call(
      'LabelNames',
      method.labelNames,
      { ...range, matchers: [`{__profile_type__="${CPU}"}`] },
      ({ names }) =>
        expect(names.filter((name) => !name.startsWith('__'))).toEqual([
          'pod',
          'region',
          'service_name',
        ]),
    ),
    call(
      'LabelNames of no range that has data',
      method.labelNames,
      { ...empty, matchers: ['{}'] },
      ({ names }) => expect(names).toEqual([]),
    ),
    call(
      'LabelValues',
      method.labelValues,
      { ...range, name: 'service_name', matchers: [`{__profile_type__="${SPACE}"}`] },
      ({ names }) => expect(names).toEqual(['shop-0', 'shop-1', 'shop-2']),
    ),
    call(
      'LabelValues of the profile types',
      method.labelValues,
      { ...range, name: '__profile_type__' },
      ({ names }) => expect(names).toEqual([SPACE, CPU]),
    ),
    call(
      'LabelValues of an unknown label',
      method.labelValues,
      { ...range, name: 'nobody', matchers: ['{}'] },
      ({ names }) => expect(names).toEqual([]),
    ),
    call(
      'LabelValues of an unknown type',
      method.labelValues,
      { ...range, name: 'pod', matchers: [`{__profile_type__="${UNKNOWN}"}`] },
      ({ names }) => expect(names).toEqual([]),
    ),
    refusal('LabelValues without a name', method.labelValues, { ...range, matchers: ['{}'] }, [
      'invalid_argument',
      'name is required',
    ]),
    seriesCall('SelectSeries', {}, points(shop1, [])),
    seriesCall(
      'SelectSeries by group',
      { labelSelector: '{}', groupBy: ['pod', 'service_name'] },
      points(all, ['pod', 'service_name']),
    ),
    seriesCall('SelectSeries by an unknown label', { groupBy: ['nobody'] }, points(shop1, [])),
    seriesCall(
      'SelectSeries with averages',
      { aggregation: 'TIME_SERIES_AGGREGATION_TYPE_AVERAGE' },
      points(shop1, []),
      true,
    ),
    seriesCall(
      'SelectSeries with a regular expression',
      { labelSelector: '{service_name=~"shop-[12]",pod!="p0"}' },
      points(({ labels }) => labels['service_name'] !== 'shop-0' && labels['pod'] !== 'p0', []),
    ),
    seriesCall(
      'SelectSeries where a label is absent',
      { labelSelector: '{region=""}' },
      points(({ labels }) => labels['region'] === undefined, []),
    ),
    seriesCall('SelectSeries of nothing that there is', { labelSelector: '{nobody="has it"}' }, []),
    seriesCall('SelectSeries of an unknown type', { profileTypeID: UNKNOWN }, []),
    seriesCall('SelectSeries of no range that has data', empty, []),
    call(
      'SelectSeries with a limit',
      method.selectSeries,
      data({
        labelSelector: '{}',
        step: 300,
        groupBy: ['service_name'],
        limit: '1',
        end: range.start,
        start: range.start,
      }),
      ({ series }) => expect(series).toHaveLength(1),
    ),
    call(
      'SelectSeries with exemplars',
      method.selectSeries,
      data({ step: 300, start: range.end, exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL' }),
      ({ series }) => {
        expect(series).toHaveLength(1);
        expect(series[0]?.points).toHaveLength(1);
        expect(series[0]?.points[0]?.exemplars).toMatchObject([
          {
            profileId: largest?.id,
            timestamp: BigInt(largest?.timeMs ?? 0),
            value: totalOf(largest as KnownProfile),
          },
        ]);
      },
    ),
    graphCall('SelectMergeStacktraces', {}, shop1),
    graphCall('SelectMergeStacktraces of everything', { labelSelector: '{}' }, all),
    graphCall(
      'SelectMergeStacktraces of profiles',
      { labelSelector: '{}', profileIdSelector: profileIds },
      ({ id }) => profileIds.includes(id),
    ),
    graphCall(
      'SelectMergeStacktraces below a call site',
      {
        labelSelector: '{}',
        stackTraceSelector: { callSite: [{ name: 'main' }, { name: 'alpha' }] },
      },
      (_, { stack }) => stack[0] === 'main' && stack[1] === 'alpha',
    ),
    graphCall(
      'SelectMergeStacktraces of spans',
      { labelSelector: '{}', spanSelector: [spanId(1), spanId(3)] },
      (_, { span }) => span % 2 === 1,
    ),
    graphCall(
      'SelectMergeStacktraces of traces',
      { labelSelector: '{}', traceIdSelector: [traceId(2)] },
      (_, { span }) => span === 2,
    ),
    graphCall(
      'SelectMergeStacktraces of an unknown span',
      { spanSelector: [spanId(99)] },
      () => false,
    ),
    graphCall(
      'SelectMergeStacktraces of an unknown profile',
      { profileIdSelector: ['nobody'] },
      () => false,
    ),
    graphCall(
      'SelectMergeStacktraces of nothing that there is',
      { labelSelector: '{nobody="has it"}' },
      () => false,
    ),
    graphCall('SelectMergeStacktraces of an unknown type', { profileTypeID: UNKNOWN }, () => false),
    graphCall('SelectMergeStacktraces of no range that has data', empty, () => false),
    call(
      'SelectMergeStacktraces with a node budget',
      method.selectMergeStacktraces,
      data({ maxNodes: '2' }),
      ({ flamegraph }) => {
        expect(flamegraph?.names).toContain('other');
        const total = [...sums(shop1).values()].reduce((a, b) => a + b, 0n);
        expect(flamegraph?.total).toBe(total);
      },
    ),
    call(
      'SelectMergeSpanProfile',
      method.selectMergeSpanProfile,
      data({ labelSelector: '{}', spanSelector: [spanId(2)] }),
      ({ flamegraph }) => isGraph(flamegraph, (_, { span }) => span === 2),
    ),
    refusal(
      'SelectMergeSpanProfile with a malformed span',
      method.selectMergeSpanProfile,
      data({ spanSelector: ['xyz'] }),
      ['invalid_argument', 'span id: expected 16 hex digits'],
    ),
    call(
      'SelectHeatmap of profiles',
      method.selectHeatmap,
      data({
        labelSelector: '{}',
        step: 60,
        groupBy: ['pod'],
        queryType: 'HEATMAP_QUERY_TYPE_INDIVIDUAL',
        exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL',
      }),
      ({ series }) => {
        const counted = series.map(({ labels, slots }) => [
          labels.map(({ value }) => value).join(),
          slots.flatMap(({ counts }) => counts).reduce((a, b) => a + b),
          slots.map(
            ({ exemplars, counts }) => exemplars.length - counts.filter((n) => n > 0).length,
          ),
        ]);
        const by = (pod: string): number =>
          cpu.filter(({ labels }) => labels['pod'] === pod).length;
        expect(counted).toEqual([
          ['p0', by('p0'), expect.not.arrayContaining([1])],
          ['p1', by('p1'), expect.not.arrayContaining([1])],
        ]);
        const [first] = series[0]?.slots ?? [];
        expect(first?.yMin).toHaveLength(20);
        expect(first?.yMin[0]).toBe(Math.min(...cpu.map((one) => Number(totalOf(one)))));
      },
    ),
    call(
      'SelectHeatmap of spans',
      method.selectHeatmap,
      data({
        labelSelector: '{}',
        step: 300,
        start: range.end,
        queryType: 'HEATMAP_QUERY_TYPE_SPAN',
      }),
      ({ series }) => {
        const spans = cpu.flatMap(({ samples }) => [...new Set(samples.map(({ span }) => span))]);
        const counts = series.flatMap(({ slots }) => slots).flatMap((slot) => slot.counts);
        expect(counts.reduce((a, b) => a + b)).toBe(spans.filter((span) => span !== 0).length);
      },
    ),
    call(
      'SelectHeatmap of no range that has data',
      method.selectHeatmap,
      data({ step: 60, ...empty }),
      ({ series }) => expect(series).toEqual([]),
    ),
    refusal(
      'SelectHeatmap with exemplars of another kind',
      method.selectHeatmap,
      data({
        step: 60,
        queryType: 'HEATMAP_QUERY_TYPE_SPAN',
        exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL',
      }),
      ['invalid_argument', 'exemplar_type asks for profiles'],
    ),
    refusal('SelectSeries without a step', method.selectSeries, data(), [
      'invalid_argument',
      'invalid_step',
    ]),
    refusal('an empty selector', method.selectMergeStacktraces, data({ labelSelector: '' }), [
      'invalid_argument',
      'parse_error',
    ]),
    refusal('a malformed selector', method.selectSeries, data({ labelSelector: '{a=', step: 15 }), [
      'invalid_argument',
      'parse_error',
    ]),
    refusal('a malformed type', method.selectMergeStacktraces, data({ profileTypeID: 'cpu' }), [
      'invalid_argument',
      'invalid_profile_type',
    ]),
    refusal('a range backwards', method.selectMergeStacktraces, data({ start: '9', end: '8' }), [
      'invalid_argument',
      'invalid_time_range',
    ]),
    refusal('a format that is not known', method.selectMergeStacktraces, data({ format: 9 }), [
      'unimplemented',
      'format 9',
    ]),

    // The app beside it.
    call(
      'Series as the start page',
      method.series,
      { ...range, labelNames: ['service_name', '__profile_type__'], matchers: [] },
      ({ labelsSet }) => {
        const sets = labelsSet.map(({ labels }) => labels.map(({ value }) => value).join());
        const expected = new Set(
          profiles.map(({ type, labels }) => `${type},${labels['service_name']}`),
        );
        expect(sets.sort()).toEqual([...expected].sort());
      },
    ),
    call('SelectMergeProfile', method.selectMergeProfile, data(), ({ sample }) => {
      const total = sample.reduce((sum, { value }) => sum + (value[0] ?? 0n), 0n);
      expect(total).toBe([...sums(shop1).values()].reduce((a, b) => a + b, 0n));
    }),
    call(
      'SelectMergeProfile below a call site',
      method.selectMergeProfile,
      data({
        labelSelector: '{}',
        maxNodes: '500',
        stackTraceSelector: { callSite: [{ name: 'init' }] },
      }),
      ({ sample, function: functions, location }) => {
        const total = sample.reduce((sum, { value }) => sum + (value[0] ?? 0n), 0n);
        expect(total).toBe(
          [...sums((_, { stack }) => stack[0] === 'init').values()].reduce((a, b) => a + b, 0n),
        );
        expect(functions).toHaveLength(1);
        expect(location[0]?.line[0]?.line).toBe(4n);
      },
    ),
    call(
      'Diff',
      method.diff,
      { left: data(), right: data({ labelSelector: '{service_name="shop-2"}' }) },
      ({ flamegraph }) => {
        const total = (chosen: Chosen): bigint =>
          [...sums(chosen).values()].reduce((a, b) => a + b, 0n);
        expect([flamegraph?.leftTicks, flamegraph?.rightTicks]).toEqual([
          total(shop1),
          total(({ labels }) => labels['service_name'] === 'shop-2'),
        ]);
      },
    ),
    call('GetProfileStats', method.getProfileStats, {}, ({ dataIngested }) =>
      expect(dataIngested).toBe(true),
    ),
    {
      // Blocks are written when the server has time, and differ in some bytes.
      varies: true,
      ...call('AnalyzeQuery', method.analyzeQuery, { ...range, query: `${CPU}{}` }, (answer) => {
        const counts = answer.queryScopes.map(({ profileCount }) => profileCount);
        expect(counts.reduce((a, b) => a + b)).toBe(BigInt(cpu.length));
      }),
    },
  ];
}

function totalOf({ samples }: KnownProfile): bigint {
  return samples.reduce((sum, { value }) => sum + value, 0n);
}

function call<I extends DescMessage, O extends DescMessage>(
  name: string,
  rpc: Method<I, O>,
  request: JsonValue,
  check: (answer: MessageShape<O>) => void,
): Call {
  return { name, method: rpc, request, check: (answer) => check(fromJson(rpc.output, answer)) };
}

function refusal(
  name: string,
  rpc: Method,
  request: JsonValue,
  refused: readonly [string, string],
): Call {
  return { name, method: rpc, request, refused };
}
