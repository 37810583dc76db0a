/** Rows 71 to 92 of the catalogue of bad inputs that one request to a quiet server shows. */
import type { DescMethod, JsonObject } from '@bufbuild/protobuf';
import type { Reason } from '../../../src/base/errors.ts';
import { QuerierService } from '../../../src/gen/querier/v1/querier_pb.ts';
import { QueryService } from '../../../src/gen/tephra/v1/query_pb.ts';
import { SMALL_TYPE } from './push-bench.ts';

/** One input of a row. */
export interface QueryRow {
  /** Number in the catalogue. */
  readonly row: number;
  readonly what: string;
  readonly method: DescMethod;
  readonly request: JsonObject;
  /** What only JSON can say. */
  readonly on?: 'json';
  /** Why it is refused, and what the message says; else it is answered ... */
  readonly refused?: readonly [Reason, RegExp];
  /** ... with this sum. */
  readonly total?: bigint;
  /** Where our rule is not the catalogue's: why. */
  readonly why?: string;
}

const querier = QuerierService.method;
const tephra = QueryService.method;
const NOW = Date.now();
const range = { start: String(NOW - 600_000), end: String(NOW + 600_000) };
const data = { profileTypeID: SMALL_TYPE, labelSelector: '{}', ...range };
const selection = {
  profileType: SMALL_TYPE,
  selector: '{}',
  startMs: range.start,
  endMs: range.end,
};

/** A selector to both interfaces. */
function selector(
  row: number,
  what: string,
  text: string,
  expected: Pick<QueryRow, 'refused' | 'total' | 'why'>,
): QueryRow[] {
  return [
    {
      row,
      what,
      method: querier.selectMergeStacktraces,
      request: { ...data, labelSelector: text },
      ...expected,
    },
    {
      row,
      what,
      method: tephra.merge,
      request: { selection: { ...selection, selector: text } },
      ...expected,
    },
  ];
}
const refused = (reason: Reason, says: RegExp) => ({ refused: [reason, says] as const });
const one = (
  row: number,
  what: string,
  method: DescMethod,
  request: JsonObject,
  expected: Pick<QueryRow, 'refused' | 'total' | 'why' | 'on'>,
): QueryRow => ({ row, what, method, request, ...expected });

/** What the server of these rows has: one small profile of the service `xb`. */
const STORED_TOTAL = 10n;
const EMPTY = { total: 0n };
const ALL = { total: STORED_TOTAL };

