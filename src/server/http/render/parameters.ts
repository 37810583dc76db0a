import { TephraError } from '../../../base/errors.ts';
import { parseTime } from '../../../base/parse-time.ts';
import type { MergeRequest, SeriesRequest } from '../../../query/request.ts';
import { oneParameter, parseTypedQuery } from '../query-parameters.ts';
import { ANONYMOUS } from '../../rpc/run.ts';
import { nodeBudget } from '../../rpc/selection.ts';

/** Names of the parameters that select the data of one side. */
export interface SideKeys {
  readonly query: string;
  readonly from: string;
  readonly until: string;
}

/**
 * The merge that a URL asks for. Throws `invalid_argument`, `invalid_profile_type`, `missing_time_range`,
 * `invalid_time`, `invalid_time_range`, `invalid_max_nodes`.
 */
export function mergeOf(
  query: URLSearchParams,
  keys: SideKeys,
  nowMs: number,
  signal: AbortSignal,
): MergeRequest {
  const { profileType, selector } = parseTypedQuery(oneParameter(query, keys.query), keys.query);
  const time = (key: string): number => {
    const text = oneParameter(query, key);
    if (text === undefined) throw new TephraError('missing_time_range', `${key} is required`);
    return parseTime(text, nowMs);
  };
  const startMs = time(keys.from);
  const endMs = time(keys.until);
  if (startMs > endMs) {
    throw new TephraError('invalid_time_range', `${keys.from} is after ${keys.until}`);
  }
  const maxNodes = maxNodesOf(query);
  return { tenant: ANONYMOUS, selector, startMs, endMs, profileType, maxNodes, signal };
}

function maxNodesOf(query: URLSearchParams): number | undefined {
  const dashed = oneParameter(query, 'max-nodes');
  const camel = oneParameter(query, 'maxNodes');
  if (dashed !== undefined && camel !== undefined && dashed !== camel) {
    throw new TephraError('invalid_argument', 'max-nodes and maxNodes differ');
  }
  const text = dashed ?? camel ?? '0';
  if (!/^-?\d{1,18}$/.test(text)) {
    const found = JSON.stringify(text.slice(0, 40));
    throw new TephraError('invalid_max_nodes', `expected a whole number, found ${found}`);
  }
  return nodeBudget(BigInt(text));
}

/** One of the formats, the first unless the URL says otherwise. Throws `invalid_argument`. */
export function formatOf<F extends string>(
  query: URLSearchParams,
  formats: readonly [F, ...F[]],
): F {
  const text = oneParameter(query, 'format') ?? formats[0];
  const format = formats.find((known) => known === text);
  if (format !== undefined) return format;
  const found = JSON.stringify(text.slice(0, 40));
  throw new TephraError(
    'invalid_argument',
    `format: expected ${formats.join(', ')}, found ${found}`,
  );
}

/** What the timeline is grouped by and how. Throws `invalid_argument`. */
export function timelineShape(
  query: URLSearchParams,
): Pick<SeriesRequest, 'groupBy' | 'aggregation'> {
  const groupBy = query.getAll('groupBy').filter((name) => name !== '');
  const text = oneParameter(query, 'aggregation') ?? 'sum';
  if (text === 'sum') return { groupBy, aggregation: 'sum' };
  if (text === 'avg') return { groupBy, aggregation: 'average' };
  const found = JSON.stringify(text.slice(0, 40));
  throw new TephraError('invalid_argument', `aggregation: expected sum, avg, found ${found}`);
}

/** Refuses what only a timeline can honour, for an answer that has none. Throws `invalid_argument`. */
export function refuseTimeline(query: URLSearchParams): void {
  const { groupBy, aggregation } = timelineShape(query);
  if (groupBy.length === 0 && aggregation === 'sum') return;
  throw new TephraError('invalid_argument', 'groupBy and aggregation: this answer has no timeline');
}
