/**
 * Every field of every request of `querier.v1` and `tephra.v1` has a row here: it changes the answer, it
 * is refused, or the contract says that it is ignored. A new field without a row fails the last test.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type DescMessage,
  type DescMethod,
  fromJson,
  type JsonObject,
  toJson,
} from '@bufbuild/protobuf';
import { QuerierService } from '../../src/gen/querier/v1/querier_pb.ts';
import { IngestService } from '../../src/gen/tephra/v1/ingest_pb.ts';
import { QueryService } from '../../src/gen/tephra/v1/query_pb.ts';
import { TephraError } from '../../src/base/errors.ts';
import { DAY, itemOf, MINUTE, QueryBench, TYPE, type Pushed } from '../query/execute/bench.ts';

const SPACE = 'memory:space:bytes:cpu:nanoseconds';
const SPAN = 'a'.repeat(16);
const TRACE = 'b'.repeat(32);
const ID = '00000000-0000-4000-8000-000000000001';

const pushes: Pushed[] = [
  {
    startMs: DAY + MINUTE,
    id: ID,
    labels: [
      ['service_name', 'shop'],
      ['pod', 'p1'],
    ],
    samples: [
      { stack: ['main', 'a', 'b'], value: 500n, labels: [['span_id', SPAN]] },
      { stack: ['main', 'c', 'd'], value: 70n, labels: [['trace_id', TRACE]] },
      { stack: ['main', 'e'], value: 2n, labels: [['span_id', SPAN]] },
      { stack: ['init'], value: 3n },
    ],
  },
  {
    startMs: DAY + 3 * MINUTE,
    labels: [
      ['service_name', 'bank'],
      ['pod', 'p2'],
    ],
    samples: [{ stack: ['main', 'a'], value: 9n }],
  },
  {
    startMs: DAY + 2 * MINUTE,
    labels: [
      ['service_name', 'shop'],
      ['zone', 'z'],
    ],
    name: 'memory',
    type: ['space', 'bytes'],
    samples: [{ stack: ['main'], value: 1n }],
  },
];

/** What setting a field does. */
type Effect = 'works' | `refused: ${string}` | `ignored: ${string}`;

interface Row {
  /** The field's path, by the names of the proto file. */
  readonly field: string;
  /** Fields, merged into the base of the method. */
  readonly set: JsonObject;
  readonly effect: Effect;
  /** Merged into the base of the method for both answers. */
  readonly with?: JsonObject;
}

interface MethodRows {
  readonly method: DescMethod;
  readonly base: JsonObject;
  readonly rows: readonly Row[];
}

const row = (field: string, set: JsonObject, effect: Effect = 'works', base?: JsonObject): Row => ({
  field,
  set,
  effect,
  ...(base === undefined ? {} : { with: base }),
});