/** See above. */
export const QUERY_ROWS: readonly QueryRow[] = [
  ...selector(71, 'no selector', '', refused('parse_error', /./)),
  ...selector(71, 'an opening brace', '{', refused('parse_error', /1:\d+/)),
  ...selector(71, 'no value', '{a=}', refused('parse_error', /1:\d+/)),
  ...selector(71, 'a quote left open', '{a="b}', refused('parse_error', /1:\d+/)),
  ...selector(71, 'a trailing comma', '{service_name="xb",}', ALL),
  ...selector(72, 'a group left open', '{a=~"("}', refused('invalid_regex', /./)),
  ...selector(73, 'a classic of backtracking', '{service_name=~"(a+)+$"}', EMPTY),
  ...selector(73, 'another', '{service_name=~"(.*a){12}"}', EMPTY),
  ...selector(74, 'look-ahead', '{a=~"(?=b)"}', refused('invalid_regex', /./)),
  ...selector(74, 'a back-reference', '{a=~"(b)\\\\1"}', refused('invalid_regex', /./)),
  ...selector(
    75,
    'a pattern that grows',
    '{a=~"(x{0,1000}){0,1000}"}',
    refused('regex_too_large', /./),
  ),
  ...selector(75, 'a long pattern', `{a=~"${'b'.repeat(513)}"}`, refused('regex_too_large', /512/)),
  ...selector(76, 'a part of a value', '{service_name=~"a|b"}', EMPTY),
  ...selector(76, 'the whole of it', '{service_name=~"a|xb"}', ALL),
  ...selector(
    77,
    '101 matchers',
    `{${'a="b",'.repeat(101)}}`,
    refused('selector_too_large', /100/),
  ),
  ...selector(
    77,
    'more than 8 KiB',
    `{a="${'b'.repeat(9_000)}"}`,
    refused('selector_too_large', /8192/),
  ),
  ...selector(78, 'everything', '{}', {
    ...ALL,
    why: 'the wire contract wins: {} matches everything',
  }),
  ...selector(78, 'matchers that match the empty value', '{nobody=~".*"}', {
    ...ALL,
    why: 'as {}',
  }),
  one(
    79,
    'an unknown type',
    querier.selectMergeStacktraces,
    { ...data, profileTypeID: 'no:such:type:of:profile' },
    EMPTY,
  ),
  one(
    79,
    'an unknown type',
    tephra.merge,
    { selection: { ...selection, profileType: 'no:such:type:of:profile' } },
    EMPTY,
  ),
  ...selector(79, 'an unknown label', '{nobody="has it"}', EMPTY),
  ...selector(80, 'an invalid escape', '{a="\\q"}', refused('parse_error', /1:\d+/)),
  ...selector(80, '8,000 nested braces', '{'.repeat(8_000), refused('parse_error', /1:\d+/)),
  ...selector(
    80,
    '10,000 nested braces',
    '{'.repeat(10_000),
    refused('selector_too_large', /8192/),
  ),
  ...selector(
    80,
    'a character at the cut of a message',
    `{a="${'b'.repeat(120)}\u{1f525}`,
    refused('parse_error', /1:\d+/),
  ),
  one(
    80,
    'half a character',
    querier.selectMergeStacktraces,
    { ...data, labelSelector: '{a="\ud800"}' },
    { on: 'json', ...refused('malformed_json', /label_selector/) },
  ),
  one(
    82,
    'a range of ever',
    querier.selectMergeStacktraces,
    { ...data, start: '1', end: String(2n ** 63n - 1n) },
    {
      ...ALL,
      why: 'rollups make long ranges cheap: bytes and time are limited instead (protocol.md 6, 11)',
    },
  ),
  one(
    83,
    'a range before all data',
    querier.selectMergeStacktraces,
    { ...data, start: '1000', end: '2000' },
    EMPTY,
  ),
  one(
    83,
    'a range before all data',
    tephra.merge,
    { selection: { ...selection, startMs: '1000', endMs: '2000' } },
    EMPTY,
  ),
  one(84, 'no step', querier.selectSeries, data, refused('invalid_step', /./)),
  one(
    84,
    'a negative step',
    querier.selectSeries,
    { ...data, step: -1 },
    refused('invalid_step', /-1/),
  ),
  one(
    84,
    'a step that is no number',
    querier.selectSeries,
    { ...data, step: 'NaN' },
    refused('invalid_step', /NaN/),
  ),
  one(
    84,
    'a negative step',
    tephra.series,
    { selection, stepMs: '-1' },
    refused('invalid_step', /-1/),
  ),
  one(
    84,
    'too many points',
    querier.selectSeries,
    { ...data, start: '1', step: 1 },
    refused('too_many_points', /11000/),
  ),
  one(
    84,
    'too many points',
    tephra.series,
    { selection: { ...selection, startMs: '1' }, stepMs: '1' },
    refused('too_many_points', /11000/),
  ),
  one(
    84,
    'too many points of a heatmap',
    querier.selectHeatmap,
    { ...data, start: '1', step: 1 },
    refused('too_many_points', /11000/),
  ),
  one(
    85,
    'max_nodes 0',
    querier.selectMergeStacktraces,
    { ...data, maxNodes: '0' },
    { ...ALL, why: 'the wire contract wins: 0 is the default' },
  ),
  ...['-1', '1048577', '1000000000'].flatMap((maxNodes): QueryRow[] => [
    one(
      85,
      `max_nodes ${maxNodes}`,
      querier.selectMergeStacktraces,
      { ...data, maxNodes },
      refused('invalid_max_nodes', /1048576/),
    ),
    one(
      85,
      `max_nodes ${maxNodes}`,
      tephra.merge,
      { selection, maxNodes },
      refused('invalid_max_nodes', /1048576/),
    ),
  ]),
  one(
    85,
    'max_nodes abc',
    querier.selectMergeStacktraces,
    { ...data, maxNodes: 'abc' },
    { on: 'json', ...refused('malformed_json', /max_nodes/) },
  ),
  one(
    86,
    'a diff of two types',
    querier.diff,
    { left: data, right: { ...data, profileTypeID: 'memory:space:bytes:a:b' } },
    refused('incompatible_profiles', /memory:space/),
  ),
  one(
    86,
    'a diff of two types',
    tephra.diff,
    { left: selection, right: { ...selection, profileType: 'memory:space:bytes:a:b' } },
    refused('incompatible_profiles', /memory:space/),
  ),
  one(
    87,
    'a diff with an empty side',
    querier.diff,
    { left: data, right: { ...data, start: '1000', end: '2000' } },
    {},
  ),
  one(
    87,
    'a diff with an empty side',
    tephra.diff,
    { left: selection, right: { ...selection, startMs: '1000', endMs: '2000' } },
    {},
  ),
  one(
    92,
    'the id of a profile that is not there',
    querier.selectMergeStacktraces,
    { ...data, profileIdSelector: ['00000000-0000-4000-8000-00000000dead'] },
    {
      ...EMPTY,
      why: 'ids are a selection, and empty ones are answered; there are no cursors, and one tenant (protocol.md 12)',
    },
  ),
  one(
    92,
    'an id that is none',
    querier.selectMergeStacktraces,
    { ...data, spanSelector: ['../x'] },
    refused('invalid_argument', /span/),
  ),
];