const range = { start: String(DAY), end: String(DAY + 10 * MINUTE) };
const later = String(DAY + 2 * MINUTE);
const data = { profileTypeID: TYPE, labelSelector: '{}', ...range };
const dataRows = [
  row('profile_typeID', { profileTypeID: SPACE }),
  row('label_selector', { labelSelector: '{pod="p1"}' }),
  row('start', { start: later }),
  row('end', { end: later }),
];
const labelRows = [
  row('matchers', { matchers: ['{service_name="bank"}'] }),
  row('start', { start: later }, 'ignored: labels are told apart by whole hours'),
  row('start', { start: String(DAY + 90 * MINUTE), end: String(DAY + 99 * MINUTE) }),
  row('end', { end: later }, 'ignored: labels are told apart by whole hours'),
  row('end', { start: String(DAY - 99 * MINUTE), end: String(DAY - 90 * MINUTE) }),
];
const pprof = { format: 'PROFILE_FORMAT_PPROF' };
const callSite = (...names: string[]): JsonObject => ({
  stackTraceSelector: { callSite: names.map((name) => ({ name })) },
});
const goPgo = (shape: JsonObject): JsonObject => ({ stackTraceSelector: { goPgo: shape } });
const NOT_PPROF = 'refused: invalid_argument';
const BY_CONTRACT = 'ignored: a server that runs no query in the background answers at once';
const idRows = [
  row('profile_id_selector', { profileIdSelector: [ID] }),
  row('profile_id_selector', { profileIdSelector: [''] }, 'refused: invalid_argument'),
  row('trace_id_selector', { traceIdSelector: [TRACE] }),
  row('trace_id_selector', { traceIdSelector: ['x'] }, 'refused: invalid_argument'),
];
const mergeRows = [
  ...dataRows,
  row('max_nodes', { maxNodes: '1' }),
  row('max_nodes', { maxNodes: '-1' }, 'refused: invalid_max_nodes'),
  row('stack_trace_selector.call_site.name', callSite('main', 'a')),
  row('stack_trace_selector.go_pgo.keep_locations', goPgo({ keepLocations: 1 }), NOT_PPROF),
  row(
    'stack_trace_selector.go_pgo.aggregate_callees',
    goPgo({ aggregateCallees: true }),
    NOT_PPROF,
  ),
  ...idRows,
  row('span_selector', { spanSelector: [SPAN] }),
  row('span_selector', { spanSelector: ['x'] }, 'refused: invalid_argument'),
  row(
    'span_selector',
    { spanSelector: [SPAN], traceIdSelector: [TRACE] },
    'refused: invalid_argument',
  ),
  row('async.request_id', { async: { requestId: 'x' } }, BY_CONTRACT),
  row('async.type', { async: { type: 'ASYNC_QUERY_TYPE_FORCE' } }, BY_CONTRACT),
];
/** Rows of a message that is a field of the request. */
const inside = (field: string, rows: readonly Row[], base: JsonObject): Row[] =>
  rows.map((one) => ({
    ...one,
    field: `${field}.${one.field}`,
    set: { [field]: { ...base, ...one.with, ...one.set } },
    with: { [field]: { ...base, ...one.with } },
  }));

const selection = { profileType: TYPE, selector: '{}', startMs: range.start, endMs: range.end };
const idsRefused = 'refused: unimplemented';
const selectionRows = (ids: Effect = 'works'): Row[] => [
  row('profile_type', { profileType: SPACE }),
  row('selector', { selector: '{pod="p1"}' }),
  row('start_ms', { startMs: later }),
  row('end_ms', { endMs: later }),
  row('call_site', { callSite: ['main', 'a'] }),
  row('profile_ids', { profileIds: [ID] }, ids),
  row('span_ids', { spanIds: [SPAN] }, ids),
  row('trace_ids', { traceIds: [TRACE] }, ids),
  row('trace_ids', { traceIds: ['x'] }, 'refused: invalid_argument'),
];

const querier = QuerierService.method;
const tephra = QueryService.method;
const METHODS: readonly MethodRows[] = [
  {
    method: querier.profileTypes,
    base: range,
    rows: [
      row('start', { start: String(DAY + 90 * MINUTE), end: String(DAY + 99 * MINUTE) }),
      row('end', { start: '1', end: '2' }),
    ],
  },
  { method: querier.labelNames, base: range, rows: labelRows },
  {
    method: querier.labelValues,
    base: { ...range, name: 'service_name' },
    rows: [...labelRows, row('name', { name: 'pod' }), row('name', { name: '' }, NOT_PPROF)],
  },
  {
    method: querier.series,
    base: range,
    rows: [...labelRows, row('label_names', { labelNames: ['pod'] })],
  },
  {
    method: querier.selectMergeStacktraces,
    base: data,
    rows: [
      ...mergeRows,
      row('format', { format: 'PROFILE_FORMAT_TREE' }),
      row('format', { format: 'PROFILE_FORMAT_DOT' }),
      row('format', pprof),
      row('format', { format: 99 }, 'refused: unimplemented'),
      row(
        'stack_trace_selector.go_pgo.keep_locations',
        goPgo({ keepLocations: 1 }),
        'works',
        pprof,
      ),
      row(
        'stack_trace_selector.go_pgo.aggregate_callees',
        goPgo({ aggregateCallees: true }),
        'works',
        pprof,
      ),
    ],
  },
  {
    method: querier.selectMergeSpanProfile,
    base: { ...data, spanSelector: [SPAN] },
    rows: [
      row('profile_typeID', { profileTypeID: SPACE }),
      row('label_selector', { labelSelector: '{pod="p2"}' }),
      row('start', { start: later }),
      row('end', { end: String(DAY + 1) }),
      row('span_selector', { spanSelector: ['c'.repeat(16)] }),
      row('span_selector', { spanSelector: [] }, 'refused: invalid_argument'),
      row('max_nodes', { maxNodes: '1' }),
      row('format', { format: 'PROFILE_FORMAT_TREE' }),
      row('format', { format: 'PROFILE_FORMAT_DOT' }, 'refused: invalid_argument'),
      row('format', { format: 99 }, 'refused: unimplemented'),
    ],
  },
  {
    method: querier.selectMergeProfile,
    base: data,
    rows: [
      ...dataRows,
      ...idRows,
      row('max_nodes', { maxNodes: '1' }, 'ignored: pprof is not cut'),
      row('max_nodes', { maxNodes: '-1' }, 'refused: invalid_max_nodes'),
      row('stack_trace_selector.call_site.name', callSite('main', 'a')),
      row('stack_trace_selector.go_pgo.keep_locations', goPgo({ keepLocations: 1 })),
      row('stack_trace_selector.go_pgo.aggregate_callees', goPgo({ aggregateCallees: true })),
    ],
  },
  {
    method: querier.selectSeries,
    base: { ...data, step: 60 },
    rows: [
      ...dataRows,
      row('group_by', { groupBy: ['pod'] }),
      row('step', { step: 300 }),
      row('step', { step: 0 }, 'refused: invalid_step'),
      row('aggregation', { aggregation: 'TIME_SERIES_AGGREGATION_TYPE_AVERAGE' }, 'works', {
        step: 600,
        start: range.end,
      }),
      row('aggregation', { aggregation: 99 }, 'refused: unimplemented'),
      row('stack_trace_selector.call_site.name', callSite('main', 'a')),
      row('stack_trace_selector.go_pgo.keep_locations', goPgo({ keepLocations: 1 }), NOT_PPROF),
      row(
        'stack_trace_selector.go_pgo.aggregate_callees',
        goPgo({ aggregateCallees: true }),
        NOT_PPROF,
      ),
      row('limit', { limit: '1' }, 'works', { groupBy: ['pod'] }),
      row('limit', { limit: '-1' }, 'refused: invalid_argument'),
      row('exemplar_type', { exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL' }),
      row('exemplar_type', { exemplarType: 'EXEMPLAR_TYPE_SPAN' }, 'refused: unimplemented'),
      row('exemplar_type', { exemplarType: 99 }, 'refused: unimplemented'),
      row(
        'exemplar_type',
        { exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL', ...callSite('main') },
        'refused: unimplemented',
      ),
    ],
  },
  {
    method: querier.selectHeatmap,
    base: { ...data, step: 60 },
    rows: [
      ...dataRows,
      row('step', { step: 300 }),
      row('step', { step: -1 }, 'refused: invalid_step'),
      row('group_by', { groupBy: ['pod'] }),
      row('query_type', { queryType: 'HEATMAP_QUERY_TYPE_SPAN' }),
      row('query_type', { queryType: 99 }, 'refused: unimplemented'),
      row('exemplar_type', { exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL' }),
      row('exemplar_type', { exemplarType: 'EXEMPLAR_TYPE_SPAN' }, 'refused: invalid_argument'),
      row('exemplar_type', { exemplarType: 99 }, 'refused: unimplemented'),
      row('limit', { limit: '1' }, 'works', { groupBy: ['pod'] }),
      row('limit', { limit: '-1' }, 'refused: invalid_argument'),
    ],
  },
  {
    method: querier.diff,
    base: { left: data, right: data },
    rows: ['left', 'right'].flatMap((side) => [
      ...inside(side, mergeRows.slice(1), data),
      row(
        `${side}.profile_typeID`,
        { [side]: { ...data, profileTypeID: SPACE } },
        'refused: incompatible_profiles',
      ),
      row(`${side}.format`, { [side]: { ...data, ...pprof } }, 'ignored: the contract says so'),
    ]),
  },
  { method: querier.getProfileStats, base: {}, rows: [] },
  {
    method: querier.analyzeQuery,
    base: { ...range, query: `${TYPE}{}` },
    rows: [
      row('start', { start: String(DAY + 90 * MINUTE), end: String(DAY + 99 * MINUTE) }),
      row('end', { start: '1', end: '2' }),
      row('query', { query: `${SPACE}{}` }),
      row('query', { query: '' }, 'refused: parse_error'),
    ],
  },
  {
    method: tephra.merge,
    base: { selection },
    rows: [
      ...inside('selection', selectionRows(), selection),
      row('format', { format: 'MERGE_FORMAT_PPROF' }),
      row('format', { format: 99 }, 'refused: unimplemented'),
      row('max_nodes', { maxNodes: '1' }),
      row('max_nodes', { maxNodes: '-1' }, 'refused: invalid_max_nodes'),
    ],
  },
  {
    method: tephra.mergeStream,
    base: { selection },
    rows: [
      ...inside('selection', selectionRows(), selection),
      row('max_nodes', { maxNodes: '1' }),
      row('max_nodes', { maxNodes: '-1' }, 'refused: invalid_max_nodes'),
    ],
  },
  {
    method: tephra.diff,
    base: { left: selection, right: selection },
    rows: [
      ...['left', 'right'].flatMap((side) => [
        ...inside(side, selectionRows().slice(1), selection),
        row(
          `${side}.profile_type`,
          { [side]: { ...selection, profileType: SPACE } },
          'refused: incompatible_profiles',
        ),
      ]),
      row('max_nodes', { maxNodes: '1' }),
    ],
  },
  {
    method: tephra.series,
    base: { selection, stepMs: '60000' },
    rows: [
      ...inside('selection', selectionRows(idsRefused), selection),
      row('step_ms', { stepMs: '300000' }),
      row('step_ms', { stepMs: '0' }, 'refused: invalid_step'),
      row('group_by', { groupBy: ['pod'] }),
      row('limit', { limit: 1 }, 'works', { groupBy: ['pod'] }),
      row('exemplars', { exemplars: true }),
      row(
        'exemplars',
        { exemplars: true, selection: { ...selection, callSite: ['main'] } },
        idsRefused,
      ),
    ],
  },
  {
    method: tephra.topFunctions,
    base: { selection },
    rows: [
      ...inside('selection', selectionRows(), selection),
      row('limit', { limit: 1 }),
      row('limit', { limit: 1_000_000 }, 'refused: invalid_argument'),
    ],
  },
  {
    method: tephra.labels,
    base: { startMs: range.start, endMs: range.end },
    rows: [
      row('selectors', { selectors: ['{service_name="bank"}'] }),
      row('start_ms', { startMs: String(DAY + 90 * MINUTE), endMs: String(DAY + 99 * MINUTE) }),
      row('end_ms', { startMs: '1', endMs: '2' }),
      row('name', { name: 'pod' }),
    ],
  },
];

const bench = new QueryBench();
beforeAll(async () => {
  await bench.open();
  await bench.push(...pushes);
});
afterAll(() => bench.engine.stop());

/** The answer as JSON without its record, or `refused: reason`. */
async function outcomeOf(method: DescMethod, request: JsonObject): Promise<unknown> {
  const message = fromJson(method.input, request);
  try {
    const answers =
      method.methodKind === 'unary'
        ? [await bench.call(method, message)]
        : await bench.stream(method, message);
    return answers.map((answer) => {
      const json = toJson(method.output, answer) as JsonObject;
      delete json['exactness'];
      return json;
    });
  } catch (thrown) {
    return `refused: ${TephraError.from(thrown).reason}`;
  }
}

describe.each(
  METHODS.map((one) => [`${one.method.parent.typeName}/${one.method.name}`, one] as const),
)('%s', (_, { method, base, rows }) => {
  const named = rows.map((one, i) => [`${one.field} (${i})`, one.effect, one] as const);
  // A method without fields has no rows.
  if (named.length > 0) {
    test.each(named)('%s: %s', async (_name, effect, { set, with: more = {} }) => {
      const without = await outcomeOf(method, { ...base, ...more });
      expect(without).toEqual(expect.any(Array));
      const outcome = await outcomeOf(method, { ...base, ...more, ...set });
      if (effect.startsWith('refused')) expect(outcome).toBe(effect);
      else if (effect.startsWith('ignored')) expect(outcome).toEqual(without);
      else {
        expect(outcome).toEqual(expect.any(Array));
        expect(outcome).not.toEqual(without);
      }
    });
  }

  test('has a row for every field', () => {
    const told = new Set(rows.map(({ field }) => field));
    expect([...told].sort()).toEqual(pathsOf(method.input).sort());
  });
});

/** Paths of all fields of a message that have no fields themselves. */
function pathsOf(message: DescMessage, prefix = ''): string[] {
  return message.fields.flatMap((field) => {
    const path = `${prefix}${field.name}`;
    return field.message === undefined ? [path] : pathsOf(field.message, `${path}.`);
  });
}

test('every method has its rows', () => {
  const answered = [...QuerierService.methods, ...QueryService.methods].map(({ name }) => name);
  expect(METHODS.map(({ method }) => method.name).sort()).toEqual(answered.sort());
});

describe('tephra.v1.IngestService/Push', () => {
  const pprofBytes = Buffer.from(itemOf(pushes[0] as Pushed, DAY).payload).toString('base64');
  const base = {
    labels: [
      { name: '__name__', value: 'process_cpu' },
      { name: 'service_name', value: 'pushed' },
    ],
    startMs: String(DAY + 5 * MINUTE),
    pprof: pprofBytes,
  };
  const push = async (profile: JsonObject): Promise<unknown> => {
    const method = IngestService.method.push;
    const { results } = await bench.call(method, fromJson(method.input, { profiles: [profile] }));
    return results[0]?.reason === '' ? results[0].outcome : results[0]?.reason;
  };
  const STORED = 1;
  const DUPLICATE = 2;
  test.each<[string, JsonObject, unknown]>([
    ['nothing more', {}, STORED],
    ['the same again', {}, DUPLICATE],
    ['id', { id: 'one' }, STORED],
    ['labels', { labels: [...base.labels, { name: 'pod', value: 'p' }] }, STORED],
    ['labels without a name', { labels: [] }, 'missing_labels'],
    ['start_ms', { startMs: String(DAY + 6 * MINUTE) }, STORED],
    ['start_ms below 0', { startMs: '-1' }, 'invalid_time_range'],
    ['end_ms before start_ms', { endMs: String(DAY) }, 'invalid_time_range'],
    ['plain', { plain: Buffer.from('x').toString('base64') }, 'malformed_protobuf'],
  ])('%s', async (_, set, outcome) => {
    const profile = { ...base, ...set };
    if ('plain' in set) Reflect.deleteProperty(profile, 'pprof');
    expect(await push(profile)).toEqual(outcome);
  });
});
